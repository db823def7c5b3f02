// Lines to standard output, or to a file, no faster than they are taken: a log may be larger than memory.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { messageOf, UserError } from '../../base/errors.ts'

export class Lines {
  readonly #stream: Writable
  /** Of a file; nobody else hears of its errors. */
  #failure: Error | undefined

  private constructor(stream: Writable) {
    this.#stream = stream
  }

  /** Whoever reads our output may have seen enough (`| head`): `runLog` ends the process then. */
  static toOutput(): Lines {
    return new Lines(process.stdout)
  }

  /** Replaces the file if there is one. */
  static toFile(path: string): Lines {
    const lines = new Lines(createWriteStream(path))
    lines.#stream.on('error', error => (lines.#failure = error))
    return lines
  }

  /** Resolves when more may be printed. */
  async print(line: string): Promise<void> {
    this.#check()
    if (this.#stream.write(`${line}\n`)) return
    await once(this.#stream, 'drain').catch(() => this.#check())
  }

  /** Resolves when all is written. */
  async end(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#stream.once('error', () => resolve())
      if (this.#stream === process.stdout) this.#stream.write('', () => resolve())
      else this.#stream.end(() => resolve())
    })
    this.#check()
  }

  #check(): void {
    if (!this.#failure) return
    throw new UserError('not_permitted', `It cannot be written: ${messageOf(this.#failure)}.`, {
      hint: 'Name another file, or make room on that disk.',
      cause: this.#failure,
    })
  }
}
