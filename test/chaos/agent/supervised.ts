// A master or an agent of the cluster: started again when it was killed, its output in a file.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'

const END_LIMIT_MS = 10_000
/** As a supervisor would wait. */
const AGAIN_MS = 200

export interface SupervisedOptions {
  /** Of dist/. */
  readonly program: string
  readonly args: readonly string[]
  readonly logFile: string
  readonly temporary: string
  /** What it says when it is of use. */
  readonly ready: RegExp
  /** It ended though nobody had killed it. */
  readonly ended: (how: string) => void
}

export class Supervised {
  readonly #o: SupervisedOptions
  #child: ChildProcess | undefined
  /** Where in the log the words of the process that runs begin. */
  #since = 0
  #isWanted = false
  #isOver = false
  #again: NodeJS.Timeout | undefined
  #starts = 0

  constructor(options: SupervisedOptions) {
    this.#o = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get isReady(): boolean {
    return this.#child !== undefined && this.#o.ready.test(this.log.slice(this.#since))
  }

  get log(): string {
    try {
      return readFileSync(this.#o.logFile, 'latin1')
    } catch {
      return ''
    }
  }

  start(): void {
    if (this.#isOver || this.#child) return
    this.#isWanted = true
    const { program, args, logFile, temporary } = this.#o
    const log = openSync(logFile, 'a')
    writeSync(log, `--- start ${++this.#starts} at ${new Date().toISOString()}\n`)
    this.#since = statSync(logFile).size
    const child = spawn(process.execPath, [resolve(`dist/${program}.js`), ...args], {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '/',
        TMPDIR: temporary,
      },
      stdio: ['ignore', log, log],
      // Ctrl-C is for this process, which ends them in order.
      detached: true,
    })
    closeSync(log)
    this.#child = child
    child.once('exit', (code, signal) => {
      this.#child = undefined
      if (!this.#isWanted) return
      this.#o.ended(signal ?? `status ${code}`)
      this.#startIn(AGAIN_MS)
    })
  }

  /** False if it does not run. It is started again after `downMs`. */
  kill(downMs: number): boolean {
    if (!this.#child || this.#isOver) return false
    this.#isWanted = false
    this.#child.kill('SIGKILL')
    this.#startIn(downMs)
    return true
  }

  /** Resolves when it has ended, for good. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#isWanted = false
    clearTimeout(this.#again)
    const child = this.#child
    if (!child) return
    const exited = new Promise(done => child.once('exit', done))
    child.kill('SIGTERM')
    const limit = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS)
    await exited
    clearTimeout(limit)
  }

  #startIn(ms: number): void {
    clearTimeout(this.#again)
    this.#again = setTimeout(() => {
      // One that was killed just now may be a moment in dying.
      if (this.#child) this.#startIn(AGAIN_MS)
      else this.start()
    }, ms)
  }
}
