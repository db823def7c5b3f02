// How long to wait before trying again: longer each time, and never in step with others.

import type { Random } from '../base/random.ts'

export interface BackoffOptions {
  readonly firstMs: number
  readonly maxMs: number
}

/** Doubling would make what starts together wait, on the average, two thirds as long again as it took to start. */
const GROWTH = 1.5

/**
 * Exponential back-off with full jitter above a half: the n-th wait lies in [d/2, d) with d = firstMs·1.5ⁿ, at most maxMs.
 * The half keeps a restarted server from being asked at once by everybody, the jitter from being asked by all together
 * (Brooker, "Exponential Backoff and Jitter").
 */
export class Backoff {
  readonly #options: BackoffOptions
  #attempts = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** The longest that the next wait can be, in milliseconds. */
  get limitMs(): number {
    const { firstMs, maxMs } = this.#options
    return Math.min(maxMs, firstMs * GROWTH ** this.#attempts)
  }

  /** The next wait, in milliseconds; the one after it may be half as long again. */
  nextMs(random: Random): number {
    const { limitMs } = this
    if (limitMs < this.#options.maxMs) this.#attempts++
    return limitMs / 2 + random.next() * (limitMs / 2)
  }

  /** It worked: the next wait is a short one again. */
  reset(): void {
    this.#attempts = 0
  }
}
