// What an agent finds of the one before it: what that wrote down, and what is left of its containers.

import type { Resource } from '../messages/resource.ts'
import type { DrainRecord } from './checkpoint/forms.ts'
import type { RecoveredFramework } from './checkpoint/recover.ts'
import type { LaunchedProcess } from './processes.ts'

export interface Recovered {
  readonly agentId: string
  /** What the agent has, as it is to be said from now on. */
  readonly resources: readonly Resource[]
  readonly frameworks: readonly RecoveredFramework[]
  /** That it was being drained. */
  readonly drain: DrainRecord | undefined
  /** By container id. */
  readonly containers: ReadonlyMap<string, LaunchedProcess>
  /** Checkpoints that could not be read, and were left out. */
  readonly errors: number
}
