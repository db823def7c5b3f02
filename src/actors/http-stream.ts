// A response whose end is not known when it begins: an actor writes, the HTTP server reads at its client's pace.

export interface BodyStreamOptions {
  /** More than this unread, and the reader is given up. */
  readonly maxBufferedBytes: number
  /** Called once, when writing has no use any more, and why. */
  readonly onDone?: (why: StreamEnd) => void
}

/** The writer ended it, or broke it off; its reader went away, or did not keep up. */
export type StreamEnd = 'ended' | 'failed' | 'gone' | 'slow'

const encoder = new TextEncoder()

/** A piece takes this much at least while it waits, however short it is. */
const LEAST_BYTES = 100
const costOf = (piece: Uint8Array): number => Math.max(piece.length, LEAST_BYTES)

/** So many that were read are taken off the list at once. */
const MOST_READ = 1_024

/**
 * The body of a streaming response (`{ status: 200, stream }`). For one reader. What a client does not read is kept up
 * to `maxBufferedBytes`; a slower one is cut off, and costs the others nothing.
 */
export class BodyStream implements AsyncIterable<Uint8Array> {
  readonly #options: BodyStreamOptions
  #chunks: Uint8Array[] = []
  /** How many of them have been read: taking one from the front of a long list costs as much as the list is long. */
  #read = 0
  #bufferedBytes = 0
  #end: StreamEnd | undefined
  #failure: Error | undefined
  #wake: (() => void) | undefined

  constructor(options: BodyStreamOptions) {
    this.#options = options
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Whether writing has any use. */
  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** False if nobody will read it. */
  write(chunk: string | Uint8Array): boolean {
    if (this.#end) return false
    const bytes = typeof chunk === 'string' ? encoder.encode(chunk) : chunk
    if (this.#bufferedBytes + costOf(bytes) > this.#options.maxBufferedBytes) {
      this.#fail('slow', `more than ${this.#options.maxBufferedBytes} bytes are unread`)
      return false
    }
    this.#chunks.push(bytes)
    this.#bufferedBytes += costOf(bytes)
    this.#wake?.()
    return true
  }

  /** What was written is still read; then the response is complete. */
  end(): void {
    this.#finish('ended')
  }

  /** Breaks the connection off, so that nobody takes what was sent for the whole. */
  fail(reason: string): void {
    this.#fail('failed', reason)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#next(),
      return: () => {
        this.#close()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const chunk = this.#chunks[this.#read]
      if (chunk) {
        if (++this.#read === this.#chunks.length || this.#read === MOST_READ) {
          this.#chunks.splice(0, this.#read)
          this.#read = 0
        }
        this.#bufferedBytes -= costOf(chunk)
        return { done: false, value: chunk }
      }
      if (this.#failure) throw this.#failure
      if (this.#end) return { done: true, value: undefined }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  #close(): void {
    this.#drop()
    this.#finish('gone')
  }

  #fail(end: 'failed' | 'slow', reason: string): void {
    if (this.#end) return
    this.#failure = new Error(reason)
    this.#drop()
    this.#finish(end)
  }

  #drop(): void {
    this.#chunks = []
    this.#read = 0
    this.#bufferedBytes = 0
  }

  #finish(end: StreamEnd): void {
    if (this.#end) return
    this.#end = end
    this.#wake?.()
    this.#options.onDone?.(end)
  }
}
