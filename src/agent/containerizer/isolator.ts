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
  recover?(): void
  /** Says how a container is to be started, and sets its limits. Throws if that cannot be done: the launch fails. */
  prepare(container: ContainerConfig, plan: LaunchPlan): void
  /** The container has other resources now. Throws if they cannot be set. */
  update?(containerId: string, resources: Amounts, limits: Partial<Amounts>): void
  /** What it uses, added to `statistics`. `pid` is its first process. */
  usage?(containerId: string, pid: number, statistics: ContainerStatistics): void
  /** Whether it took too much. Asked again and again while it lives, and once more when it has ended. */
  limitation?(containerId: string): Limitation | undefined
  /** Nothing of it runs any more. */
  cleanup?(containerId: string): void
}
