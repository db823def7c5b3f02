// Tasks: on the books, off the books, and every message about one that is not its launch.

import type { Pid } from '../actors/pid.ts'
import type { ExecutorMessage, StatusUpdate } from '../messages/agent-registration.ts'
import type { Call } from '../messages/scheduler-api.ts'
import {
  isTerminal,
  type TaskState,
  type TaskStatus,
  type TaskStatusReason,
} from '../messages/status.ts'
import type { Task } from '../messages/task.ts'
import type { MasterContext } from './context.ts'
import type { AgentRecord, FrameworkRecord, TaskRecord } from './state.ts'
import { follow, masterStatus, stateFor } from './status.ts'

type CallOf<T extends Call['type']> = Extract<Call, { type: T }>

export function addTask(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  record: TaskRecord,
): void {
  const id = record.task.task_id.value
  framework.tasks.set(id, record)
  framework.unreachableTasks.delete(id)
  let tasks = agent.tasks.get(framework.id)
  if (!tasks) agent.tasks.set(framework.id, (tasks = new Map()))
  tasks.set(id, record)
  m.changed()
}

/** Gives a task's resources back; a second time does nothing. */
export function releaseTask(m: MasterContext, record: TaskRecord): void {
  if (!record.holding) return
  record.holding = false
  const { task, role, resources } = record
  m.allocator.recover(task.framework_id.value, task.agent_id.value, role, resources)
  m.allocateSoon()
}

/** Takes a task off the books; where it is remembered depends on how it ended. */
export function removeTask(
  m: MasterContext,
  framework: FrameworkRecord,
  record: TaskRecord,
  as: 'completed' | 'unreachable',
): void {
  releaseTask(m, record)
  const id = record.task.task_id.value
  framework.tasks.delete(id)
  const agent = m.state.agents.get(record.task.agent_id.value)
  const tasks = agent?.tasks.get(framework.id)
  tasks?.delete(id)
  if (tasks?.size === 0) agent!.tasks.delete(framework.id)
  if (as === 'completed') framework.completedTasks.push(record.task)
  else rememberUnreachable(m, framework, record.task)
  m.changed()
}

function rememberUnreachable(m: MasterContext, framework: FrameworkRecord, task: Task): void {
  framework.unreachableTasks.set(task.task_id.value, task)
  const { maxUnreachableTasksPerFramework: most } = m.config
  for (const id of framework.unreachableTasks.keys()) {
    if (framework.unreachableTasks.size <= most) break
    framework.unreachableTasks.delete(id)
  }
}

/**
 * Ends a task because of something the master knows and its agent cannot tell: the framework hears of it once,
 * without acknowledgement.
 */
export function endTask(
  m: MasterContext,
  framework: FrameworkRecord,
  record: TaskRecord,
  end: {
    readonly state: TaskState
    readonly reason: TaskStatusReason
    readonly message: string
  },
): void {
  const { task } = record
  const status = masterStatus(
    task.task_id.value,
    task.agent_id.value,
    end.state,
    end.reason,
    end.message,
    m.nowSeconds(),
  )
  const unreachable = end.state === 'TASK_UNREACHABLE'
  if (unreachable) status.unreachable_time = { nanoseconds: Math.round(m.now()) * 1_000_000 }
  const wasTerminal = isTerminal(task.state)
  if (!wasTerminal) {
    follow(record, {
      framework_id: task.framework_id,
      agent_id: task.agent_id,
      status,
      timestamp: m.nowSeconds(),
    })
  }
  removeTask(m, framework, record, unreachable && !wasTerminal ? 'unreachable' : 'completed')
  if (!wasTerminal) m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}

