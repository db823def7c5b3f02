// Makes a directory, and keeps two processes from writing it. One of the few files that may touch the world.
//
// Node has no flock. A file with a pid in it has to guess whether its writer lives: pids are used again, and mean
// nothing across containers that share a volume. So the lock is a listening Unix socket in the directory: the kernel
// refuses a connection to it as soon as its process is dead, however it died, and takes one while the process is only
// stopped or busy.
//
// A process first puts its own socket there and then looks for others. Of two that start at once at least one sees the
// other, so never do both go on; that both give up is possible, and harmless.

import { randomBytes } from 'node:crypto'
import { closeSync, constants, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'

const NAME = /^lock-(\d+)-[0-9a-f]{8}$/

export interface Lock {
  /** Lets others have the directory. */
  release(): void
}

/** Makes the directory, but not its parent. Returns whether it was missing. */
export function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path)
    return true
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    const parent = dirname(path)
    if (code === 'ENOENT') {
      throw new UserError('path_missing', `The directory ${parent} does not exist.`, {
        hint: `Make it with: mkdir -p ${parent}`,
        cause: error,
      })
    }
    throw new UserError('not_permitted', `${path} cannot be made: ${message}.`, {
      hint: `Check owner and mode of ${parent} (ls -ld ${parent}).`,
      cause: error,
    })
  }
}

/** Takes the directory for this process, or rejects with a `UserError` that names the process which has it. */
export async function lockDirectory(directory: string): Promise<Lock> {
  const descriptor = openDirectory(directory)
  // A socket's path may have 107 bytes, a work_dir more: through the descriptor the path is short.
  const short = `/proc/self/fd/${descriptor}`
  const own = `lock-${process.pid}-${randomBytes(4).toString('hex')}`
  const server = createServer(socket => socket.destroy())
  const release = (): void => {
    server.close()
    rmSync(`${short}/${own}`, { force: true })
    closeSync(descriptor)
  }
  try {
    await listen(server, `${short}/${own}`)
    const holder = await findHolder(short, own)
    if (holder === undefined) return { release }
    throw new UserError(
      'path_in_use',
      `${directory} is in use by the process with pid ${holder}.`,
      {
        hint: 'Stop that process, or give this one another --work_dir.',
      },
    )
  } catch (error) {
    release()
    throw error instanceof UserError ? error : cannotLock(directory, error)
  }
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') {
      throw new UserError('not_a_directory', `${path} is not a directory.`, {
        hint: 'Move that file away, or choose another --work_dir.',
        cause: error,
      })
    }
    throw cannotLock(path, error)
  }
}

function cannotLock(path: string, cause: unknown): UserError {
  return new UserError('not_permitted', `${path} cannot be locked: ${messageOf(cause)}.`, {
    hint: 'The directory must be writable, on a file system that supports Unix sockets.',
    cause,
  })
}

/** The pid of a living process that has another lock there. Removes the locks of dead ones. */
async function findHolder(directory: string, own: string): Promise<number | undefined> {
  for (const name of readdirSync(directory)) {
    const pid = NAME.exec(name)?.[1]
    if (pid === undefined || name === own) continue
    if (await isHeld(`${directory}/${name}`)) return Number(pid)
    rmSync(`${directory}/${name}`, { force: true })
  }
  return undefined
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // A lock is no reason for a process to stay alive.
    server.unref().listen(path, resolve)
  })
}

function isHeld(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // Anything else (no permission, a full backlog) means that somebody is there.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}
