// What starts containers' processes and ends them. `posix`: posix-processes.ts; `linux`: linux-launcher.ts.

import type { Input } from '../attachment.ts'
import type { JoinedProcess, KillSignal, LaunchedProcess, LaunchSpec } from '../processes.ts'
import type { LaunchPlan } from './container.ts'

/** What is in front of a program's command line, and what is added to its environment, so that it runs in a container. */
export interface Entrance {
  readonly front: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** A process of the container in whose namespaces it is to be. */
  readonly pid: number
}

/** Between the id of a container and the name of what joins it: together they are the id of the latter. */
export const JOINED = '..'

/** With its input and output, if the plan is to hold them. */
export type StartedProcess = LaunchedProcess & Partial<Pick<JoinedProcess, 'input' | 'output'>>

export interface Launcher {
  /** Makes what a container needs to be in before isolators set its limits. */
  prepare?(spec: LaunchSpec): void
  /** As `Processes.launch`, the way that the plan wants it. `exited` resolves before anything of it is cleared away. */
  launch(spec: LaunchSpec, plan?: LaunchPlan): Promise<StartedProcess>
  /** As `Processes.recover`, of these containers. */
  recover(known: ReadonlySet<string>): Promise<ReadonlyMap<string, LaunchedProcess>>
  /** As `Processes.forget`. */
  forget(containerId: string): void
  killTree(pid: number, signal: KillSignal): void
  /** The way into a container that runs and was started with a terminal. */
  input(containerId: string): Input | undefined
  /** How a program gets into a container that runs; undefined if it runs no more, or not yet. */
  entrance(containerId: string, pid: number, plan: LaunchPlan): Entrance | undefined
  /** What is left of it goes: the program has ended, or never started. Resolves when nothing of it runs any more. */
  release?(containerId: string): Promise<void>
  /** All containers are killed that do not survive. No `exited` resolves from then on. */
  close(): Promise<void>
}
