// Tasks: on the books, off the books, and every message about one that is not its launch.

import type { StatusUpdate } from '../messages/agent-registration.ts'
import type { CallOf } from '../messages/scheduler-api.ts'
import {
  isTerminal,
  type TaskState,
  type TaskStatus,
  type TaskStatusReason,
} from '../messages/status.ts'
import type { Task } from '../messages/task.ts'
import type { MasterContext } from './context.ts'
import type { AgentRecord, FrameworkRecord, TaskRecord } from './state.ts'
import { follow, masterStatus, stateFor, statusOf } from './status.ts'

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
  if (framework.tasks.get(id) === record) framework.tasks.delete(id)
  const agent = m.state.agents.get(record.task.agent_id.value)
  const tasks = agent?.tasks.get(framework.id)
  tasks?.delete(id)
  if (agent && tasks?.size === 0) {
    agent.tasks.delete(framework.id)
    if (agent.tasks.size === 0) m.mayBeDrained(agent)
  }
  if (as === 'completed') framework.completedTasks.push(record.task)
  else rememberUnreachable(m, framework, record.task)
  m.changed()
}

function rememberUnreachable(m: MasterContext, framework: FrameworkRecord, task: Task): void {
  framework.unreachableTasks.delete(task.task_id.value)
  framework.unreachableTasks.set(task.task_id.value, task)
  const { maxUnreachableTasksPerFramework: most } = m.config
  for (const id of framework.unreachableTasks.keys()) {
    if (framework.unreachableTasks.size <= most) break
    framework.unreachableTasks.delete(id)
  }
}

/**
 * Ends a task because of something the master knows and its agent cannot tell: the framework hears of it once,
 * without acknowledgement. `mayReturn`: the task may still run where nobody sees it.
 */
export function endTask(
  m: MasterContext,
  framework: FrameworkRecord,
  record: TaskRecord,
  end: {
    readonly state: TaskState
    readonly reason: TaskStatusReason
    readonly message: string
    readonly mayReturn?: boolean
  },
): void {
  const { task } = record
  const { reason, message, mayReturn = false } = end
  // One that had ended already: its scheduler may not know, and the agent that would repeat it is gone.
  const ended = isTerminal(task.state)
  const state = ended ? task.state : end.state
  const status = statusOf(task, state, reason, message, m.nowSeconds())
  if (state === 'TASK_UNREACHABLE') status.unreachable_time = nanoseconds(m.now())
  if (!ended) {
    const { framework_id, agent_id } = task
    follow(record, { framework_id, agent_id, status, timestamp: m.nowSeconds() }, true)
    m.metrics.ended(status)
  }
  removeTask(m, framework, record, mayReturn && !ended ? 'unreachable' : 'completed')
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}

const nanoseconds = (ms: number) => ({ nanoseconds: Math.round(ms) * 1_000_000 })

/** Tasks that may have run unseen on an agent which will not come back: now it is certain that they do not. */
export function endUnreachable(m: MasterContext, agentId: string, end: UnreachableEnd): void {
  for (const framework of m.state.frameworks.values()) {
    for (const task of framework.unreachableTasks.values()) {
      if (task.agent_id.value !== agentId) continue
      const news = !isTerminal(task.state)
      const status = settleUnreachable(m, framework, task, end)
      // Those that were called lost are over for their framework since then.
      if (news) m.tellFramework(framework, { type: 'UPDATE', update: { status } })
    }
  }
}

interface UnreachableEnd {
  /** Default: TASK_GONE. */
  readonly state?: 'TASK_GONE' | 'TASK_GONE_BY_OPERATOR'
  readonly reason: TaskStatusReason
  readonly message: string
}

/** An unreachable task that turned out to have ended. */
function settleUnreachable(
  m: MasterContext,
  framework: FrameworkRecord,
  task: Task,
  { state = 'TASK_GONE', reason, message }: UnreachableEnd,
): TaskStatus {
  const status = statusOf(task, stateFor(framework, state), reason, message, m.nowSeconds())
  if (!isTerminal(task.state)) {
    task.state = status.state
    task.statuses = [...(task.statuses ?? []), status]
    m.metrics.ended(status)
  }
  framework.unreachableTasks.delete(task.task_id.value)
  framework.completedTasks.push(task)
  m.changed()
  return status
}

/** From an agent: what happened to a task. The agent repeats it until the scheduler has acknowledged it. */
export function statusUpdate(m: MasterContext, agent: AgentRecord, update: StatusUpdate): void {
  const { framework_id, status, uuid } = update
  const framework = m.state.frameworks.get(framework_id.value)
  if (!framework) {
    m.metrics.count('invalid_status_updates')
    m.log.warn(
      { framework_id: framework_id.value, agent_id: agent.id },
      'update for an unknown framework',
    )
    if (m.state.removedFrameworks.has(framework_id.value)) {
      m.tellAgent(agent, 'shutdown_framework', { framework_id })
    }
    return
  }
  const record = framework.tasks.get(status.task_id.value)
  if (record && record.task.agent_id.value !== agent.id) return dismiss(m, agent, update)
  m.metrics.count('valid_status_updates')
  if (record) {
    const ran = !isTerminal(record.task.state)
    follow(record, update, framework.connected)
    if (isTerminal(record.task.state)) {
      // The update of the end may still be behind this one: then the state is known, and how it came to it is not.
      if (ran) {
        const { state } = record.task
        m.metrics.ended(state === status.state ? status : { task_id: status.task_id, state })
      }
      releaseTask(m, record)
    }
    m.changed()
  }
  m.tellFramework(framework, {
    type: 'UPDATE',
    update: { status: uuid === undefined || status.uuid === uuid ? status : { ...status, uuid } },
  })
}

