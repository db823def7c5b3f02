// Reading one segment, and telling a torn tail from damage. Pure.
//
//   <work_dir>/replicated_log/
//   ├── segment-00000000000000000007.log      closed: never written again
//   ├── segment-00000000000000000007.index    where its values are (segment-index.ts); made again if it is not there
//   ├── segment-00000000000000000008.log      closed
//   ├── segment-00000000000000000008.index
//   ├── segment-00000000000000000009.log      the last: batches are appended here
//   └── lock-<pid>-…                          a socket: who has the log open for writing (lock-file.ts)
//
// The first batch of a segment restates all that was before, but for the values. So a replica reads the last segment
// only. Space is taken up in advance: zeros, after the last batch.
//
// A batch that cannot be read is
// - the *torn tail*, if it is in the last segment and no valid batch lies behind it. A crash while it was being
//   written left it so; it was never synced, so nobody was told that it is there. It may be cut. (If the disk flipped a
//   bit in the very last batch after its sync, that looks the same. So when nothing else is to be written, a `sealed`
//   record is, which may be lost like that.)
// - *damage* in every other case: it was synced before what lies behind it was written.

import { Checksums } from './checksums.ts'
import {
  batchLength,
  decodeBatch,
  decodeHeader,
  HEADER_BYTES,
  type SegmentHeader,
  type StoredRecord,
  UnknownFormatError,
} from './record.ts'
import { DamagedLogError, type StorageWarning } from './storage.ts'

const NAME = /^segment-(\d{20})\.log$/
const INDEX_NAME = /^segment-(\d{20})\.index$/
const ZEROS = Buffer.alloc(4096)

export function segmentName(sequence: number): string {
  return `segment-${String(sequence).padStart(20, '0')}.log`
}

/** The sequence in a file's name; undefined for a file that is no segment. */
export function sequenceOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export function indexName(sequence: number): string {
  return `segment-${String(sequence).padStart(20, '0')}.index`
}

/** The sequence of the segment that an index is of; undefined for a file that is no index. */
export function indexedSequenceOf(name: string): number | undefined {
  const digits = INDEX_NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export interface SegmentScan {
  /** Absent if the header itself is torn: then the segment holds nothing. */
  readonly header?: SegmentHeader
  /** Bytes up to which the segment is whole; what follows is a torn tail. */
  readonly validBytes: number
  /** Present if there is a torn tail. */
  readonly warning?: StorageWarning
}

/**
 * Reads a segment from `bytes`, its whole content, and passes each batch's records to `visit`, with the batch's offset.
 * `last`: whether it is the log's last segment, the only one that may have a torn tail. Throws `DamagedLogError` where
 * the segment is damaged, after all batches before the damage were visited.
 */
export function scanSegment(
  file: string,
  bytes: Buffer,
  sequence: number,
  last: boolean,
  visit: (records: readonly StoredRecord[], offset: number, length: number) => void,
): SegmentScan {
  const header = readHeader(file, bytes, sequence)
  const end = endOfData(bytes)
  let offset = header ? HEADER_BYTES : 0
  while (header && offset < end) {
    const length = batchLength(bytes, sequence, offset)
    if (length === undefined) break
    visit(readBatch(file, bytes.subarray(offset, offset + length), offset), offset, length)
    offset += length
  }
  const validBytes = offset
  // The last bytes of a batch may be zeros, too.
  if (header && validBytes >= end) return { header, validBytes }
  if (!last) {
    throw new DamagedLogError(
      file,
      validBytes,
      'it cannot be read from there on, though later segments exist',
    )
  }
  const behind = findBatch(
    bytes,
    sequence,
    Math.max(HEADER_BYTES, validBytes + (header ? 1 : 0)),
    end,
  )
  if (behind !== undefined) {
    throw new DamagedLogError(
      file,
      validBytes,
      `what is there has a wrong checksum or length, but at byte ${behind} valid records follow`,
    )
  }
  const cutBytes = Math.max(0, end - validBytes)
  // A crash between creating a segment and writing to it leaves it empty: nothing to be told.
  if (cutBytes === 0) return { validBytes }
  const message =
    `${file} ends in ${cutBytes} bytes, from byte ${validBytes} on, of a write that was not completed ` +
    `before a crash; they are left out. Nothing that was acknowledged was in them.`
  return {
    ...(header && { header }),
    validBytes,
    warning: { file, offset: validBytes, cutBytes, message },
  }
}

/** Whether a segment begins as it must, and has a whole batch. */
export function hasBatches(bytes: Buffer, sequence: number): boolean {
  return bytes.length > HEADER_BYTES && batchLength(bytes, sequence, HEADER_BYTES) !== undefined
}

/** Where the zeros begin that a segment ends in. */
function endOfData(bytes: Buffer): number {
  let end = bytes.length
  while (
    end >= ZEROS.length &&
    bytes.compare(ZEROS, 0, ZEROS.length, end - ZEROS.length, end) === 0
  )
    end -= ZEROS.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}

/**
 * Where in [from, to) a valid batch begins. Checks every byte, because a damaged length tells nothing; and what is somebody's
 * entry may look like a length everywhere.
 */
function findBatch(bytes: Buffer, sequence: number, from: number, to: number): number | undefined {
  const checksums = new Checksums(bytes)
  for (let at = from; at < to; at++) {
    if (batchLength(bytes, sequence, at, checksums) !== undefined) return at
  }
  return undefined
}

/** The header at the beginning of a segment; undefined if it is not whole. */
export function readHeader(
  file: string,
  bytes: Buffer,
  sequence: number,
): SegmentHeader | undefined {
  let header: SegmentHeader | undefined
  try {
    header = decodeHeader(bytes)
  } catch (error) {
    throw asDamage(file, 0, error)
  }
  if (!header || header.sequence === sequence) return header
  const what = `its name says segment ${sequence}, its header segment ${header.sequence}`
  throw new DamagedLogError(file, 0, what)
}

function readBatch(file: string, batch: Buffer, offset: number): StoredRecord[] {
  try {
    return decodeBatch(batch)
  } catch (error) {
    throw asDamage(file, offset, error)
  }
}

function asDamage(file: string, offset: number, error: unknown): unknown {
  if (!(error instanceof UnknownFormatError)) return error
  return new DamagedLogError(
    file,
    offset,
    `${error.message}, which this version does not know (it was written by another one)`,
  )
}
