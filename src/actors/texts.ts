// Texts that come again and again: ids, message names, keys. Each is made once, and then found by its bytes.

/** Longer ones are made anew each time: few of them come twice. */
const LONGEST = 32
/** A power of two; what falls into the same place takes it over, so that nobody can make this grow. */
const PLACES = 4_096

/** A text, and which keys followed when it was a key itself. */
export interface Text {
  readonly text: string
  /** The next key of the same map, when it was read last. */
  next: Text | undefined
  /** The first key of the map that was its value, or was in it. */
  inside: Text | undefined
}

const places: (Text | undefined)[] = Array.from({ length: PLACES }, () => undefined)

/** The text that these bytes are; undefined if it is long, or not plain ASCII. */
export function latin(bytes: Buffer, from: number, length: number): Text | undefined {
  if (length > LONGEST) return undefined
  let hash = length
  const end = from + length
  for (let i = from; i < end; i++) {
    const byte = bytes[i]!
    if (byte >= 0x80) return undefined
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  const place = (hash ^ (hash >>> 12)) & (PLACES - 1)
  const known = places[place]
  if (known !== undefined && isText(known.text, bytes, from, length)) return known
  const made = { text: bytes.toString('latin1', from, end), next: undefined, inside: undefined }
  places[place] = made
  return made
}

/**
 * The same for a key: the one that came last time is tried first, since messages of a kind look alike. `before` is the
 * key before it, or (`nested`) the one whose value this map is.
 */
export function keyAfter(
  before: Text | undefined,
  nested: boolean,
  bytes: Buffer,
  from: number,
  length: number,
): Text | undefined {
  const guess = before === undefined ? undefined : nested ? before.inside : before.next
  if (guess !== undefined && isText(guess.text, bytes, from, length)) return guess
  const found = latin(bytes, from, length)
  if (before !== undefined && found !== undefined) {
    if (nested) before.inside = found
    else before.next = found
  }
  return found
}

function isText(text: string, bytes: Buffer, from: number, length: number): boolean {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) !== bytes[from + i]) return false
  }
  return true
}
