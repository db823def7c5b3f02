// States of tasks, why they are in them, and the statuses that say so.

import type * as v from 'valibot'
import { CheckStatusInfo } from './check.ts'
import { ContainerStatus } from './container.ts'
import { AgentID, ExecutorID, TaskID } from './ids.ts'
import { Resource } from './resource.ts'
import { bytes, choice, double, flag, message, oneOf, optional, repeated, text } from './schema.ts'
import { Labels, TimeInfo } from './values.ts'

/**
 * - `TASK_STAGING`: accepted by the master, not yet started. `TASK_STARTING`: the executor has it.
 * - `TASK_RUNNING`. `TASK_KILLING`: being killed (only to frameworks with TASK_KILLING_STATE).
 * - `TASK_FINISHED`: done with success. `TASK_FAILED`: not. `TASK_KILLED`: by the framework, an operator or a policy.
 * - `TASK_ERROR`: its description is invalid; trying again as it is makes no sense.
 * - `TASK_LOST`: for frameworks without PARTITION_AWARE, any of the four below.
 * - `TASK_DROPPED`: never started. `TASK_UNREACHABLE`: its agent is out of reach; it may come back.
 * - `TASK_GONE`: is not running any more. `TASK_GONE_BY_OPERATOR`: its agent was declared gone by an operator.
 * - `TASK_UNKNOWN`: the cluster knows nothing of it (answers to reconciliation only).
 */
export const TASK_STATES = [
  'TASK_STAGING',
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_UNREACHABLE',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
] as const
export const TaskState = oneOf(TASK_STATES)
export type TaskState = v.InferOutput<typeof TaskState>

/**
 * States a task never leaves. TASK_GONE_BY_OPERATOR counts, for the operator's word is final; TASK_UNREACHABLE and
 * TASK_UNKNOWN do not: such a task may be running.
 */
export const TERMINAL_STATES: ReadonlySet<TaskState> = new Set<TaskState>([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
])

/** Whether a task in this state has ended for ever. */
export function isTerminal(state: TaskState): boolean {
  return TERMINAL_STATES.has(state)
}

/** Which part made the status. A status of the master has no uuid and must not be acknowledged. */
export const TASK_STATUS_SOURCES = ['SOURCE_MASTER', 'SOURCE_AGENT', 'SOURCE_EXECUTOR'] as const
export type TaskStatusSource = (typeof TASK_STATUS_SOURCES)[number]

/** Why, for machines; `TaskStatus.message` says it to people. The list of Mesos' docs/task-state-reasons.md. */
export const TASK_STATUS_REASONS = [
  'REASON_COMMAND_EXECUTOR_FAILED',
  'REASON_CONTAINER_LAUNCH_FAILED',
  'REASON_CONTAINER_LIMITATION',
  'REASON_CONTAINER_LIMITATION_DISK',
  'REASON_CONTAINER_LIMITATION_MEMORY',
  'REASON_CONTAINER_PREEMPTED',
  'REASON_CONTAINER_UPDATE_FAILED',
  'REASON_MAX_COMPLETION_TIME_REACHED',
  'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
  'REASON_EXECUTOR_TERMINATED',
  'REASON_EXECUTOR_UNREGISTERED',
  'REASON_FRAMEWORK_REMOVED',
  'REASON_GC_ERROR',
  'REASON_INVALID_FRAMEWORKID',
  'REASON_INVALID_OFFERS',
  'REASON_IO_SWITCHBOARD_EXITED',
  'REASON_MASTER_DISCONNECTED',
  'REASON_RECONCILIATION',
  'REASON_RESOURCES_UNKNOWN',
  'REASON_AGENT_DISCONNECTED',
  'REASON_AGENT_DRAINING',
  'REASON_AGENT_REMOVED',
  'REASON_AGENT_REMOVED_BY_OPERATOR',
  'REASON_AGENT_REREGISTERED',
  'REASON_AGENT_RESTARTED',
  'REASON_AGENT_UNKNOWN',
  'REASON_TASK_KILLED_DURING_LAUNCH',
  'REASON_TASK_CHECK_STATUS_UPDATED',
  'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED',
  'REASON_TASK_GROUP_INVALID',
  'REASON_TASK_GROUP_UNAUTHORIZED',
  'REASON_TASK_INVALID',
  'REASON_TASK_UNAUTHORIZED',
  'REASON_TASK_UNKNOWN',
] as const
export type TaskStatusReason = (typeof TASK_STATUS_REASONS)[number]

/**
 * The state of a task at one time. `timestamp` in seconds since the epoch; `uuid` (16 bytes, base64) names the update
 * that must be acknowledged with it; `data` is the executor's own; `limitation` lists the resources of which a
 * container took too much.
 */
export const TaskStatus = message({
  task_id: TaskID,
  state: TaskState,
  message: optional(text),
  source: choice(TASK_STATUS_SOURCES),
  reason: choice(TASK_STATUS_REASONS),
  data: optional(bytes),
  agent_id: optional(AgentID),
  executor_id: optional(ExecutorID),
  timestamp: optional(double),
  uuid: optional(bytes),
  healthy: optional(flag),
  check_status: optional(CheckStatusInfo),
  labels: optional(Labels),
  container_status: optional(ContainerStatus),
  unreachable_time: optional(TimeInfo),
  limitation: optional(message({ resources: repeated(Resource) })),
})
export type TaskStatus = v.InferOutput<typeof TaskStatus>

/** So many statuses of a task are remembered. */
export const MAX_STATUSES = 100

/**
 * Adds a status to a task's history, without `data`; equal states in a row collapse to the last. Of a history that is
 * full the first status stays, which says when the task began, and the latest ones.
 */
export function addStatus(history: TaskStatus[], status: TaskStatus): void {
  const { data: _, ...entry } = status
  if (history.at(-1)?.state === status.state) history.pop()
  else if (history.length >= MAX_STATUSES) history.splice(1, 1)
  history.push(entry)
}
