// What goes into a program and comes out of it, where somebody talks to it.

/** Of a terminal, in characters. */
export interface WindowSize {
  readonly rows: number
  readonly columns: number
}

export interface Output {
  readonly stream: 'STDOUT' | 'STDERR'
  readonly data: Uint8Array
}

export interface Input {
  /** Resolves when there is room for more. What nobody reads any more is dropped. */
  write(data: Uint8Array): Promise<void>
  /** There is no more to read. A terminal is told so as people do it, by ^D. */
  end(): void
  /** Nothing happens if it has no terminal. */
  resize(size: WindowSize): Promise<void>
  /** Nobody writes any more; what reads does not hear of that. */
  close(): void
}

/** Its one reader misses nothing: whoever writes waits for it. Ends with the program and all that it started. */
export type Outputs = AsyncIterable<Output>
