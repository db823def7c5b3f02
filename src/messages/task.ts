// Tasks: what a framework asks to be run, and the master's record of it.

import type * as v from 'valibot'
import { CheckInfo, HealthCheck } from './check.ts'
import { CommandInfo } from './command.ts'
import { ContainerInfo } from './container.ts'
import { DiscoveryInfo } from './discovery.ts'
import { AgentID, ExecutorID, FrameworkID, TaskID } from './ids.ts'
import { Resource } from './resource.ts'
import { bytes, choice, mapOf, message, optional, repeated, text } from './schema.ts'
import { TaskState, TaskStatus } from './status.ts'
import { DurationInfo, Labels, LimitScalar } from './values.ts'

/** How a task is killed: SIGTERM, then SIGKILL after the grace period. */
export const KillPolicy = message({ grace_period: optional(DurationInfo) })
export type KillPolicy = v.InferOutput<typeof KillPolicy>

/**
 * The process that runs tasks on an agent. `DEFAULT` is the built-in executor of task groups; `CUSTOM`, or no type,
 * the framework's own program. `shutdown_grace_period` is how long it may take to end after SHUTDOWN.
 */
export const ExecutorInfo = message({
  type: choice(['DEFAULT', 'CUSTOM']),
  executor_id: ExecutorID,
  framework_id: optional(FrameworkID),
  command: optional(CommandInfo),
  container: optional(ContainerInfo),
  resources: repeated(Resource),
  name: optional(text),
  source: optional(text),
  data: optional(bytes),
  discovery: optional(DiscoveryInfo),
  shutdown_grace_period: optional(DurationInfo),
  labels: optional(Labels),
})
export type ExecutorInfo = v.InferOutput<typeof ExecutorInfo>

/**
 * One task. Exactly one of `command` (the agent's command executor runs it) and `executor` is set, except in a group,
 * whose executor stands beside the group. `limits` are upper bounds above the requested `resources` (cpus, mem).
 */
export const TaskInfo = message({
  name: text,
  task_id: TaskID,
  agent_id: AgentID,
  resources: repeated(Resource),
  executor: optional(ExecutorInfo),
  command: optional(CommandInfo),
  container: optional(ContainerInfo),
  health_check: optional(HealthCheck),
  check: optional(CheckInfo),
  kill_policy: optional(KillPolicy),
  data: optional(bytes),
  labels: optional(Labels),
  discovery: optional(DiscoveryInfo),
  max_completion_time: optional(DurationInfo),
  limits: mapOf(LimitScalar),
})
export type TaskInfo = v.InferOutput<typeof TaskInfo>

/** Tasks that are launched together or not at all, on one executor. */
export const TaskGroupInfo = message({ tasks: repeated(TaskInfo) })
export type TaskGroupInfo = v.InferOutput<typeof TaskGroupInfo>

/**
 * What master and agent remember of a task. `state` is the latest known; `status_update_state` and
 * `status_update_uuid` are those of the update last sent to the scheduler, which may lag behind. `statuses` is the
 * history without data, equal states in a row collapsed to the last. `executor_id` is absent for command tasks.
 */
export const Task = message({
  name: text,
  task_id: TaskID,
  framework_id: FrameworkID,
  executor_id: optional(ExecutorID),
  agent_id: AgentID,
  state: TaskState,
  resources: repeated(Resource),
  statuses: repeated(TaskStatus),
  status_update_state: optional(TaskState),
  status_update_uuid: optional(bytes),
  labels: optional(Labels),
  discovery: optional(DiscoveryInfo),
  container: optional(ContainerInfo),
  health_check: optional(HealthCheck),
  kill_policy: optional(KillPolicy),
  user: optional(text),
  limits: mapOf(LimitScalar),
  /** Not in the v1 record; kept so that a master that rebuilt its state can still say when the task must end. */
  max_completion_time: optional(DurationInfo),
})
export type Task = v.InferOutput<typeof Task>
