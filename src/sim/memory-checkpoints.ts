// A disk in memory for what simulated agents write down. It outlives their processes.

import type { CheckpointDisk } from '../agent/checkpoint/checkpoint-disk.ts'

/** Every method answers in the same turn of the world; nothing fails unless `failure` was set. */
export class MemoryCheckpoints implements CheckpointDisk {
  /** Texts of files, by path; for tests. */
  readonly files = new Map<string, string>()
  readonly links = new Map<string, string>()
  /** When set, what writes rejects with it: a disk that is full or broken. */
  failure: Error | undefined
  /** When set, what makes a file waits for it: a slow disk. */
  held: Promise<void> | undefined

  async write(path: string, text: string): Promise<void> {
    if (this.held) await this.held
    return this.#writing(() => void this.files.set(path, text))
  }

  writeAt(path: string, at: number, text: string, cut: boolean): Promise<void> {
    const directory = path.slice(0, path.lastIndexOf('/') + 1)
    if (!this.files.has(path) && ![...this.files.keys()].some(it => it.startsWith(directory))) {
      return Promise.reject(Object.assign(new Error('no such directory'), { code: 'ENOENT' }))
    }
    return this.#writing(() => {
      const before = Buffer.from(this.files.get(path) ?? '')
      const more = Buffer.from(text)
      const behind = cut ? Buffer.alloc(0) : before.subarray(at + more.length)
      this.files.set(path, Buffer.concat([before.subarray(0, at), more, behind]).toString())
    })
  }

  read(path: string): Promise<string | undefined> {
    return Promise.resolve(this.files.get(path))
  }

  list(path: string): Promise<readonly string[]> {
    const prefix = `${path}/`
    const names = [...this.files.keys()]
      .filter(file => file.startsWith(prefix))
      .map(file => file.slice(prefix.length).split('/')[0]!)
    return Promise.resolve([...new Set(names)].sort())
  }

  remove(path: string): Promise<void> {
    return this.#writing(() => {
      this.links.delete(path)
      for (const file of [...this.files.keys()]) {
        if (file === path || file.startsWith(`${path}/`)) this.files.delete(file)
      }
    })
  }

  link(path: string, target: string): Promise<void> {
    return this.#writing(() => void this.links.set(path, target))
  }

  readLink(path: string): Promise<string | undefined> {
    return Promise.resolve(this.links.get(path))
  }

  #writing(write: () => void): Promise<void> {
    if (this.failure) return Promise.reject(this.failure)
    write()
    return Promise.resolve()
  }
}
