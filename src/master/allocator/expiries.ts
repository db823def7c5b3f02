// When refusals run out. Refusals are also withdrawn (REVIVE, an agent's end) long before their time, up to a year
// ahead; their entries here are not looked for then, but swept out together once they are the greater part.

import { Heap } from '../../base/heap.ts'

interface Expiry {
  readonly untilMs: number
  readonly agentId: string
}

/** Below this many entries nothing is swept. */
const FEW = 1024

export class Expiries {
  readonly #live: () => Iterable<Expiry>
  readonly #heap = new Heap<Expiry>((a, b) => a.untilMs - b.untilMs)
  #sweepAbove = FEW

  /** `live`: the refusals that are in force. */
  constructor(live: () => Iterable<Expiry>) {
    this.#live = live
  }

  add(untilMs: number, agentId: string): void {
    this.#heap.push({ untilMs, agentId })
    if (this.#heap.size <= this.#sweepAbove) return
    this.#heap.clear()
    for (const { untilMs: atMs, agentId: of } of this.#live()) {
      this.#heap.push({ untilMs: atMs, agentId: of })
    }
    this.#sweepAbove = Math.max(FEW, 2 * this.#heap.size)
  }

  get nextMs(): number | undefined {
    return this.#heap.peek()?.untilMs
  }

  get size(): number {
    return this.#heap.size
  }

  /** Agents on which a refusal has run out, each removed from here. */
  take(nowMs: number): string[] {
    const agents: string[] = []
    for (let next = this.#heap.peek(); next && next.untilMs <= nowMs; next = this.#heap.peek()) {
      this.#heap.pop()
      agents.push(next.agentId)
    }
    return agents
  }
}
