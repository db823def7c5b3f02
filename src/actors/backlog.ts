// What came from other processes and waits here to be served, charged to those who sent it. Whoever has more waiting than
// its share is not read from until that is served: it alone, the others go on. No turn ever waits for something to be
// read, so what waits always becomes less.
//
// Two limits are per peer. The third is on all together: above it, whoever has more than its part of that limit waits;
// above twice that, everybody who has anything waiting. So all together stay below, however many send.

export interface BacklogLimits {
  /** Most events from one peer that may wait in mailboxes. */
  readonly maxWaitingEvents: number
  /** Most bytes of messages from one peer of which something waits. */
  readonly maxWaitingBytes: number
  /** Most bytes of all peers. */
  readonly maxTotalWaitingBytes: number
}

/** Paused above a limit, reading goes on below this part of it. */
const RESUME_AT = 0.2

/** What one peer has waiting. */
export class Load {
  events = 0
  bytes = 0
  /** For how many of our reasons it is not read from. */
  paused = false
  readonly #pause: (paused: boolean) => void

  constructor(pause: (paused: boolean) => void) {
    this.#pause = pause
  }

  pause(paused: boolean): void {
    if (paused === this.paused) return
    this.paused = paused
    this.#pause(paused)
  }
}

/** One message: its bytes are in memory until the last of its events is served. */
export class Charge {
  readonly #backlog: Backlog
  readonly #load: Load
  readonly #bytes: number
  #left = 0

  constructor(backlog: Backlog, load: Load, bytes: number) {
    this.#backlog = backlog
    this.#load = load
    this.#bytes = bytes
  }

  /** One event of it waits. */
  add(): void {
    this.#load.events++
    this.#backlog.events++
    if (this.#left++ > 0) return
    this.#load.bytes += this.#bytes
    this.#backlog.bytes += this.#bytes
  }

  /** One is served, or dropped. */
  served(): void {
    this.#load.events--
    this.#backlog.events--
    if (--this.#left > 0) return
    this.#load.bytes -= this.#bytes
    this.#backlog.bytes -= this.#bytes
  }
}

export class Backlog {
  readonly #limits: BacklogLimits
  readonly #peers: () => number
  readonly #paused = new Set<Load>()
  /** Of all peers. */
  events = 0
  bytes = 0
  /** How often somebody was paused. */
  pauses = 0

  /** `peers` counts the peers among which the limit on all is shared. */
  constructor(limits: BacklogLimits, peers: () => number) {
    this.#limits = limits
    this.#peers = peers
  }

  /** Peers that are not read from. */
  get paused(): number {
    return this.#paused.size
  }

  /** Something came from a peer, and what could be served at once has been. */
  came(load: Load): void {
    if (load.events === 0 || load.paused || !this.#isAbove(load, 1)) return
    load.pause(true)
    this.#paused.add(load)
    this.pauses++
  }

  /** Something was served: those who have little left are read from again. */
  review(): void {
    for (const load of this.#paused) {
      if (load.events > 0 && this.#isAbove(load, RESUME_AT)) continue
      this.forget(load)
      load.pause(false)
    }
  }

  /** The peer is gone. What it sent still counts among all. */
  forget(load: Load): void {
    this.#paused.delete(load)
  }

  #isAbove(load: Load, part: number): boolean {
    const { maxWaitingEvents, maxWaitingBytes, maxTotalWaitingBytes } = this.#limits
    if (load.events > maxWaitingEvents * part || load.bytes > maxWaitingBytes * part) return true
    if (this.bytes <= maxTotalWaitingBytes) return false
    const share = maxTotalWaitingBytes / Math.max(1, this.#peers())
    return this.bytes > 2 * maxTotalWaitingBytes || load.bytes > share * part
  }
}
