// What containers used when they were looked at last. One that has had no processor since then has started nothing, asked for no
// memory and read no file: all but what the kernel takes back by itself is as it was. Most of many containers are idle most of the
// time, and one short file tells that of each.

import type { Clock } from '../../actors/clock.ts'
import type { ContainerStatistics } from './container.ts'

/** So old is what is said of an idle one at most, and no less than half of it: not all are looked at again at one time. */
const MAX_AGE_MS = 20_000
const STEPS = 16

interface Known {
  readonly activity: string
  readonly statistics: ContainerStatistics
  readonly untilMs: number
}

export class LastUsage {
  readonly #clock: Pick<Clock, 'now'>
  readonly #activity: (containerId: string) => string | undefined
  readonly #known = new Map<string, Known>()
  #count = 0

  /** `activity`: another text whenever the container has had a processor; undefined where that cannot be known. */
  constructor(
    clock: Pick<Clock, 'now'>,
    activity: (containerId: string) => string | undefined = () => undefined,
  ) {
    this.#clock = clock
    this.#activity = activity
  }

  /** The same object as before if nothing can have changed; otherwise what `measure` says. */
  of(containerId: string, measure: () => ContainerStatistics): ContainerStatistics {
    // Before it is measured: what happens meanwhile is seen the next time.
    const activity = this.#activity(containerId)
    const nowMs = this.#clock.now()
    const known = this.#known.get(containerId)
    if (known && known.activity === activity && nowMs < known.untilMs) return known.statistics
    const statistics = measure()
    // Packets come in on no account of the container's.
    if (activity === undefined || statistics.net_rx_bytes !== undefined) {
      this.#known.delete(containerId)
      return statistics
    }
    const step = this.#count++ % STEPS
    const untilMs = nowMs + (MAX_AGE_MS / 2) * (1 + step / STEPS)
    this.#known.set(containerId, { activity, statistics, untilMs })
    return statistics
  }

  /** It has other limits now, or has ended. */
  drop(containerId: string): void {
    this.#known.delete(containerId)
  }
}
