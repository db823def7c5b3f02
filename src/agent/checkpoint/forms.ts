// What is in the checkpoints' lines.

import * as v from 'valibot'
import { AgentInfo, DrainConfig } from '../../messages/agent.ts'
import { StatusUpdate } from '../../messages/agent-registration.ts'
import { FrameworkInfo } from '../../messages/framework.ts'
import { bytes, message, oneOf, text } from '../../messages/schema.ts'
import { ExecutorInfo, TaskInfo } from '../../messages/task.ts'

export { AgentInfo, FrameworkInfo, TaskInfo }

/** `launched_for`: the task with which the master counted it last. */
export const ExecutorRecord = message({
  kind: oneOf(['command', 'default', 'custom']),
  info: ExecutorInfo,
  launched_for: text,
})
export type ExecutorRecord = v.InferOutput<typeof ExecutorRecord>

/** The tasks of a group, in the directory of each of them. */
export const GroupRecord = message({ tasks: v.array(text) })
export type GroupRecord = v.InferOutput<typeof GroupRecord>

/** That a command was asked to end, when (ms since the epoch), and how long it may take then. */
export const KillRecord = message({
  why: oneOf(['request', 'completion time']),
  time_ms: v.number(),
  grace_ms: v.number(),
})
export type KillRecord = v.InferOutput<typeof KillRecord>

/** That the agent is being drained, how, and since when (ms since the epoch). */
export const DrainRecord = message({ config: DrainConfig, time_ms: v.number() })
export type DrainRecord = v.InferOutput<typeof DrainRecord>

/** Mesos' StatusUpdateRecord: an update, or the uuid of one that the scheduler has acknowledged. */
export const UpdateRecord = v.variant('type', [
  message({ type: v.literal('UPDATE'), update: StatusUpdate }),
  message({ type: v.literal('ACK'), uuid: bytes }),
])
export type UpdateRecord = v.InferOutput<typeof UpdateRecord>
