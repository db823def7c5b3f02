// How a file of output is rotated, and where that is said: by the agent's flags, and by a task's environment in their place.
// Pure.

import { messageOf, UserError } from '../../base/errors.ts'
import { formatBytes, parseBytes } from '../../base/bytes.ts'
import type { CommandInfo } from '../../messages/command.ts'

export interface Rotation {
  /** No file is larger. */
  readonly maxBytes: number
  /** How many old ones are kept. */
  readonly keep: number
}

export interface Rotations {
  readonly stdout: Rotation
  readonly stderr: Rotation
}

/** A page: what is less would be rotated more often than it is written to. */
export const MIN_BYTES = 4096
/** At each rotation each of them is renamed. */
const MAX_KEEP = 1000

/** How many old files options tell to keep, such as `rotate 9`; or what is wrong with them. */
export function parseOptions(text: string): number | string {
  let keep: number | undefined
  for (const line of text.split(/[\n;]/)) {
    const words = line.trim().split(/\s+/)
    if (words[0] === '') continue
    const [name, count = ''] = words
    if (name !== 'rotate' || words.length !== 2) {
      return `'${line.trim()}' is not understood; 'rotate COUNT' is`
    }
    if (!/^\d{1,4}$/.test(count) || Number(count) > MAX_KEEP) {
      return `'${count}' is not a number of files to keep, from 0 to ${MAX_KEEP}`
    }
    keep = Number(count)
  }
  return keep ?? "it says nothing; write for example 'rotate 9'"
}

const STREAMS = ['stdout', 'stderr'] as const

/**
 * The agent's, but for what a task's environment says: `<prefix>MAX_STDOUT_SIZE`, `<prefix>LOGROTATE_STDOUT_OPTIONS`, and the same
 * of stderr. Throws a `UserError` that names the variable.
 */
export function rotationsOf(
  defaults: Rotations,
  prefix: string,
  command: CommandInfo | undefined,
): Rotations {
  const variables = new Map<string, string>()
  for (const { name, type, value } of command?.environment?.variables ?? []) {
    if (type !== 'SECRET' && name.startsWith(prefix)) variables.set(name, value ?? '')
  }
  if (variables.size === 0) return defaults
  const [stdout, stderr] = STREAMS.map(stream => {
    const { maxBytes, keep } = defaults[stream]
    const of = stream.toUpperCase()
    const size = variables.get(`${prefix}MAX_${of}_SIZE`)
    const options = variables.get(`${prefix}LOGROTATE_${of}_OPTIONS`)
    return {
      maxBytes: size === undefined ? maxBytes : readSize(`${prefix}MAX_${of}_SIZE`, size),
      keep: options === undefined ? keep : readOptions(`${prefix}LOGROTATE_${of}_OPTIONS`, options),
    }
  })
  return { stdout: stdout!, stderr: stderr! }
}

function readSize(name: string, text: string): number {
  let bytes: number
  try {
    bytes = parseBytes(text)
  } catch (error) {
    throw refused(name, messageOf(error))
  }
  if (bytes >= MIN_BYTES) return bytes
  throw refused(name, `'${text}' is less than ${formatBytes(MIN_BYTES)}`)
}

function readOptions(name: string, text: string): number {
  const keep = parseOptions(text)
  if (typeof keep === 'number') return keep
  throw refused(name, keep)
}

const refused = (name: string, why: string): UserError =>
  new UserError('invalid_value', `the environment variable '${name}' is wrong: ${why}`)
