// Puts an agent's actors together.

import type { Pid } from '../actors/pid.ts'
import type { Runtime } from '../actors/runtime.ts'
import { Agent } from './agent.ts'
import { FilesActor } from './files.ts'
import type { AgentOptions } from './options.ts'

/** Id of the agent's actor, and of the one that answers paths which name no actor; as in Mesos. */
export const AGENT_ID = 'slave(1)'

/**
 * Starts an agent on a runtime that listens: the actors `slave(1)`, `task-status-update-manager(1)` and `files`. It
 * registers with the master by itself, for as long as that takes. Returns its pid.
 */
export function startAgent(runtime: Runtime, options: AgentOptions): Pid {
  const files = new FilesActor(options.files)
  runtime.spawn(files, 'files')
  const agent = runtime.spawn(new Agent(options, files), AGENT_ID)
  runtime.delegate = AGENT_ID
  return agent
}
