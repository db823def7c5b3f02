// One sync for many writers: while a batch is being written and synced, records gather; they are the next batch. So the
// number of syncs does not grow with the number of records, and nobody waits for more than two.

import { type Deferred, deferred } from '../base/deferred.ts'
import { StorageFailedError } from './storage.ts'

export class GroupCommit<R> {
  readonly #what: string
  readonly #write: (records: readonly R[]) => Promise<void>
  readonly #sizeOf: (record: R) => number
  #gathered: R[] = []
  #waiting: Deferred<void>[] = []
  #isWriting = false
  #waitingBytes = 0
  #failure: StorageFailedError | undefined

  /**
   * `write` puts a batch on disk; it is not called again before it has resolved, and never after it has rejected. `sizeOf`:
   * how many bytes of memory a record takes up while it waits.
   */
  constructor(
    what: string,
    write: (records: readonly R[]) => Promise<void>,
    sizeOf: (record: R) => number = () => 0,
  ) {
    this.#what = what
    this.#write = write
    this.#sizeOf = sizeOf
  }

  /** Of what is not on disk yet. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Set when a write has failed; from then on nothing is taken. */
  get failure(): StorageFailedError | undefined {
    return this.#failure
  }

  /** For the next batch, whenever that is. */
  note(records: readonly R[]): void {
    if (this.#failure) return
    this.#gathered.push(...records)
    this.#waitingBytes += this.#bytes(records)
  }

  /** Resolves when `records` and all noted before are on disk; rejects with `StorageFailedError`. */
  persist(records: readonly R[]): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    this.note(records)
    const done = deferred()
    this.#waiting.push(done)
    if (!this.#isWriting) {
      this.#isWriting = true
      // What else is asked for in this turn of the event loop goes into the same batch.
      queueMicrotask(() => void this.#writeAll())
    }
    return done.promise
  }

  #bytes(records: readonly R[]): number {
    return records.reduce((sum, record) => sum + this.#sizeOf(record), 0)
  }

  async #writeAll(): Promise<void> {
    let waiting: readonly Deferred<void>[] = []
    try {
      while (this.#waiting.length > 0) {
        const records = this.#gathered
        waiting = this.#waiting
        this.#gathered = []
        this.#waiting = []
        // Counted before: what is written belongs to others then.
        const bytes = this.#bytes(records)
        if (records.length > 0) await this.#write(records)
        this.#waitingBytes -= bytes
        for (const done of waiting) done.resolve()
      }
    } catch (error) {
      this.#failure = new StorageFailedError(this.#what, error)
      for (const done of [...waiting, ...this.#waiting]) done.reject(this.#failure)
      this.#waiting = []
      this.#gathered = []
    }
    this.#isWriting = false
  }
}
