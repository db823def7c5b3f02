// What the segments of a directory must be: consecutive, each as long as when it was closed, all of one replica, and the
// first of them one that may be the first. Pure.

import type { StoredRecord } from './record.ts'
import type { SegmentSummary } from './segment-index.ts'
import { scanSegment, segmentName, type SegmentScan } from './segment.ts'
import { DamagedLogError } from './storage.ts'

/** All methods throw `DamagedLogError` where a directory is not what it must be. */
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
    const previous = this.#previous
    this.#follows(file, sequence)
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
    if (scan.header) this.#belongs(file, scan.header.replicaId)
    this.#previous = { file, sequence, sizeBytes: scan.validBytes }
    return scan
  }

  /** Takes the next segment of the chain unread, by what its index says of it and the file's size. */
  skip(file: string, { sequence, sizeBytes, replicaId }: SegmentSummary, fileBytes: number): void {
    this.#follows(file, sequence)
    if (fileBytes < sizeBytes) {
      throw new DamagedLogError(
        file,
        fileBytes,
        `it has ${fileBytes} bytes but had ${sizeBytes} when it was closed`,
      )
    }
    this.#belongs(file, replicaId)
    this.#previous = { file, sequence, sizeBytes }
  }

  #follows(file: string, sequence: number): void {
    this.#first ??= sequence
    if (!this.#previous || sequence === this.#previous.sequence + 1) return
    const missing = segmentName(this.#previous.sequence + 1)
    throw new DamagedLogError(file, 0, `the segment before it, ${missing}, is missing`)
  }

  #belongs(file: string, replicaId: string): void {
    this.#replicaId ??= replicaId
    if (replicaId === this.#replicaId) return
    throw new DamagedLogError(file, 0, 'it belongs to another replica than the segments before it')
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
