// The two FIFOs of a container, as the log writer has them: what comes out of them goes into files. One of the few files that may
// touch the world.
//
// The container has them open to read and to write. So it always has a reader, and gets no SIGPIPE, whoever dies here: at worst it
// waits with its next 64 KB until another writer has come. The writer only reads, and sees their end when the last process
// that has them ends, whether there is an agent or not.

import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Destination } from './protocol.ts'
import { RotatingFile } from './rotating-file.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

const STREAMS = ['stdout', 'stderr'] as const

/** A directory by which it is known again. */
export interface Known {
  readonly dev: number
  readonly ino: number
}

/** Opens the directory of the files, which must not be a link, and be the known one if there is one. */
export function openDestination(
  path: string,
  known?: Known,
): { readonly directory: number; readonly known: Known } {
  const directory = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  const { dev, ino } = fstatSync(directory)
  if (known && (known.dev !== dev || known.ino !== ino)) {
    closeSync(directory)
    throw new Error(`'${path}' is another directory than before`)
  }
  return { directory, known: { dev, ino } }
}

export interface PipesOptions {
  readonly destination: Destination
  /** The open directory of the files; it is closed at the end. */
  readonly directory: number
  /** Where the FIFOs are. */
  readonly at: string
  readonly ended: () => void
  readonly warn: (why: string) => void
}

/** Holds what is in the FIFOs from the beginning; reads it when it is started. */
export class Pipes {
  readonly #o: PipesOptions
  readonly #readers: readonly number[]
  #open = STREAMS.length
  #isStarted = false

  constructor(options: PipesOptions) {
    this.#o = options
    const readers: number[] = []
    try {
      for (const stream of STREAMS) {
        readers.push(openSync(`${options.at}/${stream}`, O_RDONLY | O_NONBLOCK | O_NOFOLLOW))
      }
    } catch (error) {
      for (const reader of readers) closeSync(reader)
      throw error
    }
    this.#readers = readers
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    const { destination, directory, warn } = this.#o
    for (const [index, name] of STREAMS.entries()) {
      const rotation = destination[name]
      const { owner } = destination
      const file = new RotatingFile({ directory, name, owner, rotation, warn })
      const reader = new Socket({
        fd: this.#readers[index]!,
        readable: true,
        writable: false,
      })
      // Written before anything else is read: what is printed faster than that waits in the FIFO.
      reader.on('data', (bytes: Buffer) => file.write(bytes))
      reader.on('error', () => reader.destroy())
      reader.on('end', () => reader.destroy())
      reader.on('close', () => {
        file.close()
        this.#closed()
      })
    }
  }

  #closed(): void {
    if (--this.#open > 0) return
    closeSync(this.#o.directory)
    this.#o.ended()
  }
}
