// What starts containers' processes and ends them. `posix`: posix-processes.ts; `linux`: linux-launcher.ts.

import type { KillSignal, LaunchedProcess, LaunchSpec } from '../processes.ts'
import type { LaunchPlan } from './container.ts'

/** What is in front of a program's command line, and what is added to its environment, so that it runs in a container. */
export interface Entrance {
  readonly front: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface Launcher {
  /** Makes what a container needs to be in before isolators set its limits. */
  prepare?(spec: LaunchSpec): void
  /** As `Processes.launch`, the way that the plan wants it. `exited` resolves before anything of it is cleared away. */
  launch(spec: LaunchSpec, plan?: LaunchPlan): Promise<LaunchedProcess>
  /** As `Processes.recover`, of these containers. */
  recover(known: ReadonlySet<string>): Promise<ReadonlyMap<string, LaunchedProcess>>
  /** As `Processes.forget`. */
  forget(containerId: string): void
  killTree(pid: number, signal: KillSignal): void
  /** How a program gets into a container that runs; undefined if it runs no more. */
  entrance(containerId: string, pid: number, plan: LaunchPlan): Entrance | undefined
  /** What is left of it goes: the program has ended, or never started. Resolves when nothing of it runs any more. */
  release?(containerId: string): Promise<void>
  /** All containers are killed that do not survive. No `exited` resolves from then on. */
  close(): Promise<void>
}
