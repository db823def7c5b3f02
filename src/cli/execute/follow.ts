// Follows the output of a running task: what was added to a file on an agent, again and again, through the master.

/** Reads part of a file, in base64: `offset` -1 asks for its length alone. Undefined: there is no such file (yet). */
export type ReadFile = (
  path: string,
  offset: number,
  lengthBytes: number,
) => Promise<{ readonly offset: number; readonly data: string } | undefined>

/** The most that one read asks for. */
const STEP_BYTES = 32 * 1024

/** One growing file. It need not be text: what comes are its bytes. */
export class Follower {
  readonly #path: string
  readonly #read: ReadFile
  readonly #print: (bytes: Uint8Array) => void
  #atBytes = 0
  #busy: Promise<void> = Promise.resolve()

  constructor(path: string, read: ReadFile, print: (bytes: Uint8Array) => void) {
    this.#path = path
    this.#read = read
    this.#print = print
  }

  /** Prints what was added since the last time. Rejects if the file cannot be read; the next call goes on there. */
  catchUp(): Promise<void> {
    const turn = this.#busy.then(() => this.#catchUp())
    this.#busy = turn.catch(() => {})
    return turn
  }

  async #catchUp(): Promise<void> {
    const length = await this.#read(this.#path, -1, 0)
    if (!length) return
    while (this.#atBytes < length.offset) {
      const wantedBytes = Math.min(STEP_BYTES, length.offset - this.#atBytes)
      const piece = await this.#read(this.#path, this.#atBytes, wantedBytes)
      const bytes = Buffer.from(piece?.data ?? '', 'base64')
      if (bytes.length === 0) return
      this.#atBytes += bytes.length
      this.#print(bytes)
    }
  }
}

/** Where output is, in the names that agents show files by. `file`: below the sandbox of the executor's latest run. */
export function outputPath(frameworkId: string, executorId: string, file: string): string {
  return `/frameworks/${frameworkId}/executors/${executorId}/runs/latest/${file}`
}
