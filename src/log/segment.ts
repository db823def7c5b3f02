// Reading one segment, and telling a torn tail from damage. Pure.
//
//   <work_dir>/replicated_log/
//   ├── segment-00000000000000000007.log      closed: never written again
//   ├── segment-00000000000000000008.log      closed
//   ├── segment-00000000000000000009.log      the last: batches are appended here
//   └── lock-<pid>-<8 hex digits>             a socket: who has the log open for writing (lock-file.ts)
//
// A batch that cannot be read is
// - the *torn tail*, if it is in the last segment and no valid batch lies behind it. A crash while it was being
//   written left it so; it was never synced, so nobody was told that it is there. It may be cut. (If the disk flipped a
//   bit in the very last batch after its sync, that looks the same, and is the one loss that cannot be told apart.)
// - *damage* in every other case: it was synced before what lies behind it was written.

import {
  BATCH_HEADER_BYTES,
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

export function segmentName(sequence: number): string {
  return `segment-${String(sequence).padStart(20, '0')}.log`
}

/** The sequence in a file's name; undefined for a file that is no segment. */
export function sequenceOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
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
  const header = readHeader(file, bytes)
  if (header && header.sequence !== sequence) {
    throw new DamagedLogError(
      file,
      0,
      `its name says segment ${sequence}, its header segment ${header.sequence}`,
    )
  }
  let offset = header ? HEADER_BYTES : 0
  while (header && offset < bytes.length) {
    const length = batchLength(bytes, sequence, offset)
    if (length === undefined) break
    visit(readBatch(file, bytes.subarray(offset, offset + length), offset), offset, length)
    offset += length
  }
  const validBytes = offset
  if (header && validBytes === bytes.length) return { header, validBytes }
  if (!last) {
    throw new DamagedLogError(
      file,
      validBytes,
      'it cannot be read from there on, though later segments exist',
    )
  }
  const behind = findBatch(bytes, sequence, Math.max(HEADER_BYTES, validBytes + (header ? 1 : 0)))
  if (behind !== undefined) {
    throw new DamagedLogError(
      file,
      validBytes,
      `what is there has a wrong checksum or length, but at byte ${behind} valid records follow`,
    )
  }
  const cutBytes = bytes.length - validBytes
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

/** Where behind `from` a valid batch lies. Checks every byte, because a damaged length tells nothing. */
function findBatch(bytes: Buffer, sequence: number, from: number): number | undefined {
  for (let at = from; at + BATCH_HEADER_BYTES < bytes.length; at++) {
    if (batchLength(bytes, sequence, at) !== undefined) return at
  }
  return undefined
}

function readHeader(file: string, bytes: Buffer): SegmentHeader | undefined {
  try {
    return decodeHeader(bytes)
  } catch (error) {
    throw asDamage(file, 0, error)
  }
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
    `${error.message}, which this version does not know (it was written by a later one)`,
  )
}

/**
 * What the segments of a directory must be: consecutive, each as long as when it was closed, all of one replica, and the
 * first of them one that may be the first. All methods throw `DamagedLogError` where that is not so.
 */
export class SegmentChain {
  #first: number | undefined
  #previous: { readonly file: string; readonly sequence: number; sizeBytes: number } | undefined
  #replicaId: string | undefined
  #released = 0

  /** The replica's id; undefined if no header was read. */
  get replicaId(): string | undefined {
    return this.#replicaId
  }

  /** Reads the next segment of the chain as `scanSegment` does, and hands on the records that are a replica's. */
  scan(
    file: string,
    bytes: Buffer,
    sequence: number,
    last: boolean,
    visit: (records: readonly StoredRecord[], offset: number, length: number) => void,
  ): SegmentScan {
    this.#first ??= sequence
    const previous = this.#previous
    if (previous && sequence !== previous.sequence + 1) {
      throw new DamagedLogError(
        file,
        0,
        `the segment before it, ${segmentName(previous.sequence + 1)}, is missing`,
      )
    }
    const scan = scanSegment(file, bytes, sequence, last, (records, offset, length) => {
      for (const record of records) {
        if (record.type === 'released') this.#released = Math.max(this.#released, record.through)
        if (record.type === 'closed' && previous && previous.sizeBytes !== record.sizeBytes) {
          throw new DamagedLogError(
            previous.file,
            Math.min(previous.sizeBytes, record.sizeBytes),
            `it has ${previous.sizeBytes} bytes but had ${record.sizeBytes} when it was closed`,
          )
        }
      }
      visit(records, offset, length)
    })
    this.#replicaId ??= scan.header?.replicaId
    if (scan.header && scan.header.replicaId !== this.#replicaId) {
      throw new DamagedLogError(
        file,
        0,
        'it belongs to another replica than the segments before it',
      )
    }
    this.#previous = { file, sequence, sizeBytes: scan.validBytes }
    return scan
  }

  /** To be called after the last segment. */
  check(directory: string): void {
    if (this.#first === undefined || this.#first <= this.#released + 1) return
    throw new DamagedLogError(
      `${directory}/${segmentName(this.#first)}`,
      0,
      `the segment before it, ${segmentName(this.#first - 1)}, is missing though it was still needed`,
    )
  }
}
