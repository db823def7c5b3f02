// A disk that loses what was not synced, for replicas in a simulated world.

import type { Clock } from '../actors/clock.ts'
import { assert } from '../base/assert.ts'
import { GroupCommit } from '../log/group-commit.ts'
import type { ReplicaRecord, Storage, StorageWarning, Written } from '../log/storage.ts'
import type { Position } from '../messages/log.ts'

/**
 * What becomes of the batch that was being written when the power went.
 * - `lost`: no trace of it.
 * - `torn`: half of it is on disk; the next opening cuts it, with a warning.
 * - `kept`: all of it is on disk, though nobody was told so.
 */
export type UnsyncedFate = 'lost' | 'torn' | 'kept'

/** What stays when a process dies. One storage at a time uses it. */
let disks = 0
const newId = (): string => `disk-${String(++disks).padStart(8, '0')}`

export class MemoryDisk {
  /** Another when it was wiped. */
  id = newId()
  readonly #synced: ReplicaRecord[] = []
  #torn = false
  #user: MemoryStorage | undefined
  /** While set, writing fails as on a full or broken disk. */
  failure: Error | undefined

  /** How long one sync takes, from the next one on. */
  syncMs = 1

  /** How many syncs it has done. */
  syncs = 0

  /** Opens it. */
  storage(clock: Clock, syncMs = this.syncMs): Storage {
    assert(this.#user === undefined, 'a disk is used by one storage at a time')
    this.syncMs = syncMs
    this.#user = new MemoryStorage(this, clock)
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
    this.id = newId()
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
  readonly #values = new Map<Position, Written>()
  readonly #commits: GroupCommit<ReplicaRecord>
  #writing: readonly ReplicaRecord[] = []
  #dead = false

  constructor(disk: MemoryDisk, clock: Clock) {
    this.#disk = disk
    this.#commits = new GroupCommit('Writing to memory failed', records => {
      this.#writing = records
      return new Promise((resolve, reject) => {
        clock.delay(disk.syncMs, () => {
          if (this.#dead) return
          this.#writing = []
          try {
            disk.sync(records)
            resolve()
          } catch (error) {
            reject(error)
          }
        })
      })
    })
  }

  get id(): string {
    return this.#disk.id
  }

  /** What is on disk is in memory, too. */
  get isBehind(): boolean {
    return false
  }

  async open(restore: (record: ReplicaRecord) => void): Promise<readonly StorageWarning[]> {
    const torn = this.#disk.load()
    for (const record of this.#disk.records) {
      this.#keep([record])
      restore(record)
    }
    const message = 'memory ends in half a write'
    return torn ? [{ file: 'memory', offset: 0, cutBytes: 1, message }] : []
  }

  persist(records: readonly ReplicaRecord[]): Promise<void> {
    this.#keep(records)
    return this.#commits.persist(records)
  }

  note(records: readonly ReplicaRecord[]): void {
    this.#keep(records)
    this.#commits.note(records)
  }

  #keep(records: readonly ReplicaRecord[]): void {
    for (const record of records) {
      if (record.type === 'write') this.#values.set(record.position, record)
    }
  }

  /** What is written here is whole. */
  async startOver(): Promise<void> {}

  async seal(): Promise<void> {
    await this.#commits.persist([])
  }

  async read(position: Position): Promise<Written> {
    const value = this.#values.get(position)
    assert(value, `there is a value at ${position}`)
    return value
  }

  async truncate(begin: Position): Promise<void> {
    for (const position of this.#values.keys()) if (position < begin) this.#values.delete(position)
  }

  async close(): Promise<void> {
    if (!this.#commits.failure) await this.#commits.persist([])
    this.#dead = true
    this.#disk.release()
  }

  /** Ends without another write; returns what was being written. */
  die(): readonly ReplicaRecord[] {
    this.#dead = true
    return this.#writing
  }
}
