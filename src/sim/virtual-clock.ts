// Time that moves only when told. Every timer, delivery and disk completion of a simulated world is an event
// here, in one order, so that the same seed gives the same run.

import type { Clock, Timer } from '../actors/clock.ts'
import { Heap } from '../base/heap.ts'

interface Event {
  readonly atMs: number
  readonly sequence: number
  readonly run: () => void
  cancelled: boolean
}

// Taken at import, so that no test which replaces timers can stop the simulation.
const { setImmediate: realSetImmediate } = globalThis

/** Lets every promise continuation that is ready run to its end. */
const drain = (): Promise<void> => new Promise(resolve => realSetImmediate(resolve))

export class VirtualClock implements Clock {
  #nowMs: number
  #sequence = 0
  #pending = 0
  readonly #events = new Heap<Event>((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  delay(ms: number, fn: () => void): Timer {
    const event = {
      atMs: this.#nowMs + Math.max(0, ms),
      sequence: this.#sequence++,
      run: fn,
      cancelled: false,
    }
    this.#events.push(event)
    this.#pending++
    return {
      cancel: () => {
        if (event.cancelled) return
        event.cancelled = true
        this.#pending--
      },
    }
  }

  soon(fn: () => void): void {
    this.delay(0, fn)
  }

  /** Events that are still to come; 0 means that nothing will ever happen again by itself. */
  get pending(): number {
    return this.#pending
  }

  /** A clock of one simulated process: shows the same time, and falls silent when the process dies. */
  fork(alive: () => boolean): Clock {
    return {
      now: () => this.#nowMs,
      delay: (ms, fn) => this.delay(ms, () => alive() && fn()),
      soon: fn => this.soon(() => alive() && fn()),
    }
  }

  /** Runs all that is due up to and including `untilMs`, in order, and leaves the time there. */
  async runUntil(untilMs: number): Promise<void> {
    await drain()
    for (let next = this.#events.peek(); next && next.atMs <= untilMs; next = this.#events.peek()) {
      this.#events.pop()
      if (next.cancelled) continue
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      // Marked as done, so that cancelling it later does not count it a second time.
      next.cancelled = true
      this.#pending--
      next.run()
      // What the event sent may still sit in a continuation; it has to be out before time moves on.
      await drain()
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  /** Until no work is due at this instant: whatever has not happened now needs time to move. */
  settle(): Promise<void> {
    return this.runUntil(this.#nowMs)
  }

  advance(ms: number): Promise<void> {
    return this.runUntil(this.#nowMs + ms)
  }
}
