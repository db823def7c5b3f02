// The conversation between an agent and the leading master: registration, liveness, tasks and their updates.
//
// All of it is casts: what must survive a loss is repeated by a timer of its sender until the peer's own message
// answers it (register until `registered`, an update until its acknowledgement).

import * as v from 'valibot'
import { call, cast, protocol } from '../actors/protocol.ts'
import { AgentInfo, DrainConfig } from './agent.ts'
import { Capability, FrameworkInfo } from './framework.ts'
import { AgentID, ExecutorID, FrameworkID, TaskID } from './ids.ts'
import { Resource } from './resource.ts'
import { bytes, double, flag, integer, message, optional, text } from './schema.ts'
import { TaskState, TaskStatus } from './status.ts'
import { ExecutorInfo, KillPolicy, Task, TaskGroupInfo, TaskInfo } from './task.ts'

const list = v.array

const identity = {
  agent: AgentInfo,
  /** The agent program's version; the master ignores versions it cannot work with. */
  version: text,
  agent_capabilities: list(Capability),
  /** Dynamic reservations and volumes the agent has stored; they belong to `agent.resources`' total. */
  checkpointed_resources: list(Resource),
  /** Changes whenever the agent's resources do, so that operations on an old view are refused. */
  resource_version_uuid: optional(bytes),
}

/** Sent by an agent without id, again and again with back-off, until `registered`. */
export const RegisterAgent = message(identity)
export type RegisterAgent = v.InferOutput<typeof RegisterAgent>

/**
 * Sent by an agent that has an id to every new leading master, and after a lost connection, until `reregistered`.
 * With all it runs: a new master knows frameworks, executors and tasks from nowhere else.
 */
const content = {
  tasks: list(Task),
  executor_infos: list(ExecutorInfo),
  frameworks: list(FrameworkInfo),
}
export const ReregisterAgent = message({
  ...identity,
  ...content,
  /** So many `reregister_part` were sent right before it. */
  parts: optional(integer),
  /** The `registration` that the agent heard of last. */
  registration: optional(text),
})
export type ReregisterAgent = v.InferOutput<typeof ReregisterAgent>

/**
 * What an agent runs may be more than one message holds, and more than may wait for a peer: each part is sent when the one
 * before it has been taken. `index` counts from 0.
 */
export const ReregisterPart = message({ index: integer, ...content })
export type ReregisterPart = v.InferOutput<typeof ReregisterPart>
/** `taken` false: begin again, a while later. */
export const PartTaken = message({ taken: flag })

/** Sent by an agent that ends for good (asked to by its operator): its tasks are over, its id is given back. */
export const UnregisterAgent = message({ agent_id: AgentID })
export type UnregisterAgent = v.InferOutput<typeof UnregisterAgent>

/**
 * One status on its way. `uuid` names it; without one (made by the master) it is not to be acknowledged.
 * `timestamp`: when the update was made, seconds since the epoch. `latest_state`: what the sender knows by now, which
 * may be ahead of `status.state`, as updates wait for each other's acknowledgement.
 */
export const StatusUpdate = message({
  framework_id: FrameworkID,
  executor_id: optional(ExecutorID),
  agent_id: AgentID,
  status: TaskStatus,
  timestamp: double,
  uuid: optional(bytes),
  latest_state: optional(TaskState),
})
export type StatusUpdate = v.InferOutput<typeof StatusUpdate>

/** Sent by an agent when a task's state changed; repeated with back-off until `status_update_acknowledgement`. */
export const StatusUpdateMessage = message({ update: StatusUpdate })
export type StatusUpdateMessage = v.InferOutput<typeof StatusUpdateMessage>

/** Sent by an agent when a custom executor ended. `status`: its wait(2) status. */
export const ExitedExecutor = message({
  agent_id: AgentID,
  framework_id: FrameworkID,
  executor_id: ExecutorID,
  status: integer,
  /** The task with which it was launched: tells it from a later one of the same id. */
  launched_for: optional(TaskID),
})
export type ExitedExecutor = v.InferOutput<typeof ExitedExecutor>

/** Bytes between an executor and its scheduler, through agent and master; may be lost. */
export const ExecutorMessage = message({
  agent_id: AgentID,
  framework_id: FrameworkID,
  executor_id: ExecutorID,
  data: bytes,
})
export type ExecutorMessage = v.InferOutput<typeof ExecutorMessage>

/** The answer to `ping`, sent at once. */
export const Pong = message({ agent_id: AgentID })
export type Pong = v.InferOutput<typeof Pong>

/** Served by the master. Sent by agents to `master`. */
export const MasterAgent = protocol('master.agent', {
  register_agent: cast(RegisterAgent),
  reregister_part: call(ReregisterPart, PartTaken),
  reregister_agent: cast(ReregisterAgent),
  unregister_agent: cast(UnregisterAgent),
  status_update: cast(StatusUpdateMessage),
  exited_executor: cast(ExitedExecutor),
  executor_message: cast(ExecutorMessage),
  pong: cast(Pong),
})

