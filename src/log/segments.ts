// The segments of one directory, and where in them the value of each position lies. In memory is where the values of the
// last one are, and of a few that were asked for last.

import { join } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Position } from '../messages/log.ts'
import type { LogFile, LogFiles } from './files.ts'
import { decodeBatch, isWhole, type StoredRecord } from './record.ts'
import { indexName, scanSegment, segmentName } from './segment.ts'
import {
  INDEX_HEADER_BYTES,
  type IndexSummary,
  type Place,
  SegmentIndex,
  type SegmentSummary,
} from './segment-index.ts'
import { DamagedLogError } from './storage.ts'

/** Of so many closed segments the index is kept in memory, and the file open. */
const KEPT = 4

export class Segment {
  readonly sequence: number
  /** Whether it has no file before it is written to. */
  isNew: boolean
  /** Of its header and batches. The file may be longer: zeros follow. */
  sizeBytes = 0
  fileBytes = 0
  /** The lowest position that it has a value of. */
  firstValue: Position = Infinity
  /** The highest position that any of its records is about; -1 if none. */
  lastPosition: Position = -1
  /** Open for reading, or for the last segment also for writing; absent until needed. */
  handle?: Promise<LogFile> | undefined
  /** How many reads are under way. */
  readers = 0

  constructor(sequence: number, isNew: boolean) {
    this.sequence = sequence
    this.isNew = isNew
  }

  summary(replicaId: string): SegmentSummary {
    const { sequence, sizeBytes, lastPosition } = this
    return { sequence, sizeBytes, lastPosition, replicaId }
  }
}

/** Takes note of where the values of a batch are. */
export function enter(
  segment: Segment,
  index: SegmentIndex,
  records: readonly StoredRecord[],
  { offset, length }: { readonly offset: number; readonly length: number },
): void {
  for (const [nth, record] of records.entries()) {
    switch (record.type) {
      case 'write':
        index.add(record.position, { offset, length, nth })
        segment.firstValue = Math.min(segment.firstValue, record.position)
        segment.lastPosition = Math.max(segment.lastPosition, record.position)
        break
      case 'promise':
      case 'learned':
        segment.lastPosition = Math.max(segment.lastPosition, record.position)
        break
      default:
    }
  }
}

export class Segments {
  /** In order; the last one is written. */
  readonly list: Segment[] = []
  readonly #directory: string
  readonly #files: LogFiles
  readonly #indexes = new Map<Segment, Promise<SegmentIndex>>()
  /** Of the last segment. Undefined if that was not read: then others come behind it. */
  #growing: SegmentIndex | undefined
  /** The batch last read, because neighbours are asked for one after the other. */
  #lastRead:
    | {
        readonly segment: Segment
        readonly offset: number
        readonly records: Promise<readonly StoredRecord[]>
      }
    | undefined

  constructor(directory: string, files: LogFiles) {
    this.#directory = directory
    this.#files = files
  }

  get last(): Segment | undefined {
    return this.list.at(-1)
  }

