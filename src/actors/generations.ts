// How many connections with each process this one has seen established; what the numbers are for, peers.ts says.

import { MAX_GENERATION } from './frames.ts'
import type { Address } from './pid.ts'

/** Addresses whose count is kept. Forgetting one costs no more than a silence limit at its next half-open connection. */
const MOST = 100_000

/** The generation of the connection that follows on one of generation `seen`. */
export function nextGeneration(seen: number): number {
  return Math.min(seen + 1, MAX_GENERATION)
}

export class Generations {
  readonly #counts = new Map<Address, number>()

  seen(address: Address): number {
    return this.#counts.get(address) ?? 0
  }

  remember(address: Address, count: number): void {
    // Whoever cannot be dialled is never greeted with a count.
    if (address.endsWith(':0')) return
    this.#counts.delete(address)
    this.#counts.set(address, count)
    if (this.#counts.size <= MOST) return
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest)
      return
    }
  }
}
