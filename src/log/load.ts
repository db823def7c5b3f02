// What a storage reads when it is opened: the last segment, since its first batch restates all that was before, and of the
// others the headers, of the segment and of its index.

import type { LogFiles } from './files.ts'
import { checkNotPutAside } from './put-aside.ts'
import { HEADER_BYTES, type StoredRecord } from './record.ts'
import { hasBatches, indexedSequenceOf, readHeader, sequenceOf } from './segment.ts'
import { SegmentChain } from './segment-chain.ts'
import type { Segment, Segments } from './segments.ts'
import { DamagedLogError, type ReplicaRecord, type StorageWarning } from './storage.ts'

export interface Loading {
  /** Told of the records whose fold is the replica's state. */
  readonly restore: (record: ReplicaRecord) => void
  /** Told of each batch that was read. */
  readonly wrote: (
    segment: Segment,
    records: readonly StoredRecord[],
    offset: number,
    length: number,
  ) => void
}

export interface Loaded {
  readonly warnings: readonly StorageWarning[]
  /** Undefined for a new log. */
  readonly replicaId: string | undefined
}

/** Fills `segments`, which must be empty. Rejects with `DamagedLogError`. */
export async function loadSegments(
  files: LogFiles,
  directory: string,
  segments: Segments,
  loading: Loading,
): Promise<Loaded> {
  const names = await files.list(directory)
  checkNotPutAside(directory, names)
  const sequences = names.flatMap(name => sequenceOf(name) ?? []).sort((a, b) => a - b)
  const indexed = new Set(names.flatMap(name => indexedSequenceOf(name) ?? []))
  const loader = new Loader(files, segments, loading)
  const warnings = await loader.load(sequences, indexed)
  loader.chain.check(directory)
  // Left by a crash while their segments were removed.
  for (const sequence of indexed) {
    if (!sequences.includes(sequence)) await segments.removeIndex(sequence)
  }
  return { warnings, replicaId: loader.chain.replicaId }
}

class Loader {
  readonly chain = new SegmentChain()
  readonly #files: LogFiles
  readonly #segments: Segments
  readonly #loading: Loading

  constructor(files: LogFiles, segments: Segments, loading: Loading) {
    this.#files = files
    this.#segments = segments
    this.#loading = loading
  }

  async load(sequences: readonly number[], indexed: Set<number>): Promise<StorageWarning[]> {
    const readFrom = await this.#firstToRead(sequences, indexed)
    const warnings: StorageWarning[] = []
    for (const sequence of sequences) {
      const segment = this.#segments.add(sequence, { isNew: false })
      if (sequence < readFrom) {
        await this.#skip(segment)
        continue
      }
      const isLast = sequence === sequences.at(-1)
      const warning = await this.#read(segment, isLast, this.#loading.restore)
      if (warning) warnings.push(warning)
    }
    return warnings
  }

  /** The last segment; or the one before it, if a crash left nothing in the last. */
  async #firstToRead(sequences: readonly number[], indexed: Set<number>): Promise<number> {
    const last = sequences.at(-1)
    if (last === undefined) return 1
    const file = this.#segments.file(last)
    // An index is written when there is a later segment, with something in it.
    if (indexed.has(last)) {
      const what = 'the segment behind it is missing, for it has an index already'
      throw new DamagedLogError(file, 0, what)
    }
    const before = sequences.at(-2)
    if (before === undefined || hasBatches(await this.#files.readFile(file), last)) return last
    if (!indexed.has(before)) return before
    throw new DamagedLogError(file, 0, 'what it begins with has a wrong checksum or length')
  }

  /** Takes note of a segment that need not be read, if it has an index. What is in them is checked when it is needed. */
  async #skip(segment: Segment): Promise<void> {
    const { sequence } = segment
    const summary = await this.#segments.readSummary(sequence)
    if (!summary) {
      await this.#read(segment, false, () => {})
      await this.#segments.writeIndex(segment, this.#segments.growing, this.chain.replicaId!)
      return
    }
    const file = this.#segments.file(sequence)
    const header = Buffer.alloc(HEADER_BYTES)
    await (await this.#segments.handle(segment)).read(header, 0, HEADER_BYTES, 0)
    await this.#segments.closeFile(segment)
    if (!readHeader(file, header, sequence))
      throw new DamagedLogError(file, 0, 'its header has a wrong checksum')
    segment.fileBytes = await this.#files.size(file)
    segment.sizeBytes = summary.sizeBytes
    segment.lastPosition = summary.lastPosition
    segment.firstValue = summary.first
    this.chain.skip(file, summary, segment.fileBytes)
  }

  async #read(
    segment: Segment,
    isLast: boolean,
    restore: (record: ReplicaRecord) => void,
  ): Promise<StorageWarning | undefined> {
    const { sequence } = segment
    const file = this.#segments.file(sequence)
    const bytes = await this.#files.readFile(file)
    const scan = this.chain.scan(file, bytes, sequence, isLast, (records, offset, length) => {
      for (const record of records) if (isReplicas(record)) restore(record)
      this.#loading.wrote(segment, records, offset, length)
    })
    segment.sizeBytes = scan.validBytes
    segment.fileBytes = scan.warning ? scan.validBytes : bytes.length
    return scan.warning
  }
}

function isReplicas(record: StoredRecord): record is ReplicaRecord {
  return record.type !== 'released' && record.type !== 'closed'
}