  /** Where the values of the last segment are. */
  get growing(): SegmentIndex {
    return (this.#growing ??= new SegmentIndex())
  }

  /** Puts one behind the last, and has it be the last. */
  add(sequence: number, { isNew }: { readonly isNew: boolean }): Segment {
    const segment = new Segment(sequence, isNew)
    if (this.last && this.#growing) this.#keep(this.last, Promise.resolve(this.#growing))
    this.#growing = undefined
    this.list.push(segment)
    return segment
  }

  file(sequence: number): string {
    return join(this.#directory, segmentName(sequence))
  }

  indexFile(sequence: number): string {
    return join(this.#directory, indexName(sequence))
  }

  handle(segment: Segment): Promise<LogFile> {
    const isLast = segment === this.last
    const flags = segment.isNew ? 'w+' : isLast ? 'r+' : 'r'
    segment.handle ??= this.#files.open(this.file(segment.sequence), flags, { isDurable: isLast })
    segment.isNew = false
    return segment.handle
  }

  /** It is opened again when it is needed. One that is being read stays open until it is not needed the next time. */
  async closeFile(segment: Segment): Promise<void> {
    const { handle } = segment
    if (!handle || segment.readers > 0) return
    segment.handle = undefined
    await (await handle).close()
  }

  // Indexes

  /** Reads what the index of a closed segment says of it; undefined if there is none, or none whose header is whole. */
  async readSummary(sequence: number): Promise<IndexSummary | undefined> {
    const header = Buffer.alloc(INDEX_HEADER_BYTES)
    let file: LogFile
    try {
      file = await this.#files.open(this.indexFile(sequence), 'r')
    } catch (error) {
      return whenMissing(error)
    }
    try {
      const { bytesRead } = await file.read(header, 0, header.length, 0)
      return SegmentIndex.decodeSummary(header.subarray(0, bytesRead), sequence)
    } finally {
      await file.close()
    }
  }

  async writeIndex(segment: Segment, index: SegmentIndex, replicaId: string): Promise<void> {
    const bytes = index.encode(segment.summary(replicaId))
    const file = await this.#files.open(this.indexFile(segment.sequence), 'w+')
    try {
      await writeFully(file, bytes, 0)
    } finally {
      await file.close()
    }
  }

  /** Of a closed segment. */
  indexOf(segment: Segment): Promise<SegmentIndex> {
    const kept = this.#indexes.get(segment)
    this.#indexes.delete(segment)
    const index = kept ?? this.#loadIndex(segment)
    this.#keep(segment, index)
    return index
  }

  #keep(segment: Segment, index: Promise<SegmentIndex>): void {
    this.#indexes.set(segment, index)
    // What could not be read is not kept. Whoever waits for it is told.
    index.catch(() => this.#indexes.delete(segment))
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexes.size <= KEPT) break
      this.#indexes.delete(oldest)
      void this.closeFile(oldest)
    }
  }

  async #loadIndex(segment: Segment): Promise<SegmentIndex> {
    const { sequence } = segment
    const bytes = await this.#files.readFile(this.indexFile(sequence)).catch(whenMissing)
    return (bytes && SegmentIndex.decode(bytes, sequence)?.index) ?? this.#remakeIndex(segment)
  }

  async #remakeIndex(segment: Segment): Promise<SegmentIndex> {
    const { sequence } = segment
    const file = this.file(sequence)
    const index = new SegmentIndex()
    const bytes = await this.#files.readFile(file)
    const { header } = scanSegment(file, bytes, sequence, false, (records, offset, length) =>
      enter(segment, index, records, { offset, length }),
    )
    // If there is no room for it, it is made again the next time.
    if (header) await this.writeIndex(segment, index, header.replicaId).catch(() => {})
    return index
  }

  // Values

  /** The record that was written last for a position, as of this call. */
  async read(position: Position): Promise<StoredRecord & { type: 'write' }> {
    const last = this.last
    const place = this.growing.find(position)
    if (last && place) return this.#fetch(last, place)
    const closed = this.list.filter(s => s.firstValue <= position && position <= s.lastPosition)
    for (const segment of closed.reverse()) {
      if (segment === last) continue
      const found = (await this.indexOf(segment)).find(position)
      if (found) return this.#fetch(segment, found)
    }
    throw new Error(`there is no value at ${position}`)
  }

  async #fetch(segment: Segment, place: Place): Promise<StoredRecord & { type: 'write' }> {
    const record = (await this.#batch(segment, place))[place.nth]
    assert(record?.type === 'write', 'places point at writes')
    return record
  }

  #batch(segment: Segment, place: Place): Promise<readonly StoredRecord[]> {
    const last = this.#lastRead
    if (last?.segment === segment && last.offset === place.offset) return last.records
    const records = this.#readBatch(segment, place)
    this.#lastRead = { segment, offset: place.offset, records }
    return records
  }

  async #readBatch(segment: Segment, { offset, length }: Place): Promise<readonly StoredRecord[]> {
    const batch = Buffer.allocUnsafe(length)
    segment.readers++
    let bytesRead = 0
    try {
      const handle = await this.handle(segment)
      bytesRead = (await handle.read(batch, 0, length, offset)).bytesRead
    } finally {
      segment.readers--
    }
    if (bytesRead < length || !isWhole(batch, segment.sequence, offset)) {
      const file = this.file(segment.sequence)
      throw new DamagedLogError(file, offset, 'what was whole when it was written is not any more')
    }
    return decodeBatch(batch)
  }

  // Removing

  /** The segments that nobody needs: the oldest, wholly below `begin`, but for those to be kept. They stay on the list. */
  spare(begin: Position, retainBytes: number): Segment[] {
    let count = 0
    while (count < this.list.length - 1 && this.list[count]!.lastPosition < begin) count++
    let keptBytes = 0
    while (count > 0) {
      keptBytes += this.list[count - 1]!.sizeBytes
      if (keptBytes > retainBytes) break
      count--
    }
    return this.list.slice(0, count)
  }

  /** Removes the oldest. */
  async removeFirst(): Promise<void> {
    const segment = this.list.shift()!
    await (await segment.handle)?.close()
    this.#indexes.delete(segment)
    await this.#files.remove(this.file(segment.sequence))
    await this.removeIndex(segment.sequence)
  }

  async removeIndex(sequence: number): Promise<void> {
    try {
      await this.#files.remove(this.indexFile(sequence))
    } catch (error) {
      whenMissing(error)
    }
  }

  async close(): Promise<void> {
    for (const { handle } of this.list) await (await handle)?.close()
  }
}

function whenMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

export async function writeFully(
  handle: LogFile,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
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
