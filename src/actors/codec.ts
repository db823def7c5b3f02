// Bytes to messages and back: plain msgpack, checked for shape and size before anything is built from it.

import { Packr } from 'msgpackr'

/** Bytes that are no acceptable message. The text says what was found and at which byte. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** Deeper nesting is refused: no message of ours comes near, and a decoder's stack is finite. */
export const MAX_DEPTH = 64

/**
 * More lists and maps than this in one message are refused: an empty one is a single byte on the wire and fifty in memory,
 * so a limit on bytes alone would let a message cost gigabytes. An agent that comes back with ten thousand tasks sends
 * about half as many.
 */
export const MAX_CONTAINERS = 1_000_000

// No records and no shared structures: any msgpack library can read what we send.
const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })

/** Encodes a value as msgpack. The result is the caller's to keep. */
export function encode(value: unknown): Uint8Array {
  return packr.pack(value)
}

/** The msgpack array of members that are encoded already; `sizeBytes` is their sum. */
export function joinArray(members: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const count = members.length
  const headerBytes = count < 16 ? 1 : count < 0x1_0000 ? 3 : 5
  const out = Buffer.allocUnsafe(headerBytes + sizeBytes)
  if (headerBytes === 1) out[0] = 0x90 | count
  else if (headerBytes === 3) {
    out[0] = 0xdc
    out.writeUInt16BE(count, 1)
  } else {
    out[0] = 0xdd
    out.writeUInt32BE(count, 1)
  }
  let at = headerBytes
  for (const member of members) {
    out.set(member, at)
    at += member.length
  }
  return out
}

/** Decodes msgpack from outside, or throws `MalformedError`. */
export function decode(bytes: Uint8Array): unknown {
  checkStructure(bytes)
  try {
    return packr.unpack(bytes)
  } catch (error) {
    throw new MalformedError(
      `not msgpack: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/**
 * Walks the headers without building anything. A decoder allocates what a header claims before it sees the
 * content, so five bytes could cost gigabytes; here every claim is held against the bytes that are left.
 * Extension types are refused, but for the one by which an absent value (`undefined`) is sent, and so are keys that
 * are no strings, since an object cannot have them.
 */
function checkStructure(bytes: Uint8Array): void {
  const end = bytes.length
  // Of each list or map that is open: the items still to come, and whether it is a map.
  const outer: number[] = []
  let depth = 0
  let remaining = 1
  let inMap = false
  let at = 0
  let containers = 0

  for (;;) {
    while (remaining === 0) {
      if (depth === 0) {
        if (at !== end) throw new MalformedError(`${end - at} bytes after the end of the message`)
        return
      }
      const next = outer[--depth]!
      inMap = next < 0
      remaining = inMap ? ~next : next
    }
    if (at >= end) throw new MalformedError(`cut short at byte ${end}`)
    const byte = bytes[at]!
    // The items of a map come in pairs: an even number is left before a key.
    if (inMap && remaining % 2 === 0 && !isString(byte)) {
      throw new MalformedError(`the key at byte ${at} is no string`)
    }
    remaining--
    at++
    let items = -1
    if (byte < 0x80 || byte >= 0xe0) continue
    if (byte < 0x90) items = (byte & 0x0f) * 2
    else if (byte < 0xa0) items = byte & 0x0f
    else if (byte < 0xc0) at += byte & 0x1f
    else {
      const { kind, width } = FORMS[byte - 0xc0]!
      if (at + width > end) throw new MalformedError(`cut short at byte ${end}`)
      if (kind === 'fixed') at += width
      else if (kind === 'refused')
        throw new MalformedError(`byte 0x${byte.toString(16)} at ${at - 1}`)
      else if (kind === 'extension') {
        if (bytes[at] !== 0 || bytes[at + 1] !== 0) {
          throw new MalformedError(`extension type ${bytes[at]} at byte ${at - 1}`)
        }
        at += width
      } else {
        let claim = 0
        for (let i = 0; i < width; i++) claim = claim * 256 + bytes[at++]!
        if (kind === 'sized') at += claim
        else items = kind === 'map' ? claim * 2 : claim
      }
    }
    if (at > end) throw new MalformedError(`cut short at byte ${end}`)
    if (items < 0) continue
    if (items > end - at) throw new MalformedError(`${items} items claimed at byte ${at}`)
    if (depth >= MAX_DEPTH) throw new MalformedError(`nested deeper than ${MAX_DEPTH}`)
    if (++containers > MAX_CONTAINERS) {
      throw new MalformedError(`more than ${MAX_CONTAINERS} lists and maps`)
    }
    outer[depth++] = inMap ? ~remaining : remaining
    remaining = items
    inMap = byte < 0x90 || byte >= 0xde
  }
}

function isString(byte: number): boolean {
  return (byte >= 0xa0 && byte < 0xc0) || (byte >= 0xd9 && byte <= 0xdb)
}

interface Form {
  /** `fixed`: so many bytes follow. `sized`, `array`, `map`: a number of so many bytes says how much follows. */
  readonly kind: 'fixed' | 'sized' | 'array' | 'map' | 'extension' | 'refused'
  readonly width: number
}

/** The forms that begin with 0xc0 … 0xdf, in order; the others say all in their first byte. */
const FORMS: readonly Form[] = [
  ...forms('fixed', 0), // nil
  ...forms('refused', 0), // never used
  ...forms('fixed', 0, 0), // false, true
  ...forms('sized', 1, 2, 4), // binary
  ...forms('refused', 0, 0, 0), // extensions
  ...forms('fixed', 4, 8), // floats
  ...forms('fixed', 1, 2, 4, 8), // unsigned
  ...forms('fixed', 1, 2, 4, 8), // signed
  ...forms('extension', 2), // one byte of type, one of data
  ...forms('refused', 0, 0, 0, 0), // longer ones
  ...forms('sized', 1, 2, 4), // strings
  ...forms('array', 2, 4),
  ...forms('map', 2, 4),
]

function forms(kind: Form['kind'], ...widths: readonly number[]): Form[] {
  return widths.map(width => ({ kind, width }))
}
