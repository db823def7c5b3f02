// The form of checkpoints: lines of JSON, each behind its CRC-32. People can read them with cat, and what a crash or a disk
// left half written shows.
//
//   8c736521 {"name":"sleep", …}

import { crc32 } from 'node:zlib'

const LINE = /^([0-9a-f]{8}) (.+)$/

export function toLine(value: unknown): string {
  const json = JSON.stringify(value, sayable)
  return `${sumOf(json)} ${json}\n`
}

/** JSON has no infinity; readers of numbers take it as text. */
const sayable = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value

export interface Lines {
  readonly values: readonly unknown[]
  /** Of the text that these lines are. */
  readonly bytes: number
  /** The last line is not whole: what a crash leaves when it comes while a line is appended. */
  readonly isTorn: boolean
}

/** Reads lines up to a torn last one. Throws if another one is damaged, or the last one though it is ended. */
export function fromLines(text: string): Lines {
  const end = text.lastIndexOf('\n') + 1
  const whole = text.slice(0, end)
  const values = whole
    .split('\n')
    .slice(0, -1)
    .map((line, i) => fromLine(line, i + 1))
  return { values, bytes: Buffer.byteLength(whole), isTorn: end < text.length }
}

/** A text of one line. */
export function fromOneLine(text: string): unknown {
  const { values, isTorn } = fromLines(text)
  if (values.length !== 1 || isTorn) throw new Error(`it has ${values.length} whole lines, not one`)
  return values[0]
}

function fromLine(line: string, number: number): unknown {
  const [, sum, json = ''] = LINE.exec(line) ?? []
  if (sum === undefined) throw new Error(`line ${number} is no checksum and JSON`)
  if (sum !== sumOf(json)) throw new Error(`line ${number} does not have the checksum it names`)
  return JSON.parse(json) as unknown
}

const sumOf = (json: string): string => crc32(json).toString(16).padStart(8, '0')
