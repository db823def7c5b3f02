// Makes a directory, and keeps two processes from writing it. One of the few files that may touch the world.
//
// Node has no flock. A file with a pid in it has to guess whether its writer lives: pids are used again, and mean
// nothing across containers that share a volume. So the lock is a listening Unix socket in the directory: the kernel
// refuses a connection to it as soon as its process is dead, however it died, and takes one while the process is only
// stopped or busy.
//
// Only the kernel that has the socket knows. Where the directory is on a network, other hosts see a socket that nobody
// listens on. So a lock's name says which host it is of, and since which boot. One of another boot is of a dead process if it is
// of this host, or if no other host can have the directory; else it is left alone, however it looks.
//
// A process first puts its own socket there and then looks for others. Of two that start at once at least one sees the
// other, so never do both go on; that both give up is possible, and harmless.

import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'

/** Locks of an earlier version do not name a host; they are taken to be of this one. */
const NAME = /^lock-(\d+)-[0-9a-f]{8}(?:-([0-9a-f]{8})-([0-9a-f]{8})-(.*))?$/

/** Kinds of file systems that several hosts may have at the same time (statfs(2)): NFS, SMB, FUSE, 9p, Ceph, Lustre, AFS, OCFS2, GFS2. */
const SHARED = new Set([
  0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x0bd0_0bd0,
  0x5346_414f, 0x7461_636f, 0x0116_1970,
])

/** Where a process runs. */
export interface Host {
  /** 8 hexadecimal digits, of what is the same until the machine starts again. */
  readonly boot: string
  /** 8 hexadecimal digits, of what no two machines share, and is the same after that. */
  readonly id: string
  /** For people. */
  readonly name: string
  /** Whether others may have the directory at the same time. */
  readonly isShared: boolean
}

function hostOf(directory: string): Host {
  // Machines that were copied may share one of the two, as containers do: together they differ.
  const id = digits(hostname() + readOr('/etc/machine-id', ''))
  // There are as many characters as fit into the path of a socket.
  const name = hostname()
    .replaceAll(/[^\w.-]/g, '_')
    .slice(0, 40)
  return {
    boot: digits(readOr('/proc/sys/kernel/random/boot_id', id)),
    id,
    name,
    isShared: isShared(directory),
  }
}

function isShared(directory: string): boolean {
  return SHARED.has(statfsSync(directory).type)
}

const digits = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return otherwise
  }
}

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
export async function lockDirectory(directory: string, given?: Host): Promise<Lock> {
  const descriptor = openDirectory(directory)
  const host = given ?? hostOf(directory)
  // A socket's path may have 107 bytes, a work_dir more: through the descriptor the path is short.
  const short = `/proc/self/fd/${descriptor}`
  const random = randomBytes(4).toString('hex')
  const own = `lock-${process.pid}-${random}-${host.boot}-${host.id}-${host.name}`
  const server = createServer(socket => socket.destroy())
  const release = (): void => {
    server.close()
    rmSync(`${short}/${own}`, { force: true })
    closeSync(descriptor)
  }
  try {
    await listen(server, `${short}/${own}`)
    const holder = await findHolder(short, own, host)
    if (holder === undefined) return { release }
    throw inUse(directory, holder)
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

/** Who has another lock there. */
interface Holder {
  readonly file: string
  readonly pid: string
  /** The name of a host about whose processes nothing can be known here. */
  readonly elsewhere?: string
}

function inUse(directory: string, { file, pid, elsewhere }: Holder): UserError {
  if (elsewhere === undefined) {
    return new UserError('path_in_use', `${directory} is in use by the process with pid ${pid}.`, {
      hint: 'Stop that process, or give this one another --work_dir.',
    })
  }
  const path = join(directory, file)
  return new UserError(
    'path_in_use',
    `${directory} is in use by another host, ${elsewhere}, where the process with pid ${pid} has locked it.`,
    {
      hint: `Give each host a --work_dir of its own. If that process is certainly gone, and no other host uses the directory, remove its lock: rm ${path}`,
    },
  )
}

/** A living process that has another lock there, or one that may live. Removes the locks of dead ones. */
async function findHolder(directory: string, own: string, host: Host): Promise<Holder | undefined> {
  for (const name of readdirSync(directory)) {
    const [, pid, boot = host.boot, id, elsewhere] = NAME.exec(name) ?? []
    if (pid === undefined || name === own) continue
    if (boot === host.boot) {
      if (await isHeld(`${directory}/${name}`)) return { file: name, pid }
    } else if (host.isShared && id !== host.id) return { file: name, pid, elsewhere: elsewhere! }
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
