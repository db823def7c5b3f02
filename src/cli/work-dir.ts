// Whether a directory can be used as a work_dir, and if not, what command mends it.

import { accessSync, constants, existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { makeDirectories } from '../agent/make-directories.ts'
import { UserError } from '../base/errors.ts'

/** Throws a `UserError` if `path` is missing, is no directory, or may not be written. */
export function checkDirectory(flag: string, path: string): void {
  const refuse = (
    code: 'path_missing' | 'not_a_directory' | 'not_permitted',
    what: string,
    hint: string,
  ) => new UserError(code, `Flag '--${flag}': ${path} ${what}.`, { hint })
  let isDirectory: boolean
  try {
    isDirectory = statSync(path).isDirectory()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') {
      throw refuse(
        'path_missing',
        'does not exist',
        `Create it: ${asOwner(path)}mkdir -p ${quote(path)}`,
      )
    }
    if (code === 'ENOTDIR') {
      throw refuse(
        'not_a_directory',
        'does not exist: a part of it is a file',
        'Name another directory.',
      )
    }
    throw refuse('not_permitted', `cannot be looked at (${code})`, mendRights(path))
  }
  if (!isDirectory) {
    throw refuse(
      'not_a_directory',
      'is not a directory',
      'Name a directory, or move the file away.',
    )
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') {
      throw refuse(
        'not_permitted',
        'is on a file system that is mounted read-only',
        `Name another directory, or mount it anew: sudo mount -o remount,rw ${quote(mountOf(path))}`,
      )
    }
    throw refuse('not_permitted', `may not be written by the user ${userName()}`, mendRights(path))
  }
  // What is no disk (/proc, /sys) may look as if it could be written to.
  const problem = whyNoFile(path)
  if (problem !== undefined) {
    throw refuse('not_permitted', `cannot hold files (${problem})`, 'Name a directory on a disk.')
  }
}

/** Why a file cannot be made there. A full disk is not held against a directory: there may be room again soon. */
function whyNoFile(path: string): string | undefined {
  const probe = join(path, `.mesos-probe-${process.pid}`)
  try {
    writeFileSync(probe, '')
    rmSync(probe)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOSPC' || code === 'EDQUOT' ? undefined : code
  }
}

/** Makes a directory that nobody chose, such as a default; throws a `UserError` if that is not possible. */
export function makeDirectory(flag: string, path: string): void {
  try {
    makeDirectories(path)
  } catch {
    // The check says why in words.
  }
  checkDirectory(flag, path)
}

const mendRights = (path: string): string =>
  `Give it to this user: sudo chown -R ${userName()} ${quote(path)}`

/** `sudo ` if the nearest directory that exists may not be written. */
function asOwner(path: string): string {
  let parent = dirname(resolve(path))
  while (!existsSync(parent) && parent !== dirname(parent)) parent = dirname(parent)
  try {
    accessSync(parent, constants.W_OK)
    return ''
  } catch {
    return 'sudo '
  }
}

/** The directory nearest to `path` that is the root of a file system. */
function mountOf(path: string): string {
  let at = resolve(path)
  const { dev } = statSync(at)
  while (at !== dirname(at) && statSync(dirname(at)).dev === dev) at = dirname(at)
  return at
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? '')
  }
}

/** For a command to copy into a shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
