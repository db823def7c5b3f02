// A replica's disk: append-only segments in one directory.
// The layout is drawn in segment.ts, the bytes in record.ts.

import { dirname, join } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Position, Value } from '../messages/log.ts'
import { type LogFile, type LogFiles, systemFiles } from './files.ts'
import { GroupCommit } from './group-commit.ts'
import type { Lock } from './lock-file.ts'
import { decodeBatch, encodeBatch, encodeHeader, HEADER_BYTES, isWhole } from './record.ts'
import type { StoredRecord } from './record.ts'
import { SegmentChain, segmentName, sequenceOf } from './segment.ts'
import {
  DamagedLogError,
  type ReplicaRecord,
  type Storage,
  type StorageWarning,
} from './storage.ts'

export interface FileStorageOptions {
  /** `<work_dir>/replicated_log`. Created if it is missing; its parent must exist. */
  readonly directory: string
  /** A segment that has grown beyond this many bytes is closed. */
  readonly segmentBytes?: number
  /** How many bytes of truncated segments are kept for debugging, the newest; 0 for none, Infinity for all. */
  readonly retainBytes?: number
  /** Default: the system's. */
  readonly files?: LogFiles
  /** How a file is synced; replaced in tests, to fail. */
  readonly sync?: (handle: LogFile) => Promise<void>
  /** How a directory is synced; replaced in tests, to look. */
  readonly syncDirectory?: (path: string) => Promise<void>
}

export const DEFAULT_SEGMENT_BYTES = 32 * 1024 * 1024

interface Segment {
  readonly sequence: number
  sizeBytes: number
  /** The highest position that any of its records is about; -1 if none. */
  lastPosition: Position
  /** Open for reading, or for the last segment also for writing; absent until needed. */
  handle?: Promise<LogFile>
}

/** In which batch a value is, and which of its records. */
interface WrittenPlace {
  readonly segment: Segment
  readonly offset: number
  readonly length: number
  readonly nth: number
}

/** Where a value is; it itself, as long as it is not written. */
type Place = { readonly value: Value } | WrittenPlace

export class FileStorage implements Storage {
  readonly #directory: string
  readonly #segmentBytes: number
  readonly #retainBytes: number
  readonly #files: LogFiles
  readonly #sync: (handle: LogFile) => Promise<void>
  readonly #syncDirectory: (path: string) => Promise<void>

  #lock: Lock | undefined
  #replicaId = ''
  /** In order; the last one is written. */
  readonly #segments: Segment[] = []
  readonly #places = new Map<Position, Place>()
  /** Directories whose entries changed since they were synced. */
  readonly #unsyncedDirectories = new Set<string>()

  /** Restated at the beginning of each segment, so that earlier ones can go. */
  #metadata: ReplicaRecord | undefined
  #begin: Position = 0
  #released = 0

  /** The batch last read, because neighbours are asked for one after the other. */
  #lastRead:
    | { readonly place: WrittenPlace; readonly records: Promise<readonly StoredRecord[]> }
    | undefined
  readonly #reads = new Set<Promise<unknown>>()
  /** The truncations asked for so far, one after the other. Never rejects. */
  #truncations: Promise<unknown> = Promise.resolve()
  readonly #commits: GroupCommit<StoredRecord>

