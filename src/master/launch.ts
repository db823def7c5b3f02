// Launches: tasks and groups that are acceptable are entered into the books and sent to their agent; others are refused.

import type { OfferOperation } from '../messages/operation.ts'
import type { TaskState, TaskStatusReason } from '../messages/status.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import { Resources } from '../resources/resources.ts'
import type { MasterContext } from './context.ts'
import { validateGroup } from './group-validation.ts'
import type { AgentRecord, FrameworkRecord } from './state.ts'
import { masterStatus, newTask } from './status.ts'
import { type TaskNeeds, type TaskSetting, validateTask } from './task-validation.ts'
import { addTask } from './tasks.ts'

type LaunchGroup = Extract<OfferOperation, { type: 'LAUNCH_GROUP' }>

/** Returns what is left of `available`. */
export function launch(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  role: string,
  available: Resources,
  task: TaskInfo,
  operationId: string | undefined,
): Resources {
  const checked =
    operationId !== undefined
      ? { ok: false as const, error: "The 'id' field must not be set for LAUNCH operations" }
      : validateTask(task, settingOf(framework, agent, role, available))
  if (!checked.ok) {
    refuse(m, framework, task, 'TASK_ERROR', 'REASON_TASK_INVALID', checked.error)
    return available
  }
  const { needs } = checked
  const record = newTask(task, framework, role, needs.resources)
  addTask(m, framework, agent, record)
  const { executor } = task
  const launchedFor =
    executor &&
    countExecutor(framework, agent, role, executor, needs.newExecutor, task.task_id.value)
  m.tellAgent(agent, 'run_task', {
    framework: framework.info,
    task: {
      ...task,
      ...(executor && { executor: executorFor(executor, framework, role) }),
      resources: record.task.resources ?? [],
    },
    launch_executor: !executor || needs.newExecutor !== undefined,
    ...(launchedFor !== undefined && { launched_for: { value: launchedFor } }),
  })
  return available.subtract(needs.total)
}

/** All tasks of it are launched, or none. */
export function launchGroup(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  role: string,
  available: Resources,
  { launch_group: { executor, task_group: group }, id }: LaunchGroup,
): Resources {
  const tasks = group.tasks ?? []
  const setting = settingOf(framework, agent, role, available)
  const checked =
    id !== undefined
      ? { ok: false as const, error: "The 'id' field must not be set for LAUNCH_GROUP operations" }
      : validateGroup(executor, tasks, setting)
  if (!checked.ok) {
    for (const task of tasks) {
      refuse(m, framework, task, 'TASK_ERROR', 'REASON_TASK_GROUP_INVALID', checked.error)
    }
    return available
  }
  const records = tasks.map((task, index) =>
    newTask({ ...task, executor }, framework, role, checked.resources[index]!),
  )
  for (const record of records) addTask(m, framework, agent, record)
  const first = tasks[0]!.task_id
  const launchedFor = countExecutor(
    framework,
    agent,
    role,
    executor,
    checked.newExecutor,
    first.value,
  )
  m.tellAgent(agent, 'run_task_group', {
    framework: framework.info,
    executor: executorFor(executor, framework, role),
    task_group: {
      tasks: tasks.map((task, index) => ({
        ...task,
        resources: records[index]!.task.resources ?? [],
      })),
    },
    launch_executor: checked.newExecutor !== undefined,
    ...(launchedFor !== undefined && { launched_for: { value: launchedFor } }),
  })
  return available.subtract(checked.total)
}

function settingOf(
  framework: FrameworkRecord,
  agent: AgentRecord,
  role: string,
  available: Resources,
): TaskSetting {
  return {
    frameworkId: framework.id,
    agentId: agent.id,
    role,
    available,
    task: id => taskOf(framework, id),
    executor: id => framework.executors.get(agent.id)?.get(id)?.info,
  }
}

/** A new executor is on the books from now on. Of one that runs: the task that it was launched for. */
function countExecutor(
  framework: FrameworkRecord,
  agent: AgentRecord,
  role: string,
  executor: ExecutorInfo,
  newExecutor: TaskNeeds['newExecutor'],
  taskId: string,
): string | undefined {
  const executors = framework.executors.get(agent.id) ?? new Map()
  const id = executor.executor_id.value
  if (!newExecutor) return executors.get(id)?.launchedFor
  const { info, resources } = newExecutor
  executors.set(id, { info, role, resources, launchedFor: taskId })
  framework.executors.set(agent.id, executors)
  return undefined
}

/** As the agent is to know it. */
function executorFor(
  executor: ExecutorInfo,
  framework: FrameworkRecord,
  role: string,
): ExecutorInfo {
  const { resources } = executor
  return {
    ...executor,
    framework_id: { value: framework.id },
    ...(resources && {
      resources: Resources.of(resources).unallocate().allocate(role).list(),
    }),
  }
}

function taskOf(framework: FrameworkRecord, id: string): ReturnType<TaskSetting['task']> {
  const known = framework.tasks.get(id)?.task
  if (known) return { state: known.state, known: true }
  const unreachable = framework.unreachableTasks.get(id)
  return unreachable && { state: unreachable.state, known: false }
}

export function refuse(
  m: MasterContext,
  framework: FrameworkRecord,
  task: TaskInfo,
  state: TaskState,
  reason: TaskStatusReason,
  message: string,
): void {
  const { task_id, agent_id } = task
  m.log.info(
    { framework_id: framework.id, task_id: task_id.value, reason, message },
    'task refused',
  )
  const status = masterStatus(task_id.value, agent_id.value, state, reason, message, m.nowSeconds())
  m.metrics.ended(status)
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
}
