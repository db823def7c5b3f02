// Bytes that are put aside in a file without a name: it takes no memory, and is gone with the process however that ends.

import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../../base/assert.ts'

const GATHERED_BYTES = 1024 * 1024

/** Written to its end first, and then read. */
export class Spill {
  readonly #descriptor: number
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #sizeBytes = 0

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'mesos-log-'))
    const path = join(directory, 'spill')
    this.#descriptor = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    rmdirSync(directory)
  }

  /** Where the next bytes will be. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  append(bytes: Uint8Array): void {
    // A copy: what is read from a log is a view of a segment, which would stay in memory with it.
    this.#gathered.push(bytes.slice())
    this.#gatheredBytes += bytes.length
    this.#sizeBytes += bytes.length
    if (this.#gatheredBytes >= GATHERED_BYTES) this.#write()
  }

  #write(): void {
    const bytes = Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#gatheredBytes = 0
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done)
  }

  read(from: number, to: number): Buffer {
    if (this.#gathered.length > 0) this.#write()
    const bytes = Buffer.allocUnsafe(to - from)
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(this.#descriptor, bytes, done, bytes.length - done, from + done)
      assert(count > 0, 'what was put aside is there')
      done += count
    }
    return bytes
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}
