// What waits for a disk that is slower than what it is to take: that is in memory, so there has to be an end to it.

import { type Logger, onceAWhile } from '../base/log.ts'
import type { Storage } from './storage.ts'

const COMPLAINT_MS = 30_000

/** What it needs of its replica. */
export interface BacklogHost {
  readonly storage: Storage
  log(): Logger
  nowMs(): number
}

export class Backlog {
  readonly #host: BacklogHost
  readonly #complain: ReturnType<typeof onceAWhile>

  constructor(host: BacklogHost) {
    this.#host = host
    this.#complain = onceAWhile(() => host.nowMs(), COMPLAINT_MS)
  }

  /**
   * Whether nothing more is to be taken before some of it is on disk. To be asked before anything is decided: what is not
   * taken must be as if it had never been heard, which any message may be: a vote is asked for again, and what is learned is
   * fetched when something later is heard of.
   */
  isFull(): boolean {
    const host = this.#host
    if (!host.storage.isBehind) return false
    this.#complain(repeats =>
      host
        .log()
        .warn(
          repeats,
          'the disk of the log is slow: as much waits for it as may; the replica takes nothing more until it catches up',
        ),
    )
    return true
  }
}
