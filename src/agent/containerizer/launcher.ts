// What starts containers' processes and ends them. `posix`: posix-processes.ts; `linux`: linux-launcher.ts.

import type { KillSignal, LaunchedProcess, LaunchSpec } from '../processes.ts'
import type { LaunchPlan } from './container.ts'

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
  /** What is left of it goes: the program has ended, or never started. Resolves when nothing of it runs any more. */
  release?(containerId: string): Promise<void>
  /** All containers are killed that do not survive. No `exited` resolves from then on. */
  close(): Promise<void>
}
