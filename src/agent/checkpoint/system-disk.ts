// Checkpoints on the real disk. One of the few files that may touch the world.
//
// What is written is to outlive the agent's process, which a write to the kernel does: nothing but the agent's own identity is
// synced. A machine that loses power loses its tasks as well; the master then learns from the agent which of them are gone.

import { mkdir, open, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { CheckpointDisk } from './checkpoint-disk.ts'

/** Environments and secrets of tasks are in them. */
const OWNER_ONLY = 0o600

export class SystemDisk implements CheckpointDisk {
  readonly #trash: string
  #made = 0

  /** `trash`: a directory on the same disk, for what is being removed. */
  constructor(trash: string) {
    this.#trash = trash
  }

  /** What an agent that died was removing. */
  async emptyTrash(): Promise<void> {
    await rm(this.#trash, { recursive: true, force: true })
  }

  async write(
    path: string,
    text: string,
    { durable = false }: { readonly durable?: boolean } = {},
  ): Promise<void> {
    const temporary = this.#temporary(path)
    try {
      await this.#writeNew(temporary, text, durable)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await mkdir(dirname(path), { recursive: true })
      await this.#writeNew(temporary, text, durable)
    }
    await rename(temporary, path)
    if (!durable) return
    const directory = await open(dirname(path), 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }

  async writeAt(path: string, at: number, text: string, cut: boolean): Promise<void> {
    const file = at === 0 ? await open(path, 'w', OWNER_ONLY) : await open(path, 'r+')
    try {
      if (cut) await file.truncate(at)
      const bytes = Buffer.from(text)
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
        done += bytesWritten
      }
    } finally {
      await file.close()
    }
  }

  read(path: string): Promise<string | undefined> {
    return unlessMissing(readFile(path, 'utf8'))
  }

  async list(path: string): Promise<readonly string[]> {
    return (await unlessMissing(readdir(path))) ?? []
  }

  /** A directory goes in one step: half of it would be read as something that never was. */
  async remove(path: string): Promise<void> {
    const aside = `${this.#trash}/${process.pid}.${this.#made++}`
    try {
      await rename(path, aside)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      // There is no such thing, or no trash yet.
      await mkdir(this.#trash, { recursive: true })
      await unlessMissing(rename(path, aside))
    }
    await rm(aside, { recursive: true, force: true })
  }

  async link(path: string, target: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true })
    const temporary = this.#temporary(path)
    await rm(temporary, { force: true })
    await symlink(target, temporary)
    await rename(temporary, path)
  }

  readLink(path: string): Promise<string | undefined> {
    return unlessMissing(readlink(path))
  }

  async #writeNew(path: string, text: string, durable: boolean): Promise<void> {
    const file = await open(path, 'w', OWNER_ONLY)
    try {
      await file.writeFile(text)
      if (durable) await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Two that write to one path at once must not share it. */
  #temporary(path: string): string {
    return `${path}.${process.pid}.${this.#made++}.new`
  }
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code
