// RecordIO: records one after the other in a stream, each behind its length (Mesos' docs/recordio.md).
//
//   <length in bytes, decimal>\n<bytes> …

import { UserError } from './errors.ts'

const encoder = new TextEncoder()
const NEWLINE = 0x0a
const ZERO = 0x30
const NINE = 0x39
/** Digits of the longest length that is looked at. */
const MAX_DIGITS = 12

export function encodeRecord(bytes: Uint8Array | string): Uint8Array {
  const body = typeof bytes === 'string' ? encoder.encode(bytes) : bytes
  const head = encoder.encode(`${body.length}\n`)
  const record = new Uint8Array(head.length + body.length)
  record.set(head)
  record.set(body, head.length)
  return record
}

/** Finds records in pieces that end anywhere. Newlines before a length are nothing, as the page above wants it. */
export class RecordDecoder {
  readonly #maxBytes: number
  /**
   * Begins with `#bytes` of a record that is not whole, and has room for more: senders choose how small their pieces are, so they are
   * not put together anew each time, nor kept one by one.
   */
  #unread: Uint8Array = new Uint8Array()
  #bytes = 0
  /** So many have to be there before it is worth a look. */
  #awaited = 0

  /** A record that is longer ends the stream. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The records that are whole now. Throws a `UserError` where there is no length, or too great a one. */
  take(piece: Uint8Array): Uint8Array[] {
    const isFirst = this.#bytes === 0
    if (!isFirst) this.#append(piece)
    else this.#bytes = piece.length
    if (!isFirst && this.#bytes < this.#awaited) return []
    const all = isFirst ? piece : this.#unread.subarray(0, this.#bytes)
    const records: Uint8Array[] = []
    let at = 0
    for (;;) {
      const found = this.#find(all, at)
      if (found.end > all.length) {
        if (isFirst || found.start > 0) this.#unread = new Uint8Array(all.subarray(found.start))
        this.#bytes = all.length - found.start
        this.#awaited = found.end - found.start
        return records
      }
      records.push(all.subarray(found.body, found.end))
      at = found.end
    }
  }

  #append(piece: Uint8Array): void {
    const bytes = this.#bytes + piece.length
    if (bytes > this.#unread.length) {
      const roomier = new Uint8Array(Math.max(bytes, 2 * this.#unread.length))
      roomier.set(this.#unread.subarray(0, this.#bytes))
      this.#unread = roomier
    }
    this.#unread.set(piece, this.#bytes)
    this.#bytes = bytes
  }

  /** Whether a record has begun that is not whole. */
  get isWithin(): boolean {
    return this.#bytes > 0
  }

  /** The record that begins at `from`: `end` is beyond what is there while it is not whole, by a byte if its length is not. */
  #find(all: Uint8Array, from: number): { start: number; body: number; end: number } {
    let start = from
    while (all[start] === NEWLINE) start++
    let at = start
    let length = 0
    for (; at < all.length && all[at] !== NEWLINE; at++) {
      const digit = all[at]!
      if (digit < ZERO || digit > NINE || at - start >= MAX_DIGITS) {
        throw new UserError('invalid_value', 'a record does not begin with its length in bytes')
      }
      length = length * 10 + digit - ZERO
    }
    if (length > this.#maxBytes) {
      throw new UserError(
        'invalid_value',
        `a record has ${length} bytes, more than ${this.#maxBytes}`,
      )
    }
    const body = at + 1
    return { start, body, end: at === all.length ? body : body + length }
  }
}
