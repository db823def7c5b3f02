// The registry of a master that stands by: read as the log of this process learns it, so that little is left to read
// when this master is elected. A registry of 50,000 agents takes about a second to read.
//
// What is learned has been chosen and never changes, so what was read before an election is what would be read after it.
// Only an elected writer knows where the log ends; it reads the rest (registrar.ts).

import { openEntry, Replay, unpack } from './entry.ts'

/** Positions of the log, both included. None if `end` is less than `begin`. */
export interface LogRange {
  readonly begin: number
  readonly end: number
}

/** Reads the entries at these positions; those that hold none are left out. */
export type ReadEntries = (from: number, to: number) => Promise<readonly Uint8Array[]>

/** So many positions are read at once: each may be a large snapshot. */
const READ_AT_ONCE = 32
/** So many operations are applied without a pause. */
const OPERATIONS_AT_ONCE = 1_000

export class Follower {
  readonly replay = new Replay()
  /** Operations since the last snapshot. */
  sinceSnapshot = 0

  readonly #read: ReadEntries
  readonly #pause: () => Promise<void>
  /** The first position that has not been read. */
  #next = 0
  #hasRead = false
  #sincePause = 0

  /** `pause` lets others have the process for a moment. */
  constructor(read: ReadEntries, pause: () => Promise<void>) {
    this.#read = read
    this.#pause = pause
  }

  /**
   * Reads what there is to read beyond what was. False if what comes next is truncated: then it is a new follower that has to
   * read all of it. Rejects if an entry cannot be read; this one is of no use any more.
   */
  async catchUp({ begin, end }: LogRange): Promise<boolean> {
    if (!this.#hasRead) this.#next = begin
    if (begin > this.#next) return false
    while (this.#next <= end) {
      const last = Math.min(end, this.#next + READ_AT_ONCE - 1)
      for (const bytes of await this.#read(this.#next, last)) {
        await this.#apply(bytes)
        this.#hasRead = true
      }
      this.#next = last + 1
    }
    return true
  }

  async #apply(bytes: Uint8Array): Promise<void> {
    const packed = openEntry(bytes)
    // It is what all entries before it come to, which have been read: large, and nothing new.
    const isKnown = this.#hasRead && packed.sequence === this.replay.sequence
    if (packed.snapshot) this.sinceSnapshot = 0
    if (packed.snapshot && isKnown) return
    const unpacking = unpack(packed)
    for (;;) {
      const { done, value } = unpacking.next()
      if (done) {
        this.replay.apply(value)
        const operations = value.operations?.length ?? 0
        this.sinceSnapshot += operations
        this.#sincePause += operations
        if (this.#sincePause < OPERATIONS_AT_ONCE) return
        this.#sincePause = 0
        return this.#pause()
      }
      await this.#pause()
    }
  }
}
