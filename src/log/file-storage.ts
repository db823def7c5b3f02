// A replica's disk: append-only segments in one directory.
// The layout is drawn in segment.ts, the bytes in record.ts and segment-index.ts.

import { dirname } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Position } from '../messages/log.ts'
import { type LogFile, type LogFiles, systemFiles } from './files.ts'
import { GroupCommit } from './group-commit.ts'
import type { Lock } from './lock-file.ts'
import { loadSegments } from './load.ts'
import { isPutAside, putAside } from './put-aside.ts'
import { encodeBatch, encodeHeader, HEADER_BYTES, type StoredRecord } from './record.ts'
import { enter, type Segment, Segments, writeFully } from './segments.ts'
import { type ReplicaRecord, type Storage, type StorageWarning, type Written } from './storage.ts'

export interface FileStorageOptions {
  /** `<work_dir>/replicated_log`. Created if it is missing; its parent must exist. */
  readonly directory: string
  /** A segment that has grown beyond this many bytes is closed. */
  readonly segmentBytes?: number
  /** So much of the disk is taken up in advance: a sync is quicker if the file's size has not changed. */
  readonly reserveBytes?: number
  /** How many bytes of truncated segments are kept for debugging, the newest; 0 for none, Infinity for all. */
  readonly retainBytes?: number
  /** More than this is not to wait for the disk, in bytes of memory. */
  readonly backlogBytes?: number
  /** Default: the system's. */
  readonly files?: LogFiles
}

export const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024
const DEFAULT_RESERVE_BYTES = 1024 * 1024
/** A disk that is well has written that in a second; one that stands still must not cost the process its memory. */
const DEFAULT_BACKLOG_BYTES = 64 * 1024 * 1024
/** What a record that waits takes up beside the bytes of its value, about. */
const RECORD_BYTES = 200

type Write = ReplicaRecord & { readonly type: 'write' }

export class FileStorage implements Storage {
  readonly #directory: string
  readonly #segmentBytes: number
  readonly #retainBytes: number
  readonly #backlogBytes: number
  readonly #files: LogFiles
  readonly #zeros: Buffer

  #lock: Lock | undefined
  #replicaId = ''
  #segments: Segments
  /** Values that are not written yet. */
  readonly #unwritten = new Map<Position, Write>()
  /** Directories whose entries changed since they were synced. */
  readonly #unsyncedDirectories = new Set<string>()

  // Restated at the beginning of each segment, so that earlier ones need not be read, and can go.
  #metadata: ReplicaRecord | undefined
  #snapshot: () => readonly ReplicaRecord[] = () => []
  #begin: Position = 0
  #released = 0

  /** Whether the last batch may be lost, since it only says what the ensemble can tell again. */
  #isSealed = false
  readonly #reads = new Set<Promise<unknown>>()
  /** The truncations asked for so far, and the indexes to be written, one after the other. Never rejects. */
  #chores: Promise<unknown> = Promise.resolve()
  readonly #commits: GroupCommit<StoredRecord>

