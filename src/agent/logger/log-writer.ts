// The log writer: one process that writes what all containers of an agent print into files, and rotates these. It is told by
// its agent what to open (protocol.ts), and outlives it as long as there is something to write. One of the few files that may touch
// the world.
//
//   <runtime_dir>/logs/<token>/
//   ├── writer                          pid and start time of the process
//   ├── stock.<pid>/                    FIFOs that are still to be used
//   └── containers/<container id>/
//       ├── destination                 what it was told of the container
//       ├── stdout, stderr              FIFOs
//
// One that comes opens what is there before it ends the one before it, so that at every moment somebody holds what is in the FIFOs;
// and reads only when that one has ended, so that nothing is put into files in another order than it was printed in.

import {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import { lives } from '../adopted-processes.ts'
import { readStat } from '../process-table.ts'
import { textOf } from '../container-records.ts'
import { Fifos, removeStocks } from './fifos.ts'
import { type Known, openDestination, Pipes } from './pipes.ts'
import {
  Destination,
  lineReader,
  parseLine,
  pipeDir,
  pipesDir,
  type Report,
  Request,
} from './protocol.ts'

const AGAIN_MS = 5
const MAX_ENDING_MS = 5_000
const OWNER_ONLY = 0o600
const OWNERS_DIRECTORY = 0o700

/** Runs until its standard input has ended and everything is written. */
export async function runLogWriter(directory: string): Promise<void> {
  // What ends a terminal's or a service's processes must not end what containers that live on wait for.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGPIPE'] as const) process.on(signal, () => {})
  // Another one takes over. What was read is written by now: nothing comes between the two.
  process.on('SIGTERM', () => process.exit(0))
  process.stdout.on('error', () => {})
  mkdirSync(pipesDir(directory), { recursive: true, mode: OWNERS_DIRECTORY })
  const writer = new LogWriter(directory)
  await writer.takeOver()
}

class LogWriter {
  readonly #directory: string
  readonly #pipes = new Map<string, Pipes>()
  #fifos: Fifos | undefined
  #hasAgent = true
  #opening = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  async takeOver(): Promise<void> {
    for (const id of readdirSync(pipesDir(this.#directory))) this.#adopt(id)
    await this.#endWriterBefore()
    removeStocks(this.#directory, name => name.startsWith('stock.'))
    mkdirSync(pipesDir(this.#directory), { recursive: true, mode: OWNERS_DIRECTORY })
    writeFileSync(this.#record, `${process.pid} ${readStat(process.pid)?.start ?? ''}`)
    this.#fifos = new Fifos(`${this.#directory}/stock.${process.pid}`)
    report({ ready: [...this.#pipes.keys()] })
    for (const pipes of this.#pipes.values()) pipes.start()
    const requests = lineReader(line => void this.#serve(line))
    process.stdin.on('data', requests)
    process.stdin.on('error', () => {})
    process.stdin.on('close', () => {
      this.#hasAgent = false
      // What it was about to start has been, or has ended with it.
      for (const pipes of this.#pipes.values()) pipes.start()
      this.#endIfDone()
    })
  }

  get #record(): string {
    return `${this.#directory}/writer`
  }

  #adopt(id: string): void {
    try {
      const text = readFileSync(`${pipeDir(this.#directory, id)}/destination`, 'utf8')
      const [line = '', place = ''] = text.split('\n')
      const destination = parseLine(Destination, line)
      if (destination?.id !== id) throw new Error('it is not understood')
      const [dev, ino] = place.split(' ').map(Number)
      this.#hold(destination, openDestination(destination.directory, { dev: dev!, ino: ino! }))
    } catch {
      // Its agent or its writer died before anything ran, or its sandbox has gone: there is nowhere to write to.
      this.#remove(id)
    }
  }

  #hold(destination: Destination, { directory }: { readonly directory: number }): void {
    const { id } = destination
    const pipes = new Pipes({
      destination,
      directory,
      at: pipeDir(this.#directory, id),
      warn: why => report({ warning: why, of: id }),
      ended: () => {
        this.#pipes.delete(id)
        this.#remove(id)
        report({ ended: id })
        this.#endIfDone()
      },
    })
    this.#pipes.set(id, pipes)
  }

  async #serve(line: string): Promise<void> {
    const request = parseLine(Request, line)
    if (!request) return
    if ('start' in request) return this.#pipes.get(request.start)?.start()
    const { id } = request.open
    this.#opening++
    try {
      await this.#open(request.open)
      report({ opened: id })
    } catch (error) {
      this.#remove(id)
      report({ failed: id, why: messageOf(error) })
    }
    this.#opening--
    if (!this.#hasAgent) this.#pipes.get(id)?.start()
    this.#endIfDone()
  }

  async #open(destination: Destination): Promise<void> {
    const { id, owner } = destination
    const at = pipeDir(this.#directory, id)
    const opened = openDestination(destination.directory)
    mkdirSync(at, { mode: OWNERS_DIRECTORY })
    const fifos = [`${at}/stdout`, `${at}/stderr`]
    await this.#fifos!.put(fifos)
    if (owner) for (const fifo of fifos) chownSync(fifo, owner.uid, owner.gid)
    writeFileSync(`${at}/destination`, recordOf(destination, opened.known), { mode: OWNER_ONLY })
    this.#hold(destination, opened)
  }

  #remove(id: string): void {
    rmSync(pipeDir(this.#directory, id), { recursive: true, force: true })
  }

  async #endWriterBefore(): Promise<void> {
    const [pid = '', start = ''] = textOf(this.#record)?.split(' ') ?? []
    const isThere = (): boolean => start !== '' && lives(Number(pid), start)
    for (let waitedMs = 0; isThere() && waitedMs < MAX_ENDING_MS; waitedMs += AGAIN_MS) {
      try {
        if (waitedMs === 0) process.kill(Number(pid), 'SIGTERM')
      } catch {
        // It has ended.
      }
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS))
    }
    if (isThere()) process.kill(Number(pid), 'SIGKILL')
  }

  #endIfDone(): void {
    if (this.#hasAgent || this.#opening > 0 || this.#pipes.size > 0) return
    this.#fifos?.remove()
    rmSync(this.#record, { force: true })
    for (const path of [pipesDir(this.#directory), this.#directory]) {
      try {
        rmdirSync(path)
      } catch {
        // Another one has come.
      }
    }
    process.exit(0)
  }
}

const recordOf = (destination: Destination, { dev, ino }: Known): string =>
  `${JSON.stringify(destination)}\n${dev} ${ino}\n`

function report(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