/** After this long without a ping the agent takes the master for lost and registers again. */
export const MasterConnection = message({ total_ping_timeout_seconds: double })
export type MasterConnection = v.InferOutput<typeof MasterConnection>

/**
 * Sent when the registry has admitted the agent; and again if the agent's request came again. `registration` names this
 * answer, and no other one: the agent names it when it asks again. `drain`: as in `Drain`.
 */
export const Registered = message({
  agent_id: AgentID,
  connection: MasterConnection,
  registration: optional(text),
  drain: optional(DrainConfig),
})
export type Registered = v.InferOutput<typeof Registered>

/** Tasks of one framework the master believes on the agent, which did not report them. */
export const Reconciliation = message({ framework_id: FrameworkID, statuses: list(TaskStatus) })
export type Reconciliation = v.InferOutput<typeof Reconciliation>

/**
 * Sent when the agent is back. For each status in `reconciliations` whose task the agent does not know it answers with
 * an update: TASK_DROPPED, or TASK_LOST to a framework that is not partition-aware. `drain`: as in `Drain`.
 */
export const Reregistered = message({
  agent_id: AgentID,
  connection: MasterConnection,
  reconciliations: list(Reconciliation),
  registration: optional(text),
  drain: optional(DrainConfig),
})
export type Reregistered = v.InferOutput<typeof Reregistered>

/**
 * Sent every 15 s by default. `connected` false: the master does not count this agent as registered. With `registration`:
 * it did not take what the agent said last, which was older than that.
 */
export const Ping = message({ connected: flag, registration: optional(text) })
export type Ping = v.InferOutput<typeof Ping>

/**
 * Run this task; its executor, if any, is in it. `framework` is what the agent stores and reports at reregistration.
 * `launch_executor`: whether the master has counted a new executor for it; if not, it is for one that runs, and must not
 * start another, which nobody would have counted. `launched_for`: the task with which that one was launched, as far as the
 * master knows.
 */
export const RunTask = message({
  framework: FrameworkInfo,
  task: TaskInfo,
  launch_executor: optional(flag),
  launched_for: optional(TaskID),
})
export type RunTask = v.InferOutput<typeof RunTask>

/** Run these tasks on this executor, all or none. The rest as in `RunTask`. */
export const RunTaskGroup = message({
  framework: FrameworkInfo,
  executor: ExecutorInfo,
  task_group: TaskGroupInfo,
  launch_executor: optional(flag),
  launched_for: optional(TaskID),
})
export type RunTaskGroup = v.InferOutput<typeof RunTaskGroup>

/** Kill this task, under this policy rather than the task's own, if given. */
export const KillTask = message({
  framework_id: FrameworkID,
  task_id: TaskID,
  kill_policy: optional(KillPolicy),
})
export type KillTask = v.InferOutput<typeof KillTask>

/** The scheduler has the update `uuid`: the agent may send the task's next one. */
export const StatusUpdateAcknowledgement = message({
  agent_id: AgentID,
  framework_id: FrameworkID,
  task_id: TaskID,
  uuid: bytes,
})
export type StatusUpdateAcknowledgement = v.InferOutput<typeof StatusUpdateAcknowledgement>

/** The framework is gone: end its executors and tasks; nobody waits for their updates. */
export const ShutdownFramework = message({ framework_id: FrameworkID })
export type ShutdownFramework = v.InferOutput<typeof ShutdownFramework>

/** The scheduler wants this executor ended, with all its tasks. */
export const ShutdownExecutor = message({ framework_id: FrameworkID, executor_id: ExecutorID })
export type ShutdownExecutor = v.InferOutput<typeof ShutdownExecutor>

/** The agent is refused or gone for the cluster (`message` says why): it ends all it runs and itself. */
export const Shutdown = message({ message: text })
export type Shutdown = v.InferOutput<typeof Shutdown>

/**
 * An operator drains the agent: it kills all that runs, and refuses what comes. Without `drain` the agent is in service again.
 * Said once more with every answer to a registration.
 */
export const Drain = message({ drain: optional(DrainConfig) })
export type Drain = v.InferOutput<typeof Drain>

/** The framework described itself anew, or its scheduler moved: the agent stores this one. */
export const UpdateFramework = message({ framework: FrameworkInfo })
export type UpdateFramework = v.InferOutput<typeof UpdateFramework>

/** Served by the agent. Sent by the leading master. */
export const AgentMaster = protocol('agent.master', {
  registered: cast(Registered),
  reregistered: cast(Reregistered),
  ping: cast(Ping),
  run_task: cast(RunTask),
  run_task_group: cast(RunTaskGroup),
  kill_task: cast(KillTask),
  status_update_acknowledgement: cast(StatusUpdateAcknowledgement),
  shutdown_framework: cast(ShutdownFramework),
  shutdown_executor: cast(ShutdownExecutor),
  framework_message: cast(ExecutorMessage),
  shutdown: cast(Shutdown),
  update_framework: cast(UpdateFramework),
  drain: cast(Drain),
})
