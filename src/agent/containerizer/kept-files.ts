// Files of the kernel's that are read again and again are kept open: that is a quarter of the work. One of the few files that may
// touch the world.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

/** Longer than any such file: memory.stat has some 2 KB. */
const BUFFER_BYTES = 64 * 1024
/** Of the descriptors that a process may have; the others are for connections and sandboxes. */
const SHARE = 0.5
const FALLBACK_LIMIT = 1024

export class KeptFiles {
  readonly #most: number
  readonly #buffer = Buffer.alloc(BUFFER_BYTES)
  /** By owner, then by path. */
  readonly #open = new Map<string, Map<string, number>>()
  #count = 0

  /** `most`: how many are kept; what is read beyond that is opened each time. */
  constructor(most = Math.floor(descriptorLimit() * SHARE)) {
    this.#most = most
  }

  /** Throws the system's error; of a file that is gone meanwhile, too. */
  read(owner: string, path: string): string {
    const fd = this.#open.get(owner)?.get(path) ?? this.#keep(owner, path)
    if (fd === undefined) return readFileSync(path, 'utf8')
    const length = readSync(fd, this.#buffer, 0, BUFFER_BYTES, 0)
    return this.#buffer.toString('latin1', 0, length)
  }

  /** Its files are going. */
  drop(owner: string): void {
    const files = this.#open.get(owner)
    if (!files) return
    this.#open.delete(owner)
    this.#count -= files.size
    for (const fd of files.values()) closeSync(fd)
  }

  #keep(owner: string, path: string): number | undefined {
    if (this.#count >= this.#most) return undefined
    const fd = openSync(path, 'r')
    let files = this.#open.get(owner)
    if (!files) this.#open.set(owner, (files = new Map()))
    files.set(path, fd)
    this.#count++
    return fd
  }
}

function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))!
    return Number(soft)
  } catch {
    return FALLBACK_LIMIT
  }
}