  constructor(options: FileStorageOptions) {
    this.#directory = options.directory
    this.#files = options.files ?? systemFiles
    this.#segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES
    this.#retainBytes = options.retainBytes ?? 0
    this.#commits = new GroupCommit(`Writing to ${options.directory} failed`, records =>
      this.#writeBatch(records),
    )
    this.#sync = options.sync ?? (handle => handle.datasync())
    this.#syncDirectory = options.syncDirectory ?? (path => this.#files.syncDirectory(path))
  }

  // Opening

  async open(restore: (record: ReplicaRecord) => void): Promise<readonly StorageWarning[]> {
    if (this.#files.makeDirectory(this.#directory))
      this.#unsyncedDirectories.add(dirname(this.#directory))
    this.#lock = await this.#files.lock(this.#directory)
    try {
      return await this.#load(restore)
    } catch (error) {
      this.#lock.release()
      this.#lock = undefined
      throw error
    }
  }

  async #load(restore: (record: ReplicaRecord) => void): Promise<StorageWarning[]> {
    const names = await this.#files.list(this.#directory)
    const sequences = names.flatMap(name => sequenceOf(name) ?? []).sort((a, b) => a - b)
    const chain = new SegmentChain()
    const warnings: StorageWarning[] = []
    for (const sequence of sequences) {
      const last = sequence === sequences.at(-1)
      const file = this.#file(sequence)
      const segment: Segment = { sequence, sizeBytes: 0, lastPosition: -1 }
      this.#segments.push(segment)
      const bytes = await this.#files.readFile(file)
      const scan = chain.scan(file, bytes, sequence, last, (records, offset, length) => {
        for (const record of records) if (isReplicas(record)) restore(record)
        this.#wrote(segment, records, offset, length)
      })
      segment.sizeBytes = scan.validBytes
      if (scan.warning) warnings.push(scan.warning)
    }
    chain.check(this.#directory)
    await this.#settle(warnings.length > 0)
    this.#replicaId = chain.replicaId ?? this.#files.newId()
    if (this.#segments.length === 0) this.#addSegment(1)
    return warnings
  }

  /**
   * Makes durable what was read: the process before this one may have died between writing and syncing. Its torn tail is
   * taken away before anything is written behind it.
   */
  async #settle(torn: boolean): Promise<void> {
    const segment = this.#segments.at(-1)
    if (!segment) return
    const handle = await this.#handle(segment)
    if (torn) await handle.truncate(segment.sizeBytes)
    this.#unsyncedDirectories.add(this.#directory)
    await Promise.all([this.#sync(handle), this.#syncDirectories()])
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

  /** Until it is written, a value is read from memory. */
  #gathered(records: readonly ReplicaRecord[]): void {
    for (const record of records) {
      if (record.type === 'write') this.#places.set(record.position, { value: record.value })
    }
  }

  async #writeBatch(gathered: readonly StoredRecord[]): Promise<void> {
    let segment = this.#segments.at(-1)!
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
    const handle = await this.#handle(segment)
    await writeFully(handle, Buffer.concat([...header, batch]), segment.sizeBytes)
    await Promise.all([this.#sync(handle), this.#syncDirectories()])
    segment.sizeBytes = offset + batch.length
    this.#wrote(segment, records, offset, batch.length)
  }

  /** What makes the segments before the last one dispensable. */
  #restated(): StoredRecord[] {
    const closed = this.#segments.at(-2)
    // They go only once a batch of a later one is synced, so that the first batch of an only segment is a new log's.
    if (!closed) return []
    return [
      { type: 'closed', sizeBytes: closed.sizeBytes },
      ...(this.#metadata ? [this.#metadata] : []),
      { type: 'truncated', begin: this.#begin },
      { type: 'released', through: this.#released },
    ]
  }

  /** Takes note of where the records of a batch are. */
  #wrote(segment: Segment, records: readonly StoredRecord[], offset: number, length: number): void {
    for (const [nth, record] of records.entries()) {
      switch (record.type) {
        case 'write': {
          segment.lastPosition = Math.max(segment.lastPosition, record.position)
          const place = this.#places.get(record.position)
          // A later value for that position may be waiting to be written.
          const newer = place && 'value' in place && place.value !== record.value
          if (!newer && record.position >= this.#begin) {
            this.#places.set(record.position, { segment, offset, length, nth })
          }
          break
        }
        case 'promise':
        case 'learned':
          segment.lastPosition = Math.max(segment.lastPosition, record.position)
          break
        case 'metadata':
          this.#metadata = record
          break
        case 'truncated':
          this.#forget(record.begin)
          break
        case 'released':
          this.#released = Math.max(this.#released, record.through)
          break
        case 'closed':
          break
      }
    }
  }

  #addSegment(sequence: number): Segment {
    const segment: Segment = { sequence, sizeBytes: 0, lastPosition: -1 }
    this.#segments.push(segment)
    this.#unsyncedDirectories.add(this.#directory)
    return segment
  }

  async #syncDirectories(): Promise<void> {
    const directories = [...this.#unsyncedDirectories]
    this.#unsyncedDirectories.clear()
    await Promise.all(directories.map(this.#syncDirectory))
  }

  // Reading

  read(position: Position): Promise<Value> {
    const place = this.#places.get(position)
    assert(place, `there is a value at ${position}`)
    if ('value' in place) return Promise.resolve(place.value)
    const reading = this.#readBatch(place).then(records => {
      const record = records[place.nth]
      assert(record?.type === 'write', 'places point at writes')
      return record.value
    })
    this.#reads.add(reading)
    const done = (): unknown => this.#reads.delete(reading)
    reading.then(done, done)
    return reading
  }

  #readBatch(place: WrittenPlace): Promise<readonly StoredRecord[]> {
    const last = this.#lastRead
    if (last?.place.segment === place.segment && last.place.offset === place.offset)
      return last.records
    const records = this.#fetch(place)
    this.#lastRead = { place, records }
    return records
  }

  async #fetch({ segment, offset, length }: WrittenPlace): Promise<readonly StoredRecord[]> {
    const batch = Buffer.allocUnsafe(length)
    const handle = await this.#handle(segment)
    const { bytesRead } = await handle.read(batch, 0, length, offset)
    if (bytesRead < length || !isWhole(batch, segment.sequence, offset)) {
      const file = this.#file(segment.sequence)
      throw new DamagedLogError(file, offset, 'what was whole when it was written is not any more')
    }
    return decodeBatch(batch)
  }

  // Truncating

  truncate(begin: Position): Promise<void> {
    assert(this.#lock, 'the storage is open')
    this.#forget(begin)
    const truncation = this.#truncations.then(() => this.#giveBack())
    this.#truncations = truncation.catch(() => {})
    return truncation
  }

  async #giveBack(): Promise<void> {
    const spare = this.#spareSegments()
    const through = spare.at(-1)?.sequence
    if (through === undefined) return
    // Only after this is on disk may they be missing. It also says where the log begins, since the TRUNCATE may be in them.
    await this.#commits.persist([
      { type: 'truncated', begin: this.#begin },
      { type: 'released', through },
    ])
    await Promise.allSettled(this.#reads)
    for (const segment of spare) {
      await (await segment.handle)?.close()
      await this.#files.remove(this.#file(segment.sequence))
      // One by one: after a power loss a later one must not be missing while an earlier one is there again.
      await this.#syncDirectory(this.#directory)
    }
  }

  #forget(begin: Position): void {
    if (begin <= this.#begin) return
    if (begin - this.#begin <= this.#places.size) {
      for (let p = this.#begin; p < begin; p++) this.#places.delete(p)
    } else {
      for (const p of this.#places.keys()) if (p < begin) this.#places.delete(p)
    }
    this.#begin = begin
  }

  /** Takes the segments that nobody needs off the list: the oldest, wholly below `begin`, but for those to be kept. */
  #spareSegments(): Segment[] {
    let count = 0
    while (count < this.#segments.length - 1 && this.#segments[count]!.lastPosition < this.#begin)
      count++
    let keptBytes = 0
    while (count > 0) {
      keptBytes += this.#segments[count - 1]!.sizeBytes
      if (keptBytes > this.#retainBytes) break
      count--
    }
    return this.#segments.splice(0, count)
  }

  // Closing

  async close(): Promise<void> {
    if (!this.#lock) return
    try {
      if (!this.#commits.failure) await this.#commits.persist([])
    } finally {
      // Whoever opens the directory next must not see files go.
      await this.#truncations
      await Promise.allSettled(this.#reads)
      for (const { handle } of this.#segments) await (await handle)?.close()
      this.#lock.release()
      this.#lock = undefined
    }
  }

  #file(sequence: number): string {
    return join(this.#directory, segmentName(sequence))
  }

  #handle(segment: Segment): Promise<LogFile> {
    const isLast = segment === this.#segments.at(-1)
    const flags = !isLast ? 'r' : segment.sizeBytes === 0 ? 'w+' : 'r+'
    segment.handle ??= this.#files.open(this.#file(segment.sequence), flags)
    return segment.handle
  }
}

function isReplicas(record: StoredRecord): record is ReplicaRecord {
  return record.type !== 'released' && record.type !== 'closed'
}

async function writeFully(handle: LogFile, bytes: Buffer, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(
      bytes,
      written,
      bytes.length - written,
      position + written,
    )
    written += bytesWritten
  }
}
