// Sandboxes on the real disk. One of the few files that may touch the world.

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { promisify } from 'node:util'
import type { FileStatus, SandboxFiles } from './sandbox-files.ts'

const run = promisify(execFile)

const MAX_TRIES = 5

/** The disk of this machine. */
export class SystemFiles implements SandboxFiles {
  readonly #users = new Names('/etc/passwd')
  readonly #groups = new Names('/etc/group')

  async makeDirectory(path: string, mode: number): Promise<void> {
    const first = await makeAll(path)
    // mkdir's own mode is cut by the process' umask.
    if (first !== undefined) await chmod(path, mode)
  }

  async linkLatest(path: string, target: string): Promise<void> {
    const temporary = `${path}.${process.pid}.new`
    await rm(temporary, { force: true })
    await symlink(target, temporary)
    await rename(temporary, path)
  }

  resolve(path: string): Promise<string | undefined> {
    return unlessMissing(realpath(path))
  }

  async status(path: string): Promise<FileStatus | undefined> {
    const found = (await unlessMissing(stat(path))) ?? (await unlessMissing(lstat(path)))
    if (!found) return undefined
    return {
      kind: found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other',
      sizeBytes: found.size,
      mode: found.mode,
      nlink: found.nlink,
      mtimeMs: found.mtimeMs,
      user: await this.#users.name(found.uid),
      group: await this.#groups.name(found.gid),
    }
  }

  async list(path: string): Promise<string[]> {
    return (await readdir(path)).sort()
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    // Opening a FIFO would wait for its writer, who may never come.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      // A task may have put a link into the way since the path was looked at, and this may be root.
      if (((await pathOf(file)) ?? path) !== path) throw new MovedError()
      if (!(await file.stat()).isFile()) return new Uint8Array()
      const buffer = new Uint8Array(length)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return buffer.subarray(0, filled)
    } finally {
      await file.close()
    }
  }
}

/** What was opened is not what is meant. */
class MovedError extends Error {
  readonly code = 'ENOENT'
}

/** Where a file that is open is, as the kernel has it; undefined where it is not Linux. */
function pathOf({ fd }: FileHandle): Promise<string | undefined> {
  return readlink(`/proc/self/fd/${fd}`).catch(() => undefined)
}

/** Names of users or groups by number. Read when first asked; accounts that a directory service has are looked up. */
class Names {
  readonly #path: string
  #names: Promise<Map<number, string>> | undefined

  constructor(path: string) {
    this.#path = path
  }

  async name(id: number): Promise<string> {
    this.#names ??= this.#read()
    const names = await this.#names
    let name = names.get(id)
    if (name === undefined) {
      name = await this.#ask(id)
      names.set(id, name)
    }
    return name
  }

  async #read(): Promise<Map<number, string>> {
    const names = new Map<number, string>()
    const text = await readFile(this.#path, 'utf8').catch(() => '')
    for (const line of text.split('\n')) {
      const [name, , id] = line.split(':')
      if (name && id !== undefined && !names.has(Number(id))) names.set(Number(id), name)
    }
    return names
  }

  async #ask(id: number): Promise<string> {
    const database = this.#path.endsWith('group') ? 'group' : 'passwd'
    try {
      const { stdout } = await run('getent', [database, String(id)], { timeout: 2_000 })
      return stdout.split(':')[0] || String(id)
    } catch {
      return String(id)
    }
  }
}

/** Those above it may be removed, since they are empty, just while it is made: then once more. */
async function makeAll(path: string): Promise<string | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      return await mkdir(path, { recursive: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === MAX_TRIES) throw error
    }
  }
}

async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    throw error
  }
}
