// Values to msgpack, one behind the other in one stretch of memory. What nearly all messages consist of is written
// here; what else msgpack can say is left to msgpackr.

import { Packr } from 'msgpackr'

// No records and no shared structures: any msgpack library can read what we send.
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })

/** Texts up to this many characters are written here; for longer ones the engine's own way is faster. */
const SHORT_TEXT = 40
const FIRST_BYTES = 256

// What is being written, one value at a time. A getter or a `toJSON` of that value is the only thing that can come between: what
// that one has written itself is `apart`.
let out: Buffer = Buffer.alloc(0)
let at = 0
let writing = false

/** Whether a value is being written: whoever asks was called by it. */
export function isWriting(): boolean {
  return writing
}

/** Lets something else be written before the value at hand goes on. */
function apart(write: () => void): void {
  const outerOut = out
  const outerAt = at
  writing = false
  try {
    write()
  } finally {
    out = outerOut
    at = outerAt
    writing = true
  }
}

export class Packing {
  #bytes: Buffer
  #start: number
  #length = 0

  /** `startBytes` are left free at the beginning, and `expectedBytes` are there before it has to grow. */
  constructor(startBytes = 0, expectedBytes = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(startBytes + expectedBytes)
    this.#start = startBytes
  }

  /** Of what was written, in bytes. */
  get length(): number {
    return this.#length
  }

  /** Takes back what was written beyond this length. */
  truncate(length: number): void {
    this.#length = length
  }

  /** Appends a value. Throws if it cannot be encoded, and is then as before. */
  value(value: unknown): void {
    if (writing) return apart(() => this.value(value))
    out = this.#bytes
    at = this.#start + this.#length
    writing = true
    try {
      write(value)
    } finally {
      writing = false
    }
    this.#bytes = out
    this.#length = at - this.#start
  }

  /** Appends what is encoded already. */
  raw(encoded: Uint8Array): void {
    if (writing) return apart(() => this.raw(encoded))
    out = this.#bytes
    at = this.#start + this.#length
    const size = encoded.length
    if (at + size > out.length) grow(size)
    if (size <= SHORT_TEXT) for (let i = 0; i < size; i++) out[at + i] = encoded[i]!
    else out.set(encoded, at)
    this.#bytes = out
    this.#length += size
  }

  /** All that was written. Nothing may be appended after that. */
  take(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#start + this.#length)
  }

  /** The same as a list of `count` values: its header goes into the bytes left free, five at most. */
  takeList(count: number): Uint8Array {
    const bytes = this.#bytes
    const start = this.#start - listHeaderBytes(count)
    const writeHeader = (): void => {
      out = bytes
      at = start
      listHeader(count)
    }
    if (writing) apart(writeHeader)
    else writeHeader()
    return bytes.subarray(start, this.#start + this.#length)
  }
}

/** The beginning of a list of `count` members: its header, and the first of them. */
export function beginning(count: number, members: readonly unknown[]): Uint8Array {
  const packing = new Packing(LIST_HEADER_BYTES)
  for (const member of members) packing.value(member)
  return packing.takeList(count)
}

function listHeaderBytes(count: number): number {
  return count < 16 ? 1 : count < 0x1_0000 ? 3 : 5
}

/** A list's header takes this much at most. */
export const LIST_HEADER_BYTES = 5

function grow(needed: number): void {
  const larger = Buffer.allocUnsafe(Math.max(out.length * 2, at + needed))
  out.copy(larger, 0, 0, at)
  out = larger
}

function write(value: unknown): void {
  if (at + 9 > out.length) grow(9)
  switch (typeof value) {
    case 'string':
      return text(value)
    case 'number':
      return number(value)
    case 'boolean':
      out[at++] = value ? 0xc3 : 0xc2
      return
    case 'undefined':
      out[at] = 0xd4
      out[at + 1] = 0
      out[at + 2] = 0
      at += 3
      return
    case 'object':
      if (value === null) {
        out[at++] = 0xc0
        return
      }
      if (Array.isArray(value)) return list(value)
      if (value instanceof Uint8Array) return binary(value)
      if (isPlain(value)) return map(value)
      return other(value)
    default:
      return other(value)
  }
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value)
}

