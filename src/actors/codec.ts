// Bytes to messages and back: plain msgpack, read in one pass that believes no claim.

import { FRAME } from './frame-kinds.ts'
import { Packing } from './packing.ts'
import { keyAfter, latin, type Text } from './texts.ts'

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

/** Encodes a value as msgpack. The result is the caller's to keep. */
export function encode(value: unknown): Uint8Array {
  const packing = new Packing()
  packing.value(value)
  return packing.take()
}

// What is being read. One at a time, from beginning to end without a pause: a decoder object would only be slower.
let bytes: Buffer = Buffer.alloc(0)
let at = 0
let end = 0
let depth = 0
let containers = 0
let maxContainers = MAX_CONTAINERS

/**
 * Decodes msgpack from outside, or throws `MalformedError`. Every claim of a header is held against the bytes that are
 * left before anything is made from it: else five bytes could cost gigabytes. Extension types are refused, but for the
 * one by which an absent value (`undefined`) is sent, and so are keys that are no strings, since an object cannot have
 * them. What this process wrote itself may have more lists and maps than a message from others.
 */
export function decode(message: Uint8Array, most = MAX_CONTAINERS): unknown {
  begin(message, most)
  return finish(read(undefined))
}

/** The same for a list of frames. A tell that left out its beginning, because it is that of the tell before, is made whole. */
export function decodeFrames(message: Uint8Array): unknown {
  begin(message)
  const byte = end === 0 ? 0 : bytes[0]!
  if ((byte < 0x90 || byte >= 0xa0) && byte !== 0xdc && byte !== 0xdd)
    return finish(read(undefined))
  at++
  const count = byte < 0xa0 ? byte & 0x0f : claim(byte === 0xdc ? 2 : 4)
  enter(count)
  const frames: unknown[] = []
  let tell: readonly unknown[] | undefined
  let strays = 0
  for (let i = 0; i < count; i++) {
    let frame: unknown
    if (tell && end - at > 2 && bytes[at] === 0x92 && bytes[at + 1] === FRAME.again) {
      at++
      enter(2)
      at++
      frame = [FRAME.tell, tell[1], tell[2], tell[3], read(BODY)]
      depth--
    } else {
      frame = read(undefined)
      if (isTell(frame)) tell = frame
      else if (!Array.isArray(frame) && ++strays > MOST_STRAYS) {
        throw new MalformedError(`more than ${MOST_STRAYS} frames that are no lists`)
      }
    }
    frames.push(frame)
  }
  return finish(frames)
}

/** One that is no list is no reason to drop the others. A message full of them means no good, and is not read on. */
const MOST_STRAYS = 1_000

/** Not a key itself, but the bodies of tells that begin alike have keys that follow on each other. */
const BODY: Text = { text: '', next: undefined, inside: undefined }

function isTell(frame: unknown): frame is readonly unknown[] {
  return Array.isArray(frame) && frame[0] === FRAME.tell && frame.length === 5
}

function begin(message: Uint8Array, most = MAX_CONTAINERS): void {
  bytes = Buffer.isBuffer(message)
    ? message
    : Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  at = 0
  end = bytes.length
  depth = 0
  containers = 0
  maxContainers = most
}

function finish(value: unknown): unknown {
  if (at !== end) throw new MalformedError(`${end - at} bytes after the end of the message`)
  return value
}

