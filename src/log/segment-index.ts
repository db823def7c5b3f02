// Where in a segment the value of each position lies. Pure.
//
//   index  = header, positions f64[count] · offsets u32[count] · lengths u32[count] · nths u32[count]
//   header = magic "MESOSIDX" · version u32 · CRC u32 · sequence u64 · size of the segment u64 · highest position f64 ·
//            replica id (16 bytes) · count u64 · first position f64 · CRC of what follows u32 · 0 u32         80 bytes
//
// Little-endian. One per closed segment, written when it has been closed and made again from the segment if it is not
// there, or a checksum is wrong: so it is never synced. The header has its own (of all but itself), because a start
// reads no more of an index.

import { crc32 } from 'node:zlib'
import type { Position } from '../messages/log.ts'

const VERSION = 2
const MAGIC = Buffer.from('MESOSIDX', 'latin1')
export const INDEX_HEADER_BYTES = 80
const ENTRY_BYTES = 20
const FIRST_CAPACITY = 64
/** So many entries out of order are put in their places at once; or an eighth of all, if that is more. */
const FEW = 1024

/** The batch that a value is in, and which of its records it is. */
export interface Place {
  readonly offset: number
  readonly length: number
  readonly nth: number
}

/** What an index knows of its segment besides. */
export interface SegmentSummary {
  readonly sequence: number
  readonly sizeBytes: number
  /** The highest position that any of its records is about; -1 if none. */
  readonly lastPosition: Position
  readonly replicaId: string
}

/** What the header of an index says. */
export interface IndexSummary extends SegmentSummary {
  /** How many positions have a value there; the first of them, Infinity if there is none. */
  readonly count: number
  readonly first: Position
}

class Columns {
  readonly positions: Float64Array
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
  readonly nths: Uint32Array

  /** Views of `bytes`, or new ones. */
  constructor(capacity: number, bytes = new ArrayBuffer(capacity * ENTRY_BYTES), at = 0) {
    this.positions = new Float64Array(bytes, at, capacity)
    this.offsets = new Uint32Array(bytes, at + 8 * capacity, capacity)
    this.lengths = new Uint32Array(bytes, at + 12 * capacity, capacity)
    this.nths = new Uint32Array(bytes, at + 16 * capacity, capacity)
  }

  put(i: number, position: Position, { offset, length, nth }: Place): void {
    this.positions[i] = position
    this.offsets[i] = offset
    this.lengths[i] = length
    this.nths[i] = nth
  }

  place(i: number): Place {
    return { offset: this.offsets[i]!, length: this.lengths[i]!, nth: this.nths[i]! }
  }
}

/** The last place given for a position counts. */
export class SegmentIndex {
  /** Sorted by position, up to `#count`. */
  #columns: Columns
  #count: number
  /** Positions that came after higher ones. */
  #late = new Map<Position, Place>()

  constructor(columns = new Columns(FIRST_CAPACITY), count = 0) {
    this.#columns = columns
    this.#count = count
  }

