// So many a second on the average, and so many at once. Pure: time is told.

export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #atMs: number

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1_000
    this.#burst = burst
    this.#tokens = burst
    this.#atMs = nowMs
  }

  /** Takes `count`, which always succeeds, and says for how many milliseconds nothing more should be taken. */
  take(count: number, nowMs: number): number {
    const earned = Math.max(0, nowMs - this.#atMs) * this.#perMs
    this.#atMs = nowMs
    this.#tokens = Math.min(this.#burst, this.#tokens + earned) - count
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / this.#perMs)
  }
}
