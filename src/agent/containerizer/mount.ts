// One thing that a container mounts, and where the container sees it.

import { posix } from 'node:path'
import { UserError } from '../../base/errors.ts'

/** A path as the container sees it (absolute), or one below its sandbox (relative). Normal: without `.`, `..` and `//`. */
export interface Place {
  readonly in: 'root' | 'sandbox'
  readonly path: string
}

/** A directory or file of the machine, seen at another place as well. */
interface Bind {
  readonly kind: 'bind'
  readonly isFile?: boolean
  /** Absolute. */
  readonly source: string
  /** Below `source`, normal; each part is made if it is missing, and none may be a link. */
  readonly below?: string
  readonly at: Place
  /** What is mounted below the source is then not seen, as nothing would hold it to that. */
  readonly isReadOnly: boolean
}

/** A file system of its own. */
interface FileSystem {
  readonly kind: 'fs'
  readonly type: 'tmpfs' | 'proc' | 'devpts'
  readonly options: string
  readonly at: Place
}

export type Mount = Bind | FileSystem

export const inRoot = (path: string): Place => ({ in: 'root', path })
export const inSandbox = (path: string): Place => ({ in: 'sandbox', path })

/** A path that a framework gave, made normal. Throws a `UserError` if it may lead outside of where it is relative to. */
export function placeOf(containerPath: string): Place {
  const path = normal(containerPath)
  if (path.startsWith('/')) return inRoot(path)
  return inSandbox(path)
}

/** Without `.`, `//` and a slash at the end. `..` is refused, also where it would do no harm. */
export function normal(path: string): string {
  if (path === '' || path.includes('\0')) throw invalid(path, 'is no path')
  if (path.split('/').includes('..')) throw invalid(path, "contains '..'")
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, '')
  if (clean === '.' || clean === '/') throw invalid(path, 'is the whole of it')
  return clean
}

const invalid = (path: string, why: string): UserError =>
  new UserError('invalid_value', `the path '${path}' of a volume ${why}`)
