// Puts an agent's actors together.

import type { Pid } from '../actors/pid.ts'
import type { Runtime } from '../actors/runtime.ts'
import { Agent } from './agent.ts'
import { FilesActor } from './files.ts'
import type { AgentOptions } from './options.ts'

/** Id of the agent's actor, and of the one that answers paths which name no actor; as in Mesos. */
export const AGENT_ID = 'slave(1)'

const agents = new WeakMap<Runtime, Agent>()

/**
 * Starts an agent on a runtime that listens: the actors `slave(1)`, `task-status-update-manager(1)` and `files`. It
 * registers with the master by itself, for as long as that takes. Returns its pid.
 */
export function startAgent(runtime: Runtime, options: AgentOptions): Pid {
  const files = new FilesActor(options.files)
  runtime.spawn(files, 'files')
  const agent = new Agent(options, files)
  agents.set(runtime, agent)
  const pid = runtime.spawn(agent, AGENT_ID)
  runtime.delegate = AGENT_ID
  return pid
}

/**
 * Ends the agent of a runtime for good, as SIGUSR1 does in Mesos: its id is given back and all it runs is ended in
 * order. Resolves when that is done.
 */
export async function unregisterAgent(runtime: Runtime, reason: string): Promise<void> {
  const agent = agents.get(runtime)
  if (!agent) return
  agent.unregister(reason)
  await runtime.wait(agent.self)
}
