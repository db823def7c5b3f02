// Where what containers print goes. sandbox-logger.ts: into files, as they write it. logrotate-logger.ts: into files that are
// rotated.

import type { Account } from '../containerizer/container.ts'
import type { LaunchSpec } from '../processes.ts'

/** A container's standard output and error, to be given to the process that is started. */
export interface Outputs {
  readonly stdout: number
  readonly stderr: number
  /** The process has them, or there will be none. */
  close(): void
}

export interface ContainerLogger {
  /** `owner`: whose files of output that are still to be made will be; absent: the agent's. */
  open(spec: LaunchSpec, owner: Account | undefined): Promise<Outputs>
  /** Resolves when all that a container has printed is in its files. Nothing of it runs any more. */
  ended?(containerId: string): Promise<void>
  /** The agent ends. What surviving containers print is written on. */
  close?(): Promise<void>
}
