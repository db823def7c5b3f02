// What is on record of a container in the runtime directory. One of the few files that may touch the world.

import {
  closeSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { makeDirectories } from './make-directories.ts'
import { cgroupsPath, containersDir, pidPath, statusPath, survivesPath } from './paths.ts'
import { endedBySignal } from './wait-status.ts'
import { constants } from 'node:os'
import { parseEnd, type RecordedEnd } from './containerizer/linux-script.ts'

export interface RecordedPid {
  readonly pid: number
  readonly start: string
  readonly token: string
}

/** Ids of containers that something is on record of. */
export function recordedContainers(runtimeDir: string): string[] {
  return readdirSync(containersDir(runtimeDir))
}

/** Undefined if there is none, or not all of it. */
export function readPid(runtimeDir: string, id: string): RecordedPid | undefined {
  const text = textOf(pidPath(runtimeDir, id)) ?? ''
  const [, pid, start, token] = /^(\d+)\n(\d*) ([0-9a-f]+)\n$/.exec(text) ?? []
  return pid === undefined ? undefined : { pid: Number(pid), start: start!, token: token! }
}

/**
 * Before anything of the container runs: it outlives its agent. A second name of a file that is there, so that nobody ever finds it
 * without its text.
 */
export function recordSurvival(runtimeDir: string, id: string, token: string): void {
  linkSync(tokenPath(runtimeDir, token), survivesPath(runtimeDir, id))
}

/** Before the groups are made. Written elsewhere and moved there: a guard has to be able to read whose they are, at every instant. */
export function recordCgroups(
  runtimeDir: string,
  id: string,
  token: string,
  directories: readonly string[],
): void {
  const written = `${tokenPath(runtimeDir, token)}.cgroups`
  writeFileSync(written, [token, ...directories, ''].join('\n'))
  renameSync(written, cgroupsPath(runtimeDir, id))
}

/** Called once, before the other records. */
export function recordToken(runtimeDir: string, token: string): void {
  const path = tokenPath(runtimeDir, token)
  makeDirectories(`${runtimeDir}/tokens`)
  writeFileSync(`${path}.new`, `${token}\n`)
  renameSync(`${path}.new`, path)
}

const tokenPath = (runtimeDir: string, token: string): string => `${runtimeDir}/tokens/${token}`

/** Whose container it is that survives; undefined if it does not. */
export function survivalOf(runtimeDir: string, id: string): string | undefined {
  return textOf(survivesPath(runtimeDir, id))?.trim()
}

/** What of it is just being started finds that it is not wanted any more, and ends. */
export function forgetSurvival(runtimeDir: string, id: string): void {
  rmSync(survivesPath(runtimeDir, id), { force: true })
}

/**
 * How a program that was supervised ended, as its supervisor wrote it down; undefined if that never began. A supervisor that did
 * not come to it was killed, and all that it supervised with it.
 */
export function readEnd(runtimeDir: string, id: string): RecordedEnd | undefined {
  const text = textOf(statusPath(runtimeDir, id))
  if (text === undefined) return undefined
  return parseEnd(text) ?? { waitStatus: endedBySignal(constants.signals.SIGKILL) }
}

/** Records are short. A root task may come to that of its own end by its init, and write to it without end. */
const MAX_RECORD_BYTES = 2 ** 18

/** Of a file; undefined if it cannot be read. Of one that is too long, its beginning. */
export function textOf(path: string): string | undefined {
  try {
    if (statSync(path).size <= MAX_RECORD_BYTES) return readFileSync(path, 'utf8')
    const buffer = Buffer.alloc(MAX_RECORD_BYTES)
    const fd = openSync(path, 'r')
    try {
      return buffer.toString('utf8', 0, readSync(fd, buffer, 0, MAX_RECORD_BYTES, 0))
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
}
