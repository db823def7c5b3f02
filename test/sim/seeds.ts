// Explores many seeds: in this process, or in several others of its kind, each of which takes the next seed when it is
// done with one.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  explore,
  type ExplorationOptions,
  type ExplorationReport,
} from '../../src/sim/exploration.ts'

/** A job's process is started with this as its only argument. */
export const WORKER = '--worker'

const ENTRY = fileURLToPath(new URL('./main.js', import.meta.url))
/** Most of what an event makes dies with the next one: a larger nursery saves a tenth of the time. */
const NODE_FLAGS = ['--enable-source-maps', '--max-semi-space-size=64']

export interface SeedsOptions {
  readonly first: number
  /** Infinity: until `stop`. */
  readonly count: number
  readonly jobs: number
  readonly of: (seed: number) => ExplorationOptions
  readonly done: (report: ExplorationReport) => void
}

export class Seeds {
  readonly #o: SeedsOptions
  #next: number
  #stopped = false

  constructor(options: SeedsOptions) {
    this.#o = options
    this.#next = options.first
  }

  /** No further seed is begun. */
  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    const { jobs } = this.#o
    if (jobs === 1) return this.#serve(explore)
    await Promise.all(Array.from({ length: jobs }, () => this.#inChild()))
  }

  async #serve(run: (options: ExplorationOptions) => Promise<ExplorationReport>): Promise<void> {
    const { first, count, of, done } = this.#o
    while (!this.#stopped && this.#next < first + count) done(await run(of(this.#next++)))
  }

  async #inChild(): Promise<void> {
    const child = fork(ENTRY, [WORKER], { execArgv: NODE_FLAGS, serialization: 'advanced' })
    try {
      await this.#serve(options => ask(child, options))
    } finally {
      child.disconnect()
    }
  }
}

function ask(child: ChildProcess, options: ExplorationOptions): Promise<ExplorationReport> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the process that explored seed ${options.seed} ended with status ${code}`))
    child.once('exit', ended)
    child.once('message', report => {
      child.off('exit', ended)
      resolve(report as ExplorationReport)
    })
    child.send(options)
  })
}

/** The other side: explores what it is asked to, until nobody is left to ask. */
export function serveSeeds(): void {
  // A Ctrl-C reaches all processes of the terminal; the first of them says when it is over.
  process.on('SIGINT', () => {})
  process.on('message', (options: ExplorationOptions) => {
    void explore(options).then(report => process.connected && process.send!(report))
  })
}
