// Bytes to messages and back: plain msgpack, checked for shape and size before anything is built from it.

import { Packr } from 'msgpackr'

/** Bytes that are no acceptable message. The text says what was found and at which byte. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** Deeper nesting is refused: no message of ours comes near, and a decoder's stack is finite. */
export const MAX_DEPTH = 64

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
    throw new MalformedError(`not msgpack: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/**
 * Walks the headers without building anything. A decoder allocates what a header claims before it sees the
 * content, so five bytes could cost gigabytes; here every claim is held against the bytes that are left.
 * Extension types are refused, but for the one by which an absent value (`undefined`) is sent.
 */
function checkStructure(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = bytes.length
  const pending: number[] = []
  let remaining = 1
  let at = 0

  const need = (count: number): void => {
    if (at + count > end) throw new MalformedError(`cut short at byte ${at}`)
  }
  const open = (items: number): void => {
    if (items > end - at) throw new MalformedError(`${items} items claimed at byte ${at}`)
    if (items === 0) return
    if (pending.length >= MAX_DEPTH) throw new MalformedError(`nested deeper than ${MAX_DEPTH}`)
    pending.push(remaining)
    remaining = items
  }

  for (;;) {
    while (remaining === 0) {
      const outer = pending.pop()
      if (outer === undefined) {
        if (at !== end) throw new MalformedError(`${end - at} bytes after the end of the message`)
        return
      }
      remaining = outer
    }
    remaining--
    need(1)
    const byte = bytes[at++]!
    if (byte < 0x80 || byte >= 0xe0) continue
    if (byte < 0x90) open((byte & 0x0f) * 2)
    else if (byte < 0xa0) open(byte & 0x0f)
    else if (byte < 0xc0) at += byte & 0x1f
    else {
      switch (byte) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          break
        case 0xc4:
        case 0xd9:
          need(1)
          at += 1 + bytes[at]!
          break
        case 0xc5:
        case 0xda:
          need(2)
          at += 2 + view.getUint16(at)
          break
        case 0xc6:
        case 0xdb:
          need(4)
          at += 4 + view.getUint32(at)
          break
        case 0xcc:
        case 0xd0:
          at += 1
          break
        case 0xcd:
        case 0xd1:
          at += 2
          break
        case 0xca:
        case 0xce:
        case 0xd2:
          at += 4
          break
        case 0xcb:
        case 0xcf:
        case 0xd3:
          at += 8
          break
        case 0xd4:
          need(2)
          if (bytes[at] !== 0 || bytes[at + 1] !== 0) {
            throw new MalformedError(`extension type ${bytes[at]} at byte ${at - 1}`)
          }
          at += 2
          break
        case 0xdc:
          need(2)
          at += 2
          open(view.getUint16(at - 2))
          break
        case 0xdd:
          need(4)
          at += 4
          open(view.getUint32(at - 4))
          break
        case 0xde:
          need(2)
          at += 2
          open(view.getUint16(at - 2) * 2)
          break
        case 0xdf:
          need(4)
          at += 4
          open(view.getUint32(at - 4) * 2)
          break
        default:
          throw new MalformedError(`byte 0x${byte.toString(16)} at ${at - 1}`)
      }
    }
    if (at > end) throw new MalformedError(`cut short at byte ${end}`)
  }
}