/** From an agent: what happened to a task. The agent repeats it until the scheduler has acknowledged it. */
export function statusUpdate(m: MasterContext, update: StatusUpdate, from: Pid): void {
  const agent = m.state.agents.get(update.agent_id.value)
  if (!agent || agent.pid !== from) {
    m.log.debug(
      { from, agent_id: update.agent_id.value },
      'update from an agent that is not registered',
    )
    return
  }
  const framework = m.state.frameworks.get(update.framework_id.value)
  if (!framework) {
    m.log.warn(
      { framework_id: update.framework_id.value, agent_id: agent.id },
      'update for an unknown framework',
    )
    if (m.state.removedFrameworks.has(update.framework_id.value)) {
      m.tellAgent(agent, 'shutdown_framework', { framework_id: update.framework_id })
    }
    return
  }
  const record = framework.tasks.get(update.status.task_id.value)
  if (record && record.task.agent_id.value === agent.id) {
    follow(record, update)
    if (isTerminal(record.task.state)) releaseTask(m, record)
    m.changed()
  }
  const { status } = update
  m.tellFramework(framework, {
    type: 'UPDATE',
    update: { status: { ...status, ...(update.uuid !== undefined && { uuid: update.uuid }) } },
  })
}

/** ACKNOWLEDGE: only then does a task that ended leave the books, and the agent send its next update. */
export function acknowledge(
  m: MasterContext,
  framework: FrameworkRecord,
  { agent_id, task_id, uuid }: CallOf<'ACKNOWLEDGE'>['acknowledge'],
): void {
  const agent = m.state.agents.get(agent_id.value)
  if (!agent?.connected) {
    m.log.debug(
      { agent_id: agent_id.value, task_id: task_id.value },
      'acknowledgement for an absent agent',
    )
    return
  }
  const record = framework.tasks.get(task_id.value)
  if (record && record.task.agent_id.value !== agent.id) return
  if (
    record &&
    record.task.status_update_uuid === uuid &&
    record.task.status_update_state !== undefined &&
    isTerminal(record.task.status_update_state)
  ) {
    removeTask(m, framework, record, 'completed')
  }
  m.tellAgent(agent, 'status_update_acknowledgement', {
    agent_id,
    framework_id: { value: framework.id },
    task_id,
    uuid,
  })
}

/** KILL: passed to the agent, remembered while that is away; an unknown task is answered as by RECONCILE. */
export function kill(
  m: MasterContext,
  framework: FrameworkRecord,
  call: CallOf<'KILL'>['kill'],
): void {
  const { task_id, agent_id, kill_policy } = call
  const record = framework.tasks.get(task_id.value)
  if (!record) {
    reconcileTask(m, framework, task_id.value, agent_id?.value)
    return
  }
  const on = record.task.agent_id.value
  if (agent_id && agent_id.value !== on) {
    m.log.warn(
      { task_id: task_id.value, agent_id: agent_id.value, on },
      'kill names the wrong agent, ignored',
    )
    return
  }
  const agent = m.state.agents.get(on)
  if (!agent) return
  if (!agent.connected) {
    agent.pendingKills.push({
      frameworkId: framework.id,
      taskId: task_id.value,
      policy: kill_policy,
    })
    return
  }
  m.tellAgent(agent, 'kill_task', {
    framework_id: { value: framework.id },
    task_id,
    ...(kill_policy && { kill_policy }),
  })
}

/** RECONCILE: the latest state of the tasks named, or of all that have not ended. */
export function reconcile(
  m: MasterContext,
  framework: FrameworkRecord,
  tasks: CallOf<'RECONCILE'>['reconcile']['tasks'],
): void {
  if (tasks && tasks.length > 0) {
    for (const { task_id, agent_id } of tasks)
      reconcileTask(m, framework, task_id.value, agent_id?.value)
    return
  }
  for (const record of framework.tasks.values()) tellLatest(m, framework, record.task)
}

function tellLatest(m: MasterContext, framework: FrameworkRecord, task: Task): void {
  const last = task.statuses?.at(-1)
  const status: TaskStatus = {
    ...masterStatus(
      task.task_id.value,
      task.agent_id.value,
      task.state,
      'REASON_RECONCILIATION',
      'Reconciliation: Latest task state',
      m.nowSeconds(),
    ),
    ...(last?.container_status && { container_status: last.container_status }),
    ...(last?.healthy !== undefined && { healthy: last.healthy }),
  }
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}

