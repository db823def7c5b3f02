// How a log record looks as text: one line in glog's form, then the stacks of its errors, indented.

import { UserError } from './errors.ts'
import { type LogLevel, LogLines } from './log.ts'

const LETTER = { debug: 'D', info: 'I', warn: 'W', error: 'E' } as const
const LONGEST_VALUE = 2_000

const pad = (n: number, width: number): string => String(n).padStart(width, '0')

/** `I1123 05:53:02.123456 master: ` in local time; `now` is the same instant in ms, for its microseconds. */
export function headText(level: LogLevel, at: Date, now: number, speaker: string): string {
  const date = pad(at.getMonth() + 1, 2) + pad(at.getDate(), 2)
  const time = `${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}`
  const micros = pad(Math.floor((now % 1_000) * 1_000), 6)
  return `${LETTER[level]}${date} ${time}.${micros} ${speaker}: `
}

/**
 * The whole record with its newline. Whatever came from outside stays on the record's own line or indented below it,
 * so that nobody can forge a record by the name of a framework.
 */
export function recordText(
  head: string,
  message: string,
  bound: string,
  fields: Readonly<Record<string, unknown>>,
): string {
  let line = head + message.replaceAll(/\p{Cc}/gu, escape) + bound
  let stacks = ''
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof LogLines) stacks += linesText(key, value)
    else line += fieldText(key, value)
    if (value instanceof Error) stacks += stackText(value)
  }
  return `${line}\n${stacks}`
}

/** ` key=value`; quoted as in JSON where blanks or quotes would make it unclear; nothing for undefined. */
export function fieldText(key: string, value: unknown): string {
  return value === undefined ? '' : ` ${key}=${cut(valueText(value))}`
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return stringText(value)
  if (value instanceof Error) return stringText(value.message)
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`
  if (typeof value !== 'object' || value === null) return String(value)
  // The ids of the v1 API are `{ value: 'S1' }`; the wrapping says nothing to a reader.
  const [only, ...others] = Object.entries(value)
  if (others.length === 0 && only?.[0] === 'value' && typeof only[1] === 'string') {
    return stringText(only[1])
  }
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    // Circular or with a bigint: a log call must never be what fails.
    return '<object>'
  }
}

const stringText = (text: string): string =>
  /^[^\s"=\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text).replaceAll(/\p{Cc}/gu, escape)

const escape = (char: string): string =>
  char === '\n' ? '\\n' : `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`

const cut = (text: string): string =>
  text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}…`

/** An operating error's stack says nothing that its message does not; its hint does. */
function stackText(error: Error): string {
  if (error instanceof UserError) return error.hint === undefined ? '' : indent(error.hint)
  const stack = indent(error.stack ?? error.message)
  return error.cause instanceof Error ? `${stack}    caused by\n${stackText(error.cause)}` : stack
}

const linesText = (key: string, { lines }: LogLines): string =>
  indent([`${key}:`, ...lines.map(l => `  ${l.replaceAll(/\p{Cc}/gu, escape)}`)].join('\n'))

const indent = (text: string): string =>
  text
    .split('\n')
    .map(line => `    ${line}\n`)
    .join('')
