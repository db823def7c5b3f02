// Looks at all containers again and again, one round after the other, as long as there are any.

import type { Clock } from '../../actors/clock.ts'

export class Rounds {
  readonly #clock: Pick<Clock, 'delay'>
  readonly #intervalMs: number
  readonly #look: () => Promise<void>
  readonly #isNeeded: () => boolean
  #isRunning = false

  /** `look` never rejects. A round begins an interval after the one before has ended, however long that took. */
  constructor(
    clock: Pick<Clock, 'delay'>,
    intervalMs: number,
    look: () => Promise<void>,
    isNeeded: () => boolean,
  ) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#look = look
    this.#isNeeded = isNeeded
  }

  /** There is a container. */
  begin(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#clock.delay(this.#intervalMs, () => {
      void this.#look().then(() => {
        this.#isRunning = false
        if (this.#isNeeded()) this.begin()
      })
    })
  }
}