function binary(value: Uint8Array): void {
  const { length } = value
  if (at + 5 + length > out.length) grow(5 + length)
  if (length < 0x100) {
    out[at] = 0xc4
    out[at + 1] = length
    at += 2
  } else if (length < 0x1_0000) {
    out[at] = 0xc5
    out[at + 1] = length >> 8
    out[at + 2] = length
    at += 3
  } else {
    out[at] = 0xc6
    uint32(length)
  }
  out.set(value, at)
  at += length
}

function other(value: unknown): void {
  const encoded = packr.pack(value)
  if (at + encoded.length > out.length) grow(encoded.length)
  out.set(encoded, at)
  at += encoded.length
}

function number(value: number): void {
  if (value >>> 0 === value) {
    if (value < 0x80) out[at++] = value
    else if (value < 0x100) {
      out[at] = 0xcc
      out[at + 1] = value
      at += 2
    } else if (value < 0x1_0000) {
      out[at] = 0xcd
      out[at + 1] = value >> 8
      out[at + 2] = value
      at += 3
    } else {
      out[at] = 0xce
      uint32(value)
    }
  } else if (value >> 0 === value) {
    if (value >= -0x20) out[at++] = value & 0xff
    else if (value >= -0x80) {
      out[at] = 0xd0
      out[at + 1] = value
      at += 2
    } else if (value >= -0x8000) {
      out[at] = 0xd1
      out[at + 1] = value >> 8
      out[at + 2] = value
      at += 3
    } else {
      out[at] = 0xd2
      uint32(value)
    }
  } else {
    out[at] = 0xcb
    out.writeDoubleBE(value, at + 1)
    at += 9
  }
}

/** Behind the byte at hand. */
function uint32(value: number): void {
  out[at + 1] = value >>> 24
  out[at + 2] = value >>> 16
  out[at + 3] = value >>> 8
  out[at + 4] = value
  at += 5
}

function text(value: string): void {
  const { length } = value
  if (length > SHORT_TEXT) return longText(value)
  if (at + 2 + length > out.length) grow(2 + length)
  let to = length < 32 ? at + 1 : at + 2
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i)
    if (code >= 0x80) return longText(value)
    out[to++] = code
  }
  if (length < 32) out[at] = 0xa0 | length
  else {
    out[at] = 0xd9
    out[at + 1] = length
  }
  at = to
}

function longText(value: string): void {
  const size = Buffer.byteLength(value)
  if (at + 5 + size > out.length) grow(5 + size)
  if (size < 32) out[at++] = 0xa0 | size
  else if (size < 0x100) {
    out[at] = 0xd9
    out[at + 1] = size
    at += 2
  } else if (size < 0x1_0000) {
    out[at] = 0xda
    out[at + 1] = size >> 8
    out[at + 2] = size
    at += 3
  } else {
    out[at] = 0xdb
    uint32(size)
  }
  out.write(value, at, 'utf8')
  at += size
}

function listHeader(count: number): void {
  if (count < 16) out[at++] = 0x90 | count
  else if (count < 0x1_0000) {
    out[at] = 0xdc
    out[at + 1] = count >> 8
    out[at + 2] = count
    at += 3
  } else {
    out[at] = 0xdd
    uint32(count)
  }
}

function list(value: readonly unknown[]): void {
  const { length } = value
  listHeader(length)
  for (let i = 0; i < length; i++) write(value[i])
}

function map(value: Readonly<Record<string, unknown>>): void {
  const keys = Object.keys(value)
  const { length } = keys
  if (length < 16) out[at++] = 0x80 | length
  else if (length < 0x1_0000) {
    out[at] = 0xde
    out[at + 1] = length >> 8
    out[at + 2] = length
    at += 3
  } else {
    out[at] = 0xdf
    uint32(length)
  }
  for (let i = 0; i < length; i++) {
    const key = keys[i]!
    text(key)
    write(value[key])
  }
}
