// What is said in the log about others' mistakes: enough to see who makes them, never so much that somebody outside
// can fill a disk with it.

import type { Logger } from '../base/log.ts'
import type { Clock } from './clock.ts'

/** After this long the same complaint may be heard again. */
const PERIOD_MS = 60_000
/** Different complaints in one period. */
const MOST = 50

export class Complaints {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #said = new Set<string>()
  #sinceMs: number
  #suppressed = 0

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
    this.#sinceMs = clock.now()
  }

  /** Warns, unless the same was said about the same `culprit` lately; then it is only counted. */
  warn(culprit: string, fields: object, message: string): void {
    const now = this.#clock.now()
    if (now - this.#sinceMs >= PERIOD_MS) {
      this.#said.clear()
      this.#sinceMs = now
    }
    const key = `${culprit} ${message}`
    if (this.#said.has(key) || this.#said.size >= MOST) {
      this.#suppressed++
      return
    }
    this.#said.add(key)
    const repeats = this.#suppressed > 0 ? { suppressed: this.#suppressed } : {}
    this.#suppressed = 0
    this.#log.warn({ peer: culprit, ...fields, ...repeats }, message)
  }
}
