// Follows the output of a running task: what was added to a file on an agent, again and again, through the master.

import { wholeCharacters } from '../../web/page/tail.ts'

/** Reads part of a file: `offset` -1 asks for its length alone. Undefined: there is no such file (yet). */
export type ReadFile = (
  path: string,
  offset: number,
  lengthBytes: number,
) => Promise<{ readonly offset: number; readonly data: string } | undefined>

/** The most that one read asks for. */
const STEP_BYTES = 32 * 1024

/** One growing file. Offsets are bytes, what comes is text. */
export class Follower {
  readonly #path: string
  readonly #read: ReadFile
  readonly #print: (text: string) => void
  #atBytes = 0
  #busy: Promise<void> = Promise.resolve()

  constructor(path: string, read: ReadFile, print: (text: string) => void) {
    this.#path = path
    this.#read = read
    this.#print = print
  }

  /**
   * Prints what was added since the last time; half a character at the end waits for its other half, unless this is
   * the `last` time. Rejects if the file cannot be read; the next call goes on there.
   */
  catchUp({ last = false } = {}): Promise<void> {
    const turn = this.#busy.then(() => this.#catchUp(last))
    this.#busy = turn.catch(() => {})
    return turn
  }

  async #catchUp(last: boolean): Promise<void> {
    const length = await this.#read(this.#path, -1, 0)
    if (!length) return
    while (this.#atBytes < length.offset) {
      const wantedBytes = Math.min(STEP_BYTES, length.offset - this.#atBytes)
      const piece = await this.#read(this.#path, this.#atBytes, wantedBytes)
      if (!piece || piece.data === '') return
      const whole = wholeCharacters(piece.data, wantedBytes)
      const all = { text: piece.data, sizeBytes: wantedBytes }
      const { text, sizeBytes } = whole.sizeBytes === 0 && last ? all : whole
      if (sizeBytes === 0) return
      this.#atBytes += sizeBytes
      this.#print(text)
    }
  }
}

/** Where a command task's output is, in the names that agents show files by. */
export function outputPath(
  frameworkId: string,
  executorId: string,
  file: 'stdout' | 'stderr',
): string {
  return `/frameworks/${frameworkId}/executors/${executorId}/runs/latest/${file}`
}
