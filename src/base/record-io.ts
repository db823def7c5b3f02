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
  #unread: Uint8Array = new Uint8Array()

  /** A record that is longer ends the stream. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The records that are whole now. Throws a `UserError` where there is no length, or too great a one. */
  take(piece: Uint8Array): Uint8Array[] {
    this.#unread = this.#unread.length === 0 ? piece : Buffer.concat([this.#unread, piece])
    const records: Uint8Array[] = []
    for (;;) {
      const record = this.#next()
      if (!record) return records
      records.push(record)
    }
  }

  /** Whether a record has begun that is not whole. */
  get isWithin(): boolean {
    return this.#unread.length > 0
  }

  #next(): Uint8Array | undefined {
    let start = 0
    while (this.#unread[start] === NEWLINE) start++
    let at = start
    let length = 0
    for (; at < this.#unread.length && this.#unread[at] !== NEWLINE; at++) {
      const digit = this.#unread[at]!
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
    if (at === this.#unread.length || this.#unread.length < body + length) {
      this.#unread = this.#unread.subarray(start)
      return undefined
    }
    const record = this.#unread.subarray(body, body + length)
    this.#unread = this.#unread.subarray(body + length)
    return record
  }
}