  constructor(options: FileStorageOptions) {
    this.#directory = options.directory
    this.#files = options.files ?? systemFiles
    this.#segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES
    this.#retainBytes = options.retainBytes ?? 0
    this.#backlogBytes = options.backlogBytes ?? DEFAULT_BACKLOG_BYTES
    const reserve = options.reserveBytes ?? DEFAULT_RESERVE_BYTES
    this.#zeros = Buffer.alloc(Math.min(reserve, this.#segmentBytes))
    this.#segments = new Segments(options.directory, this.#files)
    this.#commits = new GroupCommit(
      `Writing to ${options.directory} failed`,
      records => this.#writeBatch(records),
      waitingBytes,
    )
  }

  get id(): string {
    return this.#replicaId
  }

  get isBehind(): boolean {
    return this.#commits.waitingBytes >= this.#backlogBytes
  }

  // Opening

  async open(
    restore: (record: ReplicaRecord) => void,
    snapshot: () => readonly ReplicaRecord[],
  ): Promise<readonly StorageWarning[]> {
    this.#snapshot = snapshot
    await this.#acquire()
    try {
      return await this.#load(restore)
    } catch (error) {
      await this.#forget()
      this.#release()
      throw error
    }
  }

  async #acquire(): Promise<void> {
    if (this.#files.makeDirectory(this.#directory))
      this.#unsyncedDirectories.add(dirname(this.#directory))
    this.#lock = await this.#files.lock(this.#directory)
  }

  /** What lies here from now on may be another log: nothing that was read or written before is true of that. */
  async #forget(): Promise<void> {
    await this.#segments.close()
    this.#segments = new Segments(this.#directory, this.#files)
    this.#metadata = undefined
    this.#begin = 0
    this.#released = 0
    this.#isSealed = false
  }

  #release(): void {
    this.#lock?.release()
    this.#lock = undefined
  }

  async #load(restore: (record: ReplicaRecord) => void): Promise<readonly StorageWarning[]> {
    const loaded = await loadSegments(this.#files, this.#directory, this.#segments, {
      restore,
      wrote: (segment, records, offset, length) => this.#wrote(segment, records, offset, length),
    })
    await this.#settle(loaded.warnings.length > 0)
    this.#replicaId = loaded.replicaId ?? this.#files.newId()
    if (!this.#segments.last) this.#addSegment(1)
    return loaded.warnings
  }

  /**
   * Makes durable what was read: the process before this one may have died between writing and syncing. Its torn tail is
   * taken away before anything is written behind it.
   */
  async #settle(torn: boolean): Promise<void> {
    const segment = this.#segments.last
    if (!segment) return
    const handle = await this.#segments.handle(segment)
    if (torn) await handle.truncate(segment.sizeBytes)
    this.#unsyncedDirectories.add(this.#directory)
    await Promise.all([handle.datasync(), this.#syncDirectories()])
  }

  // Writing

  persist(records: readonly ReplicaRecord[]): Promise<void> {
    assert(this.#lock, 'the storage is open')
    this.#gathered(records)
    return this.#commits.persist(records)
  }

  note(records: readonly ReplicaRecord[]): void {
    this.#gathered(records)
    this.#commits.note(records)
  }

  async seal(): Promise<void> {
    await this.#commits.persist([])
    if (!this.#isSealed) await this.#commits.persist([{ type: 'sealed' }])
  }

  /** Until it is written, a value is read from memory. */
  #gathered(records: readonly ReplicaRecord[]): void {
    for (const record of records) {
      if (record.type === 'write') this.#unwritten.set(record.position, record)
    }
  }

  async #writeBatch(gathered: readonly StoredRecord[]): Promise<void> {
    let segment = this.#segments.last!
    if (segment.sizeBytes >= Math.max(this.#segmentBytes, HEADER_BYTES + 1)) {
      segment = this.#addSegment(segment.sequence + 1)
    }
    // Not only when the segment is made: what was its first batch before a crash may have been torn.
    const isFirst = segment.sizeBytes <= HEADER_BYTES
    const records = isFirst ? [...this.#restated(), ...gathered] : gathered
    const isNew = segment.sizeBytes === 0
    const offset = isNew ? HEADER_BYTES : segment.sizeBytes
    const { sequence } = segment
    const batch = encodeBatch(records, sequence, offset)
    const header = isNew ? [encodeHeader({ sequence, replicaId: this.#replicaId })] : []
    const handle = await this.#segments.handle(segment)
    const bytes = isNew ? Buffer.concat([...header, batch]) : batch
    await Promise.all([this.#put(segment, handle, bytes), this.#syncDirectories()])
    segment.sizeBytes = offset + batch.length
    this.#wrote(segment, records, offset, batch.length)
    if (isFirst) this.#indexSoon()
  }

  /** Writes behind what a segment has. If that makes the file grow, some space behind it is taken up as well. */
  async #put(segment: Segment, handle: LogFile, bytes: Buffer): Promise<void> {
    const end = segment.sizeBytes + bytes.length
    if (end > segment.fileBytes) {
      try {
        await writeFully(handle, Buffer.concat([bytes, this.#zeros]), segment.sizeBytes)
        segment.fileBytes = end + this.#zeros.length
        return
      } catch (error) {
        // What has to be written may still fit. It is written, and synced, from its beginning.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        segment.fileBytes = end
      }
    }
    await writeFully(handle, bytes, segment.sizeBytes)
  }

  /**
   * What makes the segments before the last one dispensable. The snapshot tells of the records of this batch already. That
   * they follow once more does no harm: of what they say about a position, the last counts, as in the snapshot.
   */
  #restated(): StoredRecord[] {
    const closed = this.#segments.list.at(-2)
    // They go only once a batch of a later one is synced, so that the first batch of an only segment is a new log's.
    if (!closed) return []
    return [
      { type: 'closed', sizeBytes: closed.sizeBytes },
      ...(this.#metadata ? [this.#metadata] : []),
      ...this.#snapshot(),
      { type: 'released', through: this.#released },
    ]
  }

  /** Takes note of a batch that is on disk. */
  #wrote(segment: Segment, records: readonly StoredRecord[], offset: number, length: number): void {
    enter(segment, this.#segments.growing, records, { offset, length })
    this.#isSealed = true
    for (const record of records) {
      switch (record.type) {
        case 'write':
          // A later value for that position may be waiting to be written.
          if (this.#unwritten.get(record.position) === record)
            this.#unwritten.delete(record.position)
          this.#isSealed &&= record.learned
          break
        case 'metadata':
          this.#metadata = record
          this.#isSealed = false
          break
        case 'promise':
        case 'membership':
        case 'home':
          this.#isSealed = false
          break
        case 'truncated':
          this.#begin = Math.max(this.#begin, record.begin)
          break
        case 'released':
          this.#released = Math.max(this.#released, record.through)
          break
        default:
      }
    }
  }

  #addSegment(sequence: number): Segment {
    this.#unsyncedDirectories.add(this.#directory)
    return this.#segments.add(sequence, { isNew: true })
  }

  async #syncDirectories(): Promise<void> {
    const directories = [...this.#unsyncedDirectories]
    this.#unsyncedDirectories.clear()
    await Promise.all(directories.map(path => this.#files.syncDirectory(path)))
  }

  /** Writes the index of the segment before the last one; that there is one shows that the last has something in it. */
  #indexSoon(): void {
    const segment = this.#segments.list.at(-2)
    if (!segment) return
    const index = this.#segments.indexOf(segment)
    void this.#chore(async () => {
      // It may have been given back meanwhile. If there is no room for it, it is made when the log is opened again.
      if (!this.#segments.list.includes(segment)) return
      await this.#segments.writeIndex(segment, await index, this.#replicaId).catch(() => {})
    })
  }

  #chore(run: () => Promise<void>): Promise<void> {
    const chore = this.#chores.then(run)
    this.#chores = chore.catch(() => {})
    return chore
  }

  // Reading

  read(position: Position): Promise<Written> {
    const unwritten = this.#unwritten.get(position)
    if (unwritten) return Promise.resolve(unwritten)
    const reading = this.#segments.read(position)
    this.#reads.add(reading)
    const done = (): unknown => this.#reads.delete(reading)
    reading.then(done, done)
    return reading
  }

  // Truncating

  truncate(begin: Position): Promise<void> {
    assert(this.#lock, 'the storage is open')
    this.#begin = Math.max(this.#begin, begin)
    return this.#chore(() => this.#giveBack())
  }

  async #giveBack(): Promise<void> {
    const spare = this.#segments.spare(this.#begin, this.#retainBytes)
    const through = spare.at(-1)?.sequence
    if (through === undefined) return
    // Only after this is on disk may they be missing. It also says where the log begins, since the TRUNCATE may be in them.
    // Until then they are on the list: it may be the first batch of the last one, which restates what the others come to.
    await this.#commits.persist([
      { type: 'truncated', begin: this.#begin },
      { type: 'released', through },
    ])
    await Promise.allSettled(this.#reads)
    for (const _ of spare) {
      await this.#segments.removeFirst()
      // One by one: after a power loss a later one must not be missing while an earlier one is there again.
      await this.#files.syncDirectory(this.#directory)
    }
  }

  // Starting over

  async startOver(): Promise<void> {
    await this.#acquire()
    try {
      await putAside(this.#files, this.#directory)
      this.#replicaId = this.#files.newId()
      this.#snapshot = () => []
      this.#addSegment(1)
      await this.#commits.persist([{ type: 'metadata', status: 'RECOVERING', promised: 0 }])
      await this.#forget()
      await isPutAside(this.#files, this.#directory)
    } finally {
      this.#release()
    }
  }

  // Closing

  async close(): Promise<void> {
    if (!this.#lock) return
    try {
      if (!this.#commits.failure) await this.seal()
    } finally {
      // Whoever opens the directory next must not see files go.
      await this.#chores
      await Promise.allSettled(this.#reads)
      await this.#segments.close()
      this.#release()
    }
  }
}

function waitingBytes(record: StoredRecord): number {
  const isAppend = record.type === 'write' && record.value.type === 'APPEND'
  return RECORD_BYTES + (isAppend ? record.value.bytes.length : 0)
}
