// One kind of isolation. Each isolator knows one thing that the kernel does and nothing of the others; the containerizer
// calls them in the order of isolation.ts.

import type {
  Amounts,
  ContainerConfig,
  ContainerStatistics,
  LaunchPlan,
  Limitation,
} from './container.ts'
import type { IsolatorName } from './isolation.ts'

export interface Isolator {
  readonly name: IsolatorName
  /** Controllers of control groups that a container has to be in for this. Its groups are there when `prepare` is called. */
  readonly controllers?: readonly string[]
  /** Looks at the machine, once, before anything runs. Throws a `UserError` if this isolation is not to be had. */
  recover?(): void | Promise<void>
  /**
   * Says how a container is to be started, and sets its limits. Throws if that cannot be done: the launch fails. What takes its
   * time for that ends when `stop` says that nobody wants the container any more.
   */
  prepare(container: ContainerConfig, plan: LaunchPlan, stop?: AbortSignal): void | Promise<void>
  /** As `prepare`, of a container that runs already, to which nothing is done. Absent: `prepare` does no more than plan. */
  replan?(container: ContainerConfig, plan: LaunchPlan): void
  /** All containers of before that are left have been planned again. */
  recovered?(): Promise<void>
  /** What those nested in a container share stays, also while there are none, until the answer is called. */
  hold?(containerId: string): () => void
  /** The container has other resources now. Throws if they cannot be set. */
  update?(containerId: string, resources: Amounts, limits: Partial<Amounts>): void
  /** What it uses, added to `statistics`. `pid` is its first process. */
  usage?(containerId: string, pid: number, statistics: ContainerStatistics): void
  /** Whether it took too much. Asked again and again while it lives, and once more when it has ended. */
  limitation?(containerId: string): Limitation | undefined
  /** Nothing of it runs any more. */
  cleanup?(containerId: string): void | Promise<void>
  /** The agent ends. All containers have been killed but those that survive. */
  close?(): Promise<void>
}
