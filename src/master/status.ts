// Status updates that the master makes itself, and how a task's record follows its updates. Pure.

import { withoutSecrets } from '../messages/redacted.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import {
  addStatus,
  isTerminal,
  type TaskState,
  type TaskStatus,
  type TaskStatusReason,
} from '../messages/status.ts'
import type { StatusUpdate } from '../messages/agent-registration.ts'
import type { Task, TaskInfo } from '../messages/task.ts'
import type { Resources } from '../resources/resources.ts'
import { DEFAULT_ROLE } from '../resources/roles.ts'
import { allocationRole } from '../resources/task-json.ts'
import type { TaskRecord } from './state.ts'

export function isPartitionAware(framework: {
  readonly capabilities: ReadonlySet<string>
}): boolean {
  return framework.capabilities.has('PARTITION_AWARE')
}

/** Which state a framework is told: those that came with PARTITION_AWARE are TASK_LOST to all others. */
export function stateFor(
  framework: { readonly capabilities: ReadonlySet<string> },
  state:
    | 'TASK_DROPPED'
    | 'TASK_UNREACHABLE'
    | 'TASK_GONE'
    | 'TASK_GONE_BY_OPERATOR'
    | 'TASK_UNKNOWN',
): TaskState {
  return isPartitionAware(framework) ? state : 'TASK_LOST'
}

/** A status of the master's own: without uuid, so not to be acknowledged, and not repeated. */
export function masterStatus(
  taskId: string,
  agentId: string | undefined,
  state: TaskState,
  reason: TaskStatusReason | undefined,
  message: string,
  timestampSeconds: number,
): TaskStatus {
  return {
    task_id: { value: taskId },
    state,
    message,
    source: 'SOURCE_MASTER',
    ...(reason && { reason }),
    ...(agentId !== undefined && { agent_id: { value: agentId } }),
    timestamp: timestampSeconds,
  }
}

/** The status of the master's own that tells what it knows of a task; `state` is what to say that it is. */
export function statusOf(
  task: Task,
  state: TaskState,
  reason: TaskStatusReason,
  message: string,
  timestampSeconds: number,
): TaskStatus {
  const last = task.statuses?.at(-1)
  const taskId = task.task_id.value
  return {
    ...masterStatus(taskId, task.agent_id.value, state, reason, message, timestampSeconds),
    ...(task.executor_id && { executor_id: task.executor_id }),
    ...(last?.container_status && { container_status: last.container_status }),
    ...(last?.healthy !== undefined && { healthy: last.healthy }),
    ...(last?.check_status && { check_status: last.check_status }),
  }
}

/** The record of a task that was just accepted. `resources`: its own, allocated to nobody. */
export function newTask(
  info: TaskInfo,
  framework: { readonly id: string; readonly info: FrameworkInfo },
  role: string,
  resources: Resources,
): TaskRecord {
  const task: Task = {
    name: info.name,
    task_id: info.task_id,
    framework_id: { value: framework.id },
    agent_id: info.agent_id,
    state: 'TASK_STAGING',
    resources: resources.allocate(role).list(),
    statuses: [],
    ...(info.executor && { executor_id: info.executor.executor_id }),
    ...(info.labels && { labels: info.labels }),
    ...(info.discovery && { discovery: info.discovery }),
    ...(info.container && { container: withoutSecrets(info.container) }),
    ...(info.health_check && { health_check: info.health_check }),
    ...(info.kill_policy && { kill_policy: info.kill_policy }),
    ...(info.limits && { limits: info.limits }),
    ...(info.max_completion_time && { max_completion_time: info.max_completion_time }),
    user: info.command?.user ?? info.executor?.command?.user ?? framework.info.user,
  }
  return recordOf(task, role, resources)
}

/** The record of a task that an agent brought. The task object becomes this master's own. */
export function recordOf(task: Task, role: string, resources: Resources): TaskRecord {
  const statuses = [...(task.statuses ?? [])]
  return {
    task: { ...task, statuses },
    role,
    resources,
    statuses,
    holding: !isTerminal(task.state),
    kill: undefined,
  }
}

/** The role a task's resources are allocated to; `*` for what comes from agents that do not say. */
export function roleOf(task: Task): string {
  return allocationRole(task.resources) ?? DEFAULT_ROLE
}

/**
 * Lets a record follow an update. `state` runs ahead to the latest the agent knows; `status_update_state` is what the
 * scheduler was told last (`told`). A terminal task never changes state again.
 */
export function follow(record: TaskRecord, update: StatusUpdate, told: boolean): void {
  const { task, statuses } = record
  const { status } = update
  if (!isTerminal(task.state)) task.state = update.latest_state ?? status.state
  if (told && update.uuid !== undefined) {
    task.status_update_state = status.state
    task.status_update_uuid = update.uuid
  }
  addStatus(statuses, status)
}
