// Processes that did not read what was sent to them. For a while they are not dialled: as much again would wait for each
// of them, and they will dial themselves as soon as they can.

import type { Clock } from './clock.ts'
import type { Address } from './pid.ts'

/** More are hardly ever stuck at once; to dial one too early only costs memory. */
const MOST = 1_000

export class Shunned {
  readonly #clock: Clock
  readonly #forMs: number
  readonly #untilMs = new Map<Address, number>()

  constructor(clock: Clock, forMs: number) {
    this.#clock = clock
    this.#forMs = forMs
  }

  add(address: Address): void {
    if (this.#untilMs.size >= MOST) this.#untilMs.clear()
    this.#untilMs.set(address, this.#clock.now() + this.#forMs)
  }

  has(address: Address): boolean {
    const untilMs = this.#untilMs.get(address)
    if (untilMs === undefined) return false
    if (this.#clock.now() < untilMs) return true
    this.#untilMs.delete(address)
    return false
  }
}
