// The agent's v1 API: calls that people and executors make over HTTP, as JSON (Mesos' agent.proto). What is not here the agent
// answers 400, naming those that it knows.

import * as v from 'valibot'
import { CommandInfo } from './command.ts'
import { ContainerInfo, TTYInfo } from './container.ts'
import { ContainerID } from './ids.ts'
import { bytes, flag, message, oneOf, optional, unsigned, variant } from './schema.ts'

const Named = message({ container_id: ContainerID })

const Launch = message({
  container_id: ContainerID,
  command: CommandInfo,
  container: optional(ContainerInfo),
})
export type Launch = v.InferOutput<typeof Launch>

/** `signal`: 9, the default, or 15. */
const Kill = message({ container_id: ContainerID, signal: optional(unsigned) })

const call = <const T extends string, const E extends v.ObjectEntries>(type: T, entries: E) =>
  message({ type: v.literal(type), ...entries })

/** The names with NESTED are those that Mesos had first; both mean the same. */
export const AgentCall = variant('type', [
  call('GET_HEALTH', {}),
  call('GET_FLAGS', {}),
  call('GET_VERSION', {}),
  call('GET_STATE', {}),
  call('GET_CONTAINERS', {
    get_containers: optional(message({ show_nested: optional(flag) })),
  }),
  call('LAUNCH_CONTAINER', { launch_container: Launch }),
  call('LAUNCH_NESTED_CONTAINER', { launch_nested_container: Launch }),
  call('LAUNCH_NESTED_CONTAINER_SESSION', { launch_nested_container_session: Launch }),
  call('WAIT_CONTAINER', { wait_container: Named }),
  call('WAIT_NESTED_CONTAINER', { wait_nested_container: Named }),
  call('KILL_CONTAINER', { kill_container: Kill }),
  call('KILL_NESTED_CONTAINER', { kill_nested_container: Kill }),
  call('REMOVE_CONTAINER', { remove_container: Named }),
  call('REMOVE_NESTED_CONTAINER', { remove_nested_container: Named }),
  call('ATTACH_CONTAINER_OUTPUT', { attach_container_output: Named }),
])
export type AgentCall = v.InferOutput<typeof AgentCall>

/** What goes in and out, in records of either direction. Empty data of STDIN means that there is no more. */
export const ProcessIO = variant('type', [
  message({
    type: v.literal('DATA'),
    data: message({ type: oneOf(['STDIN', 'STDOUT', 'STDERR']), data: optional(bytes) }),
  }),
  message({
    type: v.literal('CONTROL'),
    control: variant('type', [
      message({ type: v.literal('TTY_INFO'), tty_info: TTYInfo }),
      message({
        type: v.literal('HEARTBEAT'),
        heartbeat: optional(message({ interval: optional(message({ nanoseconds: unsigned })) })),
      }),
    ]),
  }),
])
export type ProcessIO = v.InferOutput<typeof ProcessIO>

/** The records of the one call that is a stream: first of all whose input it is. */
export const AttachInput = message({
  type: v.literal('ATTACH_CONTAINER_INPUT'),
  attach_container_input: variant('type', [
    message({ type: v.literal('CONTAINER_ID'), container_id: ContainerID }),
    message({ type: v.literal('PROCESS_IO'), process_io: ProcessIO }),
  ]),
})
export type AttachInput = v.InferOutput<typeof AttachInput>
