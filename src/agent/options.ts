// What an agent is told at its start, by its flags or by a test.

import type { Address } from '../actors/pid.ts'
import type { Resource } from '../messages/resource.ts'
import type { Attribute } from '../messages/values.ts'
import type { Environment } from './environment.ts'
import type { Processes } from './processes.ts'
import type { SandboxFiles } from './sandbox-files.ts'

/** Values of flags that an agent acts upon while it runs. Times in milliseconds. */
export interface AgentSettings {
  readonly registrationBackoffMs: number
  readonly executorRegistrationTimeoutMs: number
  readonly executorShutdownGraceMs: number
}

export const DEFAULT_SETTINGS: AgentSettings = {
  registrationBackoffMs: 1_000,
  executorRegistrationTimeoutMs: 60_000,
  executorShutdownGraceMs: 5_000,
}

export interface AgentOptions {
  /** Where masters listen. The first one is asked; an ensemble's leader will be found among all. */
  readonly masters: readonly [Address, ...Address[]]
  readonly hostname: string
  /** The address and port by which others reach this agent. */
  readonly ip: string
  readonly port: number
  readonly resources: readonly Resource[]
  readonly attributes: readonly Attribute[]
  readonly workDir: string
  readonly runtimeDir: string
  readonly settings: AgentSettings
  /** For `/flags` and `/state`. */
  readonly printableFlags: Readonly<Record<string, string>>
  readonly version: string
  /** What every executor's environment begins with: PATH, and `--executor_environment_variables`. */
  readonly environment: Environment
  /** The account that the agent, and so every task, runs under. */
  readonly user: string
  readonly processes: Processes
  readonly files: SandboxFiles
  /** The agent was told to end, and has ended all it ran: the process should exit now. */
  readonly onShutdown?: (reason: string) => void
}