/** An update of a task that was not adopted, for one of the same id runs elsewhere: its scheduler must not take it for that. */
function dismiss(m: MasterContext, agent: AgentRecord, update: StatusUpdate): void {
  const { agent_id, framework_id, status, uuid } = update
  m.metrics.count('invalid_status_updates')
  m.log.warn(
    { framework_id: framework_id.value, task_id: status.task_id.value, agent_id: agent.id },
    'update of a second task of this id, not forwarded',
  )
  if (uuid === undefined) return
  const { task_id } = status
  m.tellAgent(agent, 'status_update_acknowledgement', { agent_id, framework_id, task_id, uuid })
}

/** ACKNOWLEDGE: only then does a task that ended leave the books, and the agent send its next update. */
export function acknowledge(
  m: MasterContext,
  framework: FrameworkRecord,
  { agent_id, task_id, uuid }: CallOf<'ACKNOWLEDGE'>['acknowledge'],
): void {
  const agent = m.state.agents.get(agent_id.value)
  if (!agent?.connected) {
    m.metrics.count('invalid_status_update_acknowledgements')
    m.log.debug(
      { agent_id: agent_id.value, task_id: task_id.value },
      'acknowledgement for an absent agent',
    )
    return
  }
  const record = framework.tasks.get(task_id.value)
  // Of an update that neither this master sent nor the agent calls sent: which state it was of is not known. Passed on, it
  // could make the agent forget a task that stays on the books here. The agent repeats the update.
  const unsent = record !== undefined && record.task.status_update_uuid === undefined
  if (unsent || (record && record.task.agent_id.value !== agent.id)) {
    return m.metrics.count('invalid_status_update_acknowledgements')
  }
  m.metrics.count('valid_status_update_acknowledgements')
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

/** KILL: passed to the agent, once more when that comes back; an unknown task is answered as by RECONCILE. */
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
  record.kill = { policy: kill_policy }
  const agent = m.state.agents.get(on)
  if (agent?.connected) tellKill(m, agent, record)
}

/** Passes on the kill that a task's scheduler asked for. */
export function tellKill(
  m: MasterContext,
  agent: AgentRecord,
  { task, kill: asked }: TaskRecord,
): void {
  const { framework_id, task_id } = task
  const policy = asked?.policy
  m.tellAgent(agent, 'kill_task', { framework_id, task_id, ...(policy && { kill_policy: policy }) })
}

/** RECONCILE: the latest state of the tasks named, or of all that are on the books. */
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

/**
 * What its scheduler was told last, rather than what the agent knows: the updates between are on their way. Of a task that ended while
 * its agent had no master, nothing was told yet; were its end told here, the updates of its beginning would come after it.
 */
function tellLatest(m: MasterContext, framework: FrameworkRecord, task: Task): void {
  const status = statusOf(
    task,
    task.status_update_state ?? 'TASK_STAGING',
    'REASON_RECONCILIATION',
    'Reconciliation: Latest task state',
    m.nowSeconds(),
  )
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}

/** The six cases of Mesos' docs/reconciliation.md, in its order, and those tasks that are known to be out of reach. */
function reconcileTask(
  m: MasterContext,
  framework: FrameworkRecord,
  taskId: string,
  agentId: string | undefined,
): void {
  const record = framework.tasks.get(taskId)
  if (record) return tellLatest(m, framework, record.task)
  const { state, registryView } = m
  const known = framework.unreachableTasks.get(taskId)
  const lost = agentId === undefined || known?.agent_id.value === agentId ? known : undefined
  const on = agentId ?? lost?.agent_id.value
  // An agent that is expected back may bring this very task: better no answer than a wrong one.
  if (on === undefined ? state.recoveredAgents.size > 0 : state.recoveredAgents.has(on)) return
  const answer = (name: Parameters<typeof stateFor>[1], text: string, sinceMs?: number): void => {
    const to = stateFor(framework, name)
    const status = masterStatus(taskId, on, to, 'REASON_RECONCILIATION', text, m.nowSeconds())
    if (sinceMs !== undefined) status.unreachable_time = nanoseconds(sinceMs)
    m.tellFramework(framework, { type: 'UPDATE', update: { status } })
  }
  if (on !== undefined) {
    const agent = state.agents.get(on)
    if (agent && !agent.connected) {
      if (lost) answer('TASK_UNREACHABLE', 'Reconciliation: Task is unreachable')
      // It may have ended there, with an update that waits for the agent to be back; or the agent will be given up.
      return
    }
    if (agent) {
      const text = 'Reconciliation: Task is unknown to the agent'
      if (lost)
        settleUnreachable(m, framework, lost, { reason: 'REASON_RECONCILIATION', message: text })
      return answer('TASK_GONE', text)
    }
    const unreachableSince = registryView.unreachable.get(on)
    if (unreachableSince !== undefined) {
      return answer('TASK_UNREACHABLE', 'Reconciliation: Task is unreachable', unreachableSince)
    }
    if (registryView.gone.has(on)) {
      return answer('TASK_GONE_BY_OPERATOR', 'Reconciliation: Task is gone')
    }
  }
  answer('TASK_UNKNOWN', 'Reconciliation: Task is unknown')
}
