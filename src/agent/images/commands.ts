// Programs of the machine that do slow work on directories, so that the agent's thread does not. One of the few files that
// may touch the world.

import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf } from '../../base/errors.ts'
import { makeDirectories } from '../make-directories.ts'

const execute = promisify(execFile)

/** Rejects with what it said, if it fails. Nothing of the agent's own environment is given to it. */
export async function run(program: string, ...args: readonly string[]): Promise<void> {
  await execute(program, args, { env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } })
}

/** Directories that are gone at once, and removed when there is time for it. */
export class Trash {
  readonly #directory: string
  readonly #rm: string
  readonly #failed: (error: string) => void
  readonly #removals = new Set<Promise<void>>()
  /** Beyond those of an agent before this one, which may be on their way out. */
  #count: number

  /** It lies on the same file system as what is to go. What an agent before this one left in it is removed. */
  constructor(directory: string, rm: string, failed: (error: string) => void) {
    this.#directory = directory
    this.#rm = rm
    this.#failed = failed
    makeDirectories(directory)
    const old = readdirSync(directory)
    this.#count = Math.max(0, ...old.map(name => Number.parseInt(name, 10) + 1 || 0))
    for (const name of old) this.#remove(`${directory}/${name}`)
  }

  /** Resolves when it is no longer where it was; it need not have been there. */
  async take(path: string): Promise<void> {
    const aside = `${this.#directory}/${this.#count++}`
    try {
      await rename(path, aside)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    this.#remove(aside)
  }

  /** Resolves when all that was taken is gone. */
  async emptied(): Promise<void> {
    while (this.#removals.size > 0) await Promise.all(this.#removals)
  }

  #remove(path: string): void {
    // What might be mounted there is somebody else's.
    const removal = run(this.#rm, '-rf', '--one-file-system', '--', path).catch((error: unknown) =>
      this.#failed(messageOf(error)),
    )
    this.#removals.add(removal)
    void removal.then(() => this.#removals.delete(removal))
  }
}
