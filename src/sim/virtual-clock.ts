// Time that moves only when told. Every timer, delivery and disk completion of a simulated world is an event
// here, in one order, so that the same seed gives the same run.

import type { Clock, Timer } from '../actors/clock.ts'
import { Heap } from '../base/heap.ts'

/** One event, and the handle by which it is cancelled. */
class Event implements Timer {
  readonly atMs: number
  readonly sequence: number
  readonly #heap: Heap<Event>
  readonly #owner: ProcessClock | undefined
  #run: (() => void) | undefined

  constructor(
    atMs: number,
    sequence: number,
    run: () => void,
    heap: Heap<Event>,
    owner: ProcessClock | undefined,
  ) {
    this.atMs = atMs
    this.sequence = sequence
    this.#run = run
    this.#heap = heap
    this.#owner = owner
    heap.push(this)
    owner?.events.add(this)
  }

  fire(): void {
    const run = this.#run
    this.#run = undefined
    this.#owner?.events.delete(this)
    run?.()
  }

  cancel(): void {
    if (!this.#run) return
    this.#run = undefined
    this.#heap.remove(this)
    this.#owner?.events.delete(this)
  }
}

/** The clock of one simulated process. It shows the world's time, and falls silent when the process dies. */
export class ProcessClock implements Clock {
  readonly #world: VirtualClock
  readonly events = new Set<Event>()
  #stopped = false

  constructor(world: VirtualClock) {
    this.#world = world
  }

  now(): number {
    return this.#world.now()
  }

  delay(ms: number, fn: () => void): Timer {
    return this.#stopped ? STOPPED : this.#world.schedule(ms, fn, this)
  }

  soon(fn: () => void): void {
    this.delay(0, fn)
  }

  /** Timers of the process that have not fired. */
  get pending(): number {
    return this.events.size
  }

  /** The process is dead: none of its timers fires any more. */
  stop(): void {
    this.#stopped = true
    for (const event of [...this.events]) event.cancel()
  }
}

const STOPPED: Timer = { cancel: () => {} }

// Taken at import, so that no test which replaces timers can stop the simulation.
const { setImmediate: realSetImmediate, queueMicrotask: realQueueMicrotask } = globalThis
const realNextTick = process.nextTick.bind(process)

/** So often the real event loop gets its turn, so that signals and a test runner's time limits still work. */
const EVENTS_PER_LOOP = 1_000

/**
 * Lets every promise continuation that is ready run to its end. Node serves ticks only when its queue of microtasks
 * has run dry, those that were added meanwhile included; the tick has to be asked for from within a microtask, since
 * one that is asked for within a tick comes first. This costs a tenth of a whole round of the event loop.
 */
const drain = (): Promise<void> =>
  new Promise(resolve => realQueueMicrotask(() => realNextTick(resolve)))

export class VirtualClock implements Clock {
  #nowMs: number
  #sequence = 0
  #served = 0
  readonly #events = new Heap<Event>((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  delay(ms: number, fn: () => void): Timer {
    return this.schedule(ms, fn, undefined)
  }

  /** As `delay`, on the account of a process. */
  schedule(ms: number, fn: () => void, owner: ProcessClock | undefined): Timer {
    return new Event(this.#nowMs + Math.max(0, ms), this.#sequence++, fn, this.#events, owner)
  }

  soon(fn: () => void): void {
    this.delay(0, fn)
  }

  /** Events that are still to come; 0 means that nothing will ever happen again by itself. */
  get pending(): number {
    return this.#events.size
  }

  /** Events served since the start. */
  get served(): number {
    return this.#served
  }

  /** A clock for one simulated process. */
  fork(): ProcessClock {
    return new ProcessClock(this)
  }

  /** Runs all that is due up to and including `untilMs`, in order, and leaves the time there. */
  async runUntil(untilMs: number): Promise<void> {
    await drain()
    for (let next = this.#events.peek(); next && next.atMs <= untilMs; next = this.#events.peek()) {
      this.#events.pop()
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fire()
      // What the event sent may still sit in a continuation; it has to be out before time moves on.
      await drain()
      if (++this.#served % EVENTS_PER_LOOP === 0) await new Promise(realSetImmediate)
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