/** The six cases of Mesos' docs/reconciliation.md, in its order. */
function reconcileTask(
  m: MasterContext,
  framework: FrameworkRecord,
  taskId: string,
  agentId: string | undefined,
): void {
  const record = framework.tasks.get(taskId)
  if (record) return tellLatest(m, framework, record.task)
  const { state, registryView } = m
  // An agent that is expected back may bring this very task: better no answer than a wrong one.
  if (agentId === undefined ? state.recoveredAgents.size > 0 : state.recoveredAgents.has(agentId))
    return
  const answer = (name: Parameters<typeof stateFor>[1], text: string, sinceMs?: number): void => {
    const status = masterStatus(
      taskId,
      agentId,
      stateFor(framework, name),
      'REASON_RECONCILIATION',
      text,
      m.nowSeconds(),
    )
    if (sinceMs !== undefined)
      status.unreachable_time = { nanoseconds: Math.round(sinceMs) * 1_000_000 }
    m.tellFramework(framework, { type: 'UPDATE', update: { status } })
  }
  if (agentId !== undefined) {
    if (state.agents.has(agentId)) {
      return answer('TASK_GONE', 'Reconciliation: Task is unknown to the agent')
    }
    const unreachableSince = registryView.unreachable.get(agentId)
    if (unreachableSince !== undefined) {
      return answer('TASK_UNREACHABLE', 'Reconciliation: Task is unreachable', unreachableSince)
    }
    if (registryView.gone.has(agentId)) {
      return answer('TASK_GONE_BY_OPERATOR', 'Reconciliation: Task is gone')
    }
  }
  const unreachable = framework.unreachableTasks.get(taskId)
  if (unreachable) {
    return answer('TASK_UNREACHABLE', 'Reconciliation: Task is unreachable')
  }
  answer('TASK_UNKNOWN', 'Reconciliation: Task is unknown')
}

/** From an agent: a custom executor has ended. What it held is free, and its scheduler is told. */
export function exitedExecutor(
  m: MasterContext,
  agent: AgentRecord,
  frameworkId: string,
  executorId: string,
  status: number,
): void {
  const framework = m.state.frameworks.get(frameworkId)
  if (!framework) return
  removeExecutor(m, framework, agent.id, executorId)
  m.tellFramework(framework, {
    type: 'FAILURE',
    failure: { agent_id: { value: agent.id }, executor_id: { value: executorId }, status },
  })
}

export function removeExecutor(
  m: MasterContext,
  framework: FrameworkRecord,
  agentId: string,
  executorId: string,
): void {
  const executors = framework.executors.get(agentId)
  const executor = executors?.get(executorId)
  if (!executors || !executor) return
  executors.delete(executorId)
  if (executors.size === 0) framework.executors.delete(agentId)
  m.allocator.recover(framework.id, agentId, executor.role, executor.resources)
  m.allocateSoon()
  m.changed()
}

/** From an agent: an executor's bytes for its scheduler. */
export function executorMessage(m: MasterContext, message: ExecutorMessage): void {
  const framework = m.state.frameworks.get(message.framework_id.value)
  if (!framework) return
  const { agent_id, executor_id, data } = message
  m.tellFramework(framework, { type: 'MESSAGE', message: { agent_id, executor_id, data } })
}

/** MESSAGE: a scheduler's bytes for an executor. */
export function frameworkMessage(
  m: MasterContext,
  framework: FrameworkRecord,
  { agent_id, executor_id, data }: CallOf<'MESSAGE'>['message'],
): void {
  const agent = m.state.agents.get(agent_id.value)
  if (!agent?.connected) return
  m.tellAgent(agent, 'framework_message', {
    agent_id,
    framework_id: { value: framework.id },
    executor_id,
    data,
  })
}

/** SHUTDOWN: a scheduler wants one of its executors ended. */
export function shutdownExecutor(
  m: MasterContext,
  framework: FrameworkRecord,
  { agent_id, executor_id }: CallOf<'SHUTDOWN'>['shutdown'],
): void {
  const agent = m.state.agents.get(agent_id.value)
  if (!agent?.connected) return
  m.tellAgent(agent, 'shutdown_executor', { framework_id: { value: framework.id }, executor_id })
}