  add(position: Position, place: Place): void {
    const count = this.#count
    if (count > 0 && position <= this.#columns.positions[count - 1]!) {
      this.#late.set(position, place)
      if (this.#late.size > Math.max(FEW, count / 8)) this.#sort()
      return
    }
    if (count === this.#columns.positions.length) this.#grow(2 * count)
    this.#columns.put(this.#count++, position, place)
  }

  /** The lowest position in it. */
  get first(): Position | undefined {
    const first = this.#count > 0 ? this.#columns.positions[0]! : Infinity
    const lowest = Math.min(first, ...this.#late.keys())
    return lowest === Infinity ? undefined : lowest
  }

  find(position: Position): Place | undefined {
    const late = this.#late.get(position)
    if (late) return late
    const { positions } = this.#columns
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (positions[middle]! < position) low = middle + 1
      else high = middle
    }
    return low < this.#count && positions[low] === position ? this.#columns.place(low) : undefined
  }

  #grow(capacity: number): void {
    const old = this.#columns
    this.#columns = new Columns(capacity)
    this.#columns.positions.set(old.positions)
    this.#columns.offsets.set(old.offsets)
    this.#columns.lengths.set(old.lengths)
    this.#columns.nths.set(old.nths)
  }

  #sort(): void {
    const old = this.#columns
    const late = [...this.#late].sort(([a], [b]) => a - b)
    const merged = new Columns(this.#count + late.length)
    let count = 0
    let next = 0
    for (let i = 0; i < this.#count; i++) {
      const position = old.positions[i]!
      while (next < late.length && late[next]![0] < position) merged.put(count++, ...late[next++]!)
      if (next < late.length && late[next]![0] === position) merged.put(count++, ...late[next++]!)
      else merged.put(count++, position, old.place(i))
    }
    // What is late lies below the highest of those in order: nothing is left.
    this.#columns = merged
    this.#count = count
    this.#late = new Map()
  }

  encode(summary: SegmentSummary): Buffer {
    if (this.#late.size > 0) this.#sort()
    const count = this.#count
    const bytes = Buffer.from(new ArrayBuffer(INDEX_HEADER_BYTES + count * ENTRY_BYTES))
    MAGIC.copy(bytes, 0)
    bytes.writeUInt32LE(VERSION, 8)
    bytes.writeBigUInt64LE(BigInt(summary.sequence), 16)
    bytes.writeBigUInt64LE(BigInt(summary.sizeBytes), 24)
    bytes.writeDoubleLE(summary.lastPosition, 32)
    bytes.write(summary.replicaId, 40, 16, 'hex')
    bytes.writeBigUInt64LE(BigInt(count), 56)
    const out = new Columns(count, bytes.buffer, INDEX_HEADER_BYTES)
    out.positions.set(this.#columns.positions.subarray(0, count))
    out.offsets.set(this.#columns.offsets.subarray(0, count))
    out.lengths.set(this.#columns.lengths.subarray(0, count))
    out.nths.set(this.#columns.nths.subarray(0, count))
    bytes.writeDoubleLE(this.first ?? Infinity, 64)
    bytes.writeUInt32LE(crc32(bytes.subarray(INDEX_HEADER_BYTES)), 72)
    bytes.writeUInt32LE(headerChecksum(bytes), 12)
    return bytes
  }

  /** Reads the header of an index; undefined if it is damaged, of another version, or of another segment. */
  static decodeSummary(bytes: Buffer, sequence: number): IndexSummary | undefined {
    if (bytes.length < INDEX_HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return undefined
    if (bytes.readUInt32LE(8) !== VERSION || bytes.readUInt32LE(12) !== headerChecksum(bytes))
      return undefined
    const summary = {
      sequence: Number(bytes.readBigUInt64LE(16)),
      sizeBytes: Number(bytes.readBigUInt64LE(24)),
      lastPosition: bytes.readDoubleLE(32),
      replicaId: bytes.toString('hex', 40, 56),
      count: Number(bytes.readBigUInt64LE(56)),
      first: bytes.readDoubleLE(64),
    }
    return summary.sequence === sequence ? summary : undefined
  }

  /** Reads a whole one; undefined if it is damaged, of another version, or of another segment. */
  static decode(
    file: Buffer,
    sequence: number,
  ): { readonly index: SegmentIndex; readonly summary: IndexSummary } | undefined {
    const summary = SegmentIndex.decodeSummary(file, sequence)
    if (!summary || file.length !== INDEX_HEADER_BYTES + summary.count * ENTRY_BYTES)
      return undefined
    if (file.readUInt32LE(72) !== crc32(file.subarray(INDEX_HEADER_BYTES))) return undefined
    // A buffer of its own: what is read from a file may lie anywhere in a bigger one, where no float can.
    const columns = new Columns(summary.count, new Uint8Array(file).buffer, INDEX_HEADER_BYTES)
    return { index: new SegmentIndex(columns, summary.count), summary }
  }
}

function headerChecksum(bytes: Buffer): number {
  return crc32(bytes.subarray(16, INDEX_HEADER_BYTES), crc32(bytes.subarray(0, 12)))
}
