// A disk that loses what was not synced, for replicas in a simulated world.

import type { Clock } from '../actors/clock.ts'
import { assert } from '../base/assert.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import {
  type ReplicaRecord,
  type Storage,
  StorageFailedError,
  type StorageWarning,
} from '../log/storage.ts'
import type { Position, Value } from '../messages/log.ts'

/**
 * What becomes of the batch that was being written when the power went.
 * - `lost`: no trace of it.
 * - `torn`: half of it is on disk; the next opening cuts it, with a warning.
 * - `kept`: all of it is on disk, though nobody was told so.
 */
export type UnsyncedFate = 'lost' | 'torn' | 'kept'

/** What stays when a process dies. One storage at a time uses it. */
export class MemoryDisk {
  readonly #synced: ReplicaRecord[] = []
  #torn = false
  #user: MemoryStorage | undefined
  /** While set, writing fails as on a full or broken disk. */
  failure: Error | undefined

  /** How many syncs it has done. */
  syncs = 0

  /** Opens it; `syncMs` is how long one sync takes. */
  storage(clock: Clock, syncMs = 1): Storage {
    assert(this.#user === undefined, 'a disk is used by one storage at a time')
    this.#user = new MemoryStorage(this, clock, syncMs)
    return this.#user
  }

  /** The process that uses it dies. */
  crash(fate: UnsyncedFate = 'lost'): void {
    const unsynced = this.#user?.die() ?? []
    this.#user = undefined
    if (fate === 'kept') this.#synced.push(...unsynced)
    this.#torn ||= fate === 'torn' && unsynced.length > 0
  }

  /** Everything is gone, as after a replaced machine. */
  wipe(): void {
    this.crash()
    this.#synced.length = 0
    this.#torn = false
  }

  get records(): readonly ReplicaRecord[] {
    return this.#synced
  }

  /** For the storage: what is on disk, and whether it ended in half a batch. */
  load(): boolean {
    const torn = this.#torn
    this.#torn = false
    return torn
  }

  sync(records: readonly ReplicaRecord[]): void {
    if (this.failure) throw this.failure
    this.syncs++
    this.#synced.push(...records)
  }

  release(): void {
    this.#user = undefined
  }
}

class MemoryStorage implements Storage {
  readonly #disk: MemoryDisk
  readonly #clock: Clock
  readonly #syncMs: number
  readonly #values = new Map<Position, Value>()
  #gathered: ReplicaRecord[] = []
  #waiting: Deferred<void>[] = []
  #batch: readonly ReplicaRecord[] | undefined
  #failure: StorageFailedError | undefined
  #dead = false

  constructor(disk: MemoryDisk, clock: Clock, syncMs: number) {
    this.#disk = disk
    this.#clock = clock
    this.#syncMs = syncMs
  }

  async open(restore: (record: ReplicaRecord) => void): Promise<readonly StorageWarning[]> {
    const torn = this.#disk.load()
    for (const record of this.#disk.records) {
      this.#keep(record)
      restore(record)
    }
    return torn
      ? [{ file: 'memory', offset: 0, cutBytes: 1, message: 'memory ends in half a write' }]
      : []
  }

  persist(records: readonly ReplicaRecord[]): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    this.note(records)
    const done = deferred()
    this.#waiting.push(done)
    if (!this.#batch) this.#write()
    return done.promise
  }

  note(records: readonly ReplicaRecord[]): void {
    for (const record of records) this.#keep(record)
    this.#gathered.push(...records)
  }

  #keep(record: ReplicaRecord): void {
    if (record.type === 'write') this.#values.set(record.position, record.value)
  }

  #write(): void {
    const batch = this.#gathered
    const waiting = this.#waiting
    this.#batch = batch
    this.#gathered = []
    this.#waiting = []
    this.#clock.delay(this.#syncMs, () => {
      if (this.#dead) return
      this.#batch = undefined
      try {
        this.#disk.sync(batch)
        for (const done of waiting) done.resolve()
        if (this.#waiting.length > 0) this.#write()
      } catch (error) {
        this.#failure = new StorageFailedError('Writing to memory failed', error)
        for (const done of [...waiting, ...this.#waiting]) done.reject(this.#failure)
        this.#waiting = []
      }
    })
  }

  async read(position: Position): Promise<Value> {
    const value = this.#values.get(position)
    assert(value, `there is a value at ${position}`)
    return value
  }

  async truncate(begin: Position): Promise<void> {
    for (const position of this.#values.keys()) if (position < begin) this.#values.delete(position)
  }

  async close(): Promise<void> {
    if (this.#gathered.length > 0) await this.persist([])
    this.#dead = true
    this.#disk.release()
  }

  /** Ends without another write; returns what was being written. */
  die(): readonly ReplicaRecord[] {
    this.#dead = true
    return this.#batch ?? []
  }
}