/** `under`: the key whose value this is, or is in. */
function read(under: Text | undefined): unknown {
  if (at >= end) throw cutShort()
  const byte = bytes[at++]!
  if (byte < 0x80) return byte
  if (byte >= 0xe0) return byte - 0x100
  if (byte < 0x90) return readMap(byte & 0x0f, under)
  if (byte < 0xa0) return readList(byte & 0x0f, under)
  if (byte < 0xc0) return readText(byte & 0x1f)
  switch (byte) {
    case 0xc0:
      return null
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xc4:
      return readBinary(claim(1))
    case 0xc5:
      return readBinary(claim(2))
    case 0xc6:
      return readBinary(claim(4))
    case 0xca:
      return bytes.readFloatBE(skip(4))
    case 0xcb:
      return bytes.readDoubleBE(skip(8))
    case 0xcc:
      return claim(1)
    case 0xcd:
      return claim(2)
    case 0xce:
      return claim(4)
    case 0xcf:
      return Number(bytes.readBigUInt64BE(skip(8)))
    case 0xd0:
      return bytes.readInt8(skip(1))
    case 0xd1:
      return bytes.readInt16BE(skip(2))
    case 0xd2:
      return bytes.readInt32BE(skip(4))
    case 0xd3:
      return Number(bytes.readBigInt64BE(skip(8)))
    case 0xd4:
      return readAbsent()
    case 0xd9:
      return readText(claim(1))
    case 0xda:
      return readText(claim(2))
    case 0xdb:
      return readText(claim(4))
    case 0xdc:
      return readList(claim(2), under)
    case 0xdd:
      return readList(claim(4), under)
    case 0xde:
      return readMap(claim(2), under)
    case 0xdf:
      return readMap(claim(4), under)
    default:
      throw new MalformedError(`byte 0x${byte.toString(16)} at ${at - 1}`)
  }
}

function cutShort(): MalformedError {
  return new MalformedError(`cut short at byte ${end}`)
}

/** Goes past so many bytes, which must be there; where they begin. */
function skip(count: number): number {
  const from = at
  if (count > end - from) throw cutShort()
  at = from + count
  return from
}

/** An unsigned number of so many bytes. */
function claim(width: number): number {
  const from = skip(width)
  let number = 0
  for (let i = from; i < at; i++) number = number * 256 + bytes[i]!
  return number
}

function readBinary(length: number): Uint8Array {
  const from = skip(length)
  return bytes.subarray(from, at)
}

function readAbsent(): undefined {
  const from = skip(2)
  if (bytes[from] !== 0 || bytes[from + 1] !== 0) {
    throw new MalformedError(`extension type ${bytes[from]} at byte ${from - 1}`)
  }
  return undefined
}

function readText(length: number): string {
  const from = skip(length)
  return latin(bytes, from, length)?.text ?? bytes.toString('utf8', from, at)
}

function enter(items: number): void {
  if (items > end - at) throw new MalformedError(`${items} items claimed at byte ${at}`)
  if (depth >= MAX_DEPTH) throw new MalformedError(`nested deeper than ${MAX_DEPTH}`)
  if (++containers > maxContainers) {
    throw new MalformedError(`more than ${maxContainers} lists and maps`)
  }
  depth++
}

function readList(count: number, under: Text | undefined): unknown[] {
  enter(count)
  const list: unknown[] = []
  for (let i = 0; i < count; i++) list.push(read(under))
  depth--
  return list
}

function readMap(count: number, under: Text | undefined): Record<string, unknown> {
  enter(count * 2)
  const map: Record<string, unknown> = {}
  let before = under
  let nested = true
  for (let i = 0; i < count; i++) {
    const length = keyLength()
    const from = skip(length)
    const known = keyAfter(before, nested, bytes, from, length)
    const key = known?.text ?? bytes.toString('utf8', from, at)
    const value = read(known)
    // As a property it would be the object's prototype.
    if (key === '__proto__') map['__proto_'] = value
    else map[key] = value
    before = known
    nested = false
  }
  depth--
  return map
}

function keyLength(): number {
  if (at >= end) throw cutShort()
  const byte = bytes[at++]!
  if (byte >= 0xa0 && byte < 0xc0) return byte & 0x1f
  if (byte === 0xd9) return claim(1)
  if (byte === 0xda) return claim(2)
  if (byte === 0xdb) return claim(4)
  throw new MalformedError(`the key at byte ${at - 1} is no string`)
}
