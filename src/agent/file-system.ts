// Sandboxes on the real disk. One of the few files that may touch the world.

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import {
  access,
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf, UserError } from '../base/errors.ts'
import type { FileStatus, SandboxFiles } from './sandbox-files.ts'

const run = promisify(execFile)

/** The disk of this machine. */
export class SystemFiles implements SandboxFiles {
  readonly #users = new Names('/etc/passwd')
  readonly #groups = new Names('/etc/group')

  async makeDirectory(path: string, mode: number): Promise<void> {
    const first = await mkdir(path, { recursive: true })
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

/**
 * Makes sure that a directory is there and that this process may write to it. Throws a `UserError` that names flag and
 * directory and what mends it.
 */
export async function prepareDirectory(path: string, flag: string): Promise<void> {
  const refuse = (
    code: 'path_missing' | 'not_a_directory' | 'not_permitted',
    what: string,
    hint: string,
  ): never => {
    throw new UserError(code, `--${flag}: ${what}.`, { hint })
  }
  try {
    await mkdir(path, { recursive: true })
    if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: 'EEXIST' })
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'EEXIST':
      case 'ENOTDIR':
        return refuse(
          'not_a_directory',
          `'${path}' is not a directory, or lies below a file`,
          `Choose another directory with --${flag}, or remove the file.`,
        )
      case 'EACCES':
      case 'EPERM':
        return refuse(
          'not_permitted',
          `the directory '${path}' cannot be made or written to by user '${await userName()}'`,
          `Allow it with: sudo mkdir -p '${path}' && sudo chown '${await userName()}' '${path}'`,
        )
      case 'EROFS':
        return refuse(
          'not_permitted',
          `'${path}' is on a file system that is mounted read-only`,
          `Choose another directory with --${flag}.`,
        )
      default:
        return refuse('path_missing', `'${path}' cannot be used: ${messageOf(error)}`, '')
    }
  }
}

/** The account this process runs under; its number where it has no name. */
export async function userName(): Promise<string> {
  return new Names('/etc/passwd').name(process.geteuid?.() ?? 0)
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

async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    throw error
  }
}
