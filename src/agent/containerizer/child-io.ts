// The ends of a container's standard input and output that the agent holds. One of the few files that may touch the world.

import { type ChildProcess, execFile } from 'node:child_process'
import { constants, openSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Input, Output, Outputs, WindowSize } from '../attachment.ts'
import { sizeWords } from './terminal.ts'

const { O_NONBLOCK, O_WRONLY } = constants
/** A terminal in its usual mode takes it for the end. */
const END_OF_TRANSMISSION = Uint8Array.of(4)
const DEVICE = /^\/dev\/pts\/\d+$/
const LIMIT_MS = 5_000

/** A terminal that can be asked to be of another size: `noted` names its device. */
export interface Resizable {
  readonly stty: string
  readonly noted: string
}

/** Into a child's pipe; script(1) makes of its end what a terminal understands. */
export function inputOf(child: ChildProcess, terminal: Resizable | undefined): Input {
  const stream = child.stdin!
  const write = writer(stream)
  return { write, end: () => stream.end(), close: () => stream.end(), resize: resizer(terminal) }
}

/** Into a fifo that a program reads which was started earlier, maybe by another agent; undefined if nobody reads it. */
export function inputThrough(fifo: string, terminal: Resizable): Input | undefined {
  let fd: number
  try {
    fd = openSync(fifo, O_WRONLY | O_NONBLOCK)
  } catch {
    return undefined
  }
  const stream = new Socket({ fd, readable: false, writable: true })
  const write = writer(stream)
  return {
    write,
    end: () => void write(END_OF_TRANSMISSION),
    close: () => stream.end(),
    resize: resizer(terminal),
  }
}

function writer(stream: Writable): Input['write'] {
  // Its reader may end at any time; what it does not read is nobody's loss.
  stream.on('error', () => {})
  return data =>
    new Promise(resolve => {
      if (stream.destroyed || stream.writableEnded || stream.write(data)) return resolve()
      const done = (): void => {
        stream.off('drain', done).off('close', done)
        resolve()
      }
      stream.once('drain', done).once('close', done)
    })
}

function resizer(terminal: Resizable | undefined): Input['resize'] {
  if (!terminal) return () => Promise.resolve()
  const { stty, noted } = terminal
  return (size: WindowSize) =>
    new Promise(resolve => {
      let device = ''
      try {
        device = readFileSync(noted, 'utf8').trim()
      } catch {
        // It has just begun, or ended.
      }
      if (!DEVICE.test(device)) return resolve()
      // The kernel tells whoever is in front there (SIGWINCH).
      const args = ['-F', device, ...sizeWords(size)]
      execFile(stty, args, { timeout: LIMIT_MS }, () => resolve())
    })
}

/** So much is read before it is asked for. */
const MOST_BYTES = 64 * 1024

/** What comes out of a child's two pipes. */
export class ChildOutputs implements Outputs {
  readonly #streams: readonly Readable[]
  readonly #unread: Output[] = []
  #bytes = 0
  #open: number
  #wake = (): void => {}

  constructor({ stdout, stderr }: ChildProcess) {
    this.#streams = [stdout!, stderr!]
    this.#open = this.#streams.length
    this.#listen(stdout!, 'STDOUT')
    this.#listen(stderr!, 'STDERR')
  }

  #listen(from: Readable, stream: Output['stream']): void {
    from.on('data', (data: Buffer) => {
      this.#unread.push({ stream, data })
      this.#bytes += data.length
      if (this.#bytes >= MOST_BYTES) for (const one of this.#streams) one.pause()
      this.#wake()
    })
    from.on('error', () => {})
    from.once('close', () => {
      this.#open--
      this.#wake()
    })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Output> {
    try {
      for (;;) {
        const next = this.#unread.shift()
        if (next) {
          this.#bytes -= next.data.length
          if (this.#unread.length === 0) for (const one of this.#streams) one.resume()
          yield next
        } else if (this.#open === 0) return
        else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      // Nobody reads any more: whoever writes is told so.
      for (const one of this.#streams) one.destroy()
    }
  }
}
