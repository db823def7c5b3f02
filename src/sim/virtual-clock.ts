// Time that moves only when told. Every timer, delivery and disk completion of a simulated world is an event
// here, in one order, so that the same seed gives the same run.

import type { Clock, Timer } from '../actors/clock.ts'
import { Heap } from '../base/heap.ts'

/** One event, and the handle by which it is cancelled. */
class Event implements Timer {
  atMs: number
  sequence: number
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
    owner?.events.add(this)
  }

  fire(): void {
    if (this.#owner?.holds(this)) return
    const run = this.#run
    this.#run = undefined
    this.#owner?.events.delete(this)
    run?.()
  }

  /** Comes then, and not when it was to come before. */
  queue(atMs: number, sequence: number): void {
    this.#heap.remove(this)
    this.atMs = atMs
    this.sequence = sequence
    this.#heap.push(this)
  }

  cancel(): void {
    if (!this.#run) return
    this.#run = undefined
    this.#heap.remove(this)
    this.#owner?.events.delete(this)
    this.#owner?.forget(this)
  }
}

/** How a machine's clock differs from the world's time. */
export interface Skew {
  /** Its milliseconds for each of the world's; timers are as wrong as the time it shows. Default 1. */
  readonly rate?: number
  /** By how much it is ahead, in milliseconds, when this begins to hold. Default: by as much as it is. */
  readonly offsetMs?: number
}

/** More than a float of this size can be wrong by: a skewed timer never fires before its own clock says it is time. */
const ROUNDING_MS = 0.001

/**
 * The clock of one simulated process. It shows the world's time, or what a bad clock makes of it; it can be stopped for
 * a while together with its process (`pause`), and falls silent when that dies.
 */
export class ProcessClock implements Clock {
  readonly #world: VirtualClock
  readonly events = new Set<Event>()
  #stopped = false
  #paused = false
  /** What came while the process was stopped, in order; then, until all of it has run, what is left of it. */
  readonly #held = new Set<Event>()
  #skew: { readonly rate: number; readonly offsetMs: number; readonly sinceMs: number } | undefined
  #shownMs = 0

  /** `skew`: how wrong it is from the beginning: nobody has looked at it, so that it may show any time. */
  constructor(world: VirtualClock, skew?: Skew) {
    this.#world = world
    if (skew) {
      this.#skew = { rate: skew.rate ?? 1, offsetMs: skew.offsetMs ?? 0, sinceMs: world.now() }
    }
  }

  now(): number {
    const worldMs = this.#world.now()
    if (!this.#skew) return worldMs
    const { rate, offsetMs, sinceMs } = this.#skew
    this.#shownMs = Math.max(this.#shownMs, sinceMs + offsetMs + (worldMs - sinceMs) * rate)
    return this.#shownMs
  }

  delay(ms: number, fn: () => void): Timer {
    if (this.#stopped) return STOPPED
    const worldMs = this.#skew && ms > 0 ? ms / this.#skew.rate + ROUNDING_MS : ms
    return this.#world.schedule(worldMs, fn, this)
  }

  soon(fn: () => void): void {
    this.delay(0, fn)
  }

  /** From now on, for the time it shows and for timers that are set from now on. It never goes back: it stands instead. */
  skew({ rate = 1, offsetMs }: Skew): void {
    this.#shownMs = this.now()
    const sinceMs = this.#world.now()
    this.#skew = { rate, offsetMs: offsetMs ?? this.#shownMs - sinceMs, sinceMs }
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

  /** The process does nothing from now on, as after SIGSTOP; what comes for it waits. */
  pause(): void {
    this.#paused = true
  }

  /** It goes on: all that came for it meanwhile comes now, in the order in which it came. */
  unpause(): void {
    if (!this.#paused) return
    this.#paused = false
    for (const event of this.#held) this.#world.requeue(event)
  }

  /** Runs what reaches the process from outside: at once, or behind all that waits for it to go on. */
  run(fn: () => void): void {
    if (this.#stopped) return
    if (!this.#paused && this.#held.size === 0) return fn()
    const event = this.#world.event(fn, this)
    this.#held.add(event)
    if (!this.#paused) this.#world.requeue(event)
  }

  /** For an event that is due: whether it has to wait. */
  holds(event: Event): boolean {
    if (this.#paused) {
      this.#held.add(event)
      return true
    }
    if (this.#held.size === 0 || this.#held.delete(event)) return false
    // Others have waited for longer.
    this.#held.add(event)
    this.#world.requeue(event)
    return true
  }

  forget(event: Event): void {
    this.#held.delete(event)
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
  /** Called after each event and all that followed from it at once. */
  afterStep: (() => void) | undefined

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
    const atMs = this.#nowMs + Math.max(0, ms)
    const event = new Event(atMs, this.#sequence++, fn, this.#events, owner)
    this.#events.push(event)
    return event
  }

  /** An event that nobody has scheduled yet. */
  event(fn: () => void, owner: ProcessClock): Event {
    return new Event(this.#nowMs, this.#sequence, fn, this.#events, owner)
  }

  /** Lets an event come, behind all that is due now. */
  requeue(event: Event): void {
    event.queue(this.#nowMs, this.#sequence++)
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
  fork(skew?: Skew): ProcessClock {
    return new ProcessClock(this, skew)
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
      this.afterStep?.()
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
