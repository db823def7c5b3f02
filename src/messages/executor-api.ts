// The conversation between an executor and its agent: the v1 executor API.
//
// `ExecutorCall` and `ExecutorEvent` are Call and Event of mesos/v1/executor/executor.proto, the same over an actor
// link as over HTTP.

import * as v from 'valibot'
import { cast, protocol } from '../actors/protocol.ts'
import { AgentInfo } from './agent.ts'
import { FrameworkInfo } from './framework.ts'
import { AgentID, ContainerID, ExecutorID, FrameworkID, TaskID } from './ids.ts'
import { bytes, message, optional, repeated, text, variant } from './schema.ts'
import { TaskStatus } from './status.ts'
import { ExecutorInfo, KillPolicy, TaskGroupInfo, TaskInfo } from './task.ts'

const sender = { executor_id: ExecutorID, framework_id: FrameworkID }
const Update = message({ status: TaskStatus })

/**
 * What an executor says to its agent.
 * - `SUBSCRIBE`: first of all, and after every reconnection: with the tasks none of whose updates was acknowledged,
 *   and the updates not acknowledged, so that an agent that forgot learns of them again.
 * - `UPDATE`: a task's status, with a uuid of the executor's choice; to be kept until ACKNOWLEDGED.
 * - `MESSAGE`: bytes for the scheduler; may be lost.
 * - `HEARTBEAT`: now and then, so that silence means a broken connection.
 */
export const ExecutorCall = variant('type', [
  message({
    type: v.literal('SUBSCRIBE'),
    ...sender,
    subscribe: message({
      unacknowledged_tasks: repeated(TaskInfo),
      unacknowledged_updates: repeated(Update),
      /** The agent that started it: one that has another id knows nothing of its tasks, though it may have an executor so named. */
      agent_id: optional(AgentID),
    }),
  }),
  message({ type: v.literal('UPDATE'), ...sender, update: Update }),
  message({ type: v.literal('MESSAGE'), ...sender, message: message({ data: bytes }) }),
  message({ type: v.literal('HEARTBEAT'), ...sender }),
])
export type ExecutorCall = v.InferOutput<typeof ExecutorCall>

/**
 * What an agent says to a subscribed executor.
 * - `SUBSCRIBED`: the answer to SUBSCRIBE, and the first event.
 * - `LAUNCH`, `LAUNCH_GROUP`: tasks to run, in the order of the launches.
 * - `KILL`: a task, under this policy rather than the task's own, if given.
 * - `ACKNOWLEDGED`: the agent has stored the update (the scheduler need not have seen it).
 * - `MESSAGE`: bytes from the scheduler; may be lost.
 * - `SHUTDOWN`: end all tasks and yourself within the grace period.
 * - `ERROR`: the agent refuses this executor; nothing follows. `HEARTBEAT`: as in ExecutorCall.
 */
export const ExecutorEvent = variant('type', [
  message({
    type: v.literal('SUBSCRIBED'),
    subscribed: message({
      executor_info: ExecutorInfo,
      framework_info: FrameworkInfo,
      agent_info: AgentInfo,
      container_id: optional(ContainerID),
    }),
  }),
  message({ type: v.literal('LAUNCH'), launch: message({ task: TaskInfo }) }),
  message({
    type: v.literal('LAUNCH_GROUP'),
    launch_group: message({ task_group: TaskGroupInfo }),
  }),
  message({
    type: v.literal('KILL'),
    kill: message({ task_id: TaskID, kill_policy: optional(KillPolicy) }),
  }),
  message({
    type: v.literal('ACKNOWLEDGED'),
    acknowledged: message({ task_id: TaskID, uuid: bytes }),
  }),
  message({ type: v.literal('MESSAGE'), message: message({ data: bytes }) }),
  message({ type: v.literal('ERROR'), error: message({ message: text }) }),
  message({ type: v.literal('SHUTDOWN') }),
  message({ type: v.literal('HEARTBEAT') }),
])
export type ExecutorEvent = v.InferOutput<typeof ExecutorEvent>

/** Served by the agent. Sent by executors to their agent. */
export const AgentExecutor = protocol('agent.executor', { call: cast(ExecutorCall) })

/** Served by an executor. Sent by its agent. */
export const ExecutorEvents = protocol('executor', { event: cast(ExecutorEvent) })
