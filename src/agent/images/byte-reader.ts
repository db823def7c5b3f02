// Reads a stream by the amounts that its reader asks for. No more than one chunk of it, and what was asked for, is in memory.

import { damaged } from './tar.ts'

export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #seen: (bytes: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  /** `seen` is given all bytes, in order, once. */
  constructor(source: AsyncIterable<Buffer>, seen: (bytes: Buffer) => void) {
    this.#chunks = source[Symbol.asyncIterator]()
    this.#seen = seen
  }

  /** Exactly so many bytes; undefined at the end. Rejects if it ends in between. */
  async take(length: number): Promise<Buffer | undefined> {
    if (this.#rest.length >= length) return this.#cut(length)
    const parts: Buffer[] = []
    let missing = length
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#more())) {
        if (parts.length === 0) return undefined
        throw damaged('it is cut off')
      }
      const part = this.#cut(Math.min(missing, this.#rest.length))
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts)
  }

  /** So many bytes, as they come, to somebody or to nobody. */
  async pass(length: number, to?: (bytes: Buffer) => Promise<void>): Promise<void> {
    for (let missing = length; missing > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw damaged('it is cut off')
      const part = this.#cut(Math.min(missing, this.#rest.length))
      missing -= part.length
      await to?.(part)
    }
  }

  /** Whatever is left. Rejects if that is more than a limit. */
  async drain(limit: number): Promise<void> {
    let seen = 0
    do {
      seen += this.#rest.length
      if (seen > limit) throw damaged('it does not end')
    } while (await this.#more())
  }

  #cut(length: number): Buffer {
    const part = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return part
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done) return false
    this.#rest = next.value
    this.#seen(next.value)
    return true
  }
}
