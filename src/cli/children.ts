// Child processes that end with their parent, however that one ends.
//
// A child that was started here ends in order when this process dies (src/framework/parent.ts says how). While this
// process lives it sends SIGTERM, and after a while SIGKILL to what is left of the child's process group.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { EXIT_WITH_PARENT } from '../framework/parent.ts'

const GRACE_MS = 3_000

export interface ChildOptions {
  readonly name: string
  /** A JavaScript file. */
  readonly program: string
  readonly args: readonly string[]
  /** Where its standard error goes, and its standard output unless `onLine` wants that. */
  /** Added to this process' environment. */
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  readonly onLine?: (line: string) => void
}

export class Child {
  readonly name: string
  readonly logFile: string
  /** Resolves when it has ended: to its exit status, or the name of the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  readonly #process: ChildProcess
  #running = true

  constructor({ name, program, args, env, logFile, onLine }: ChildOptions) {
    this.name = name
    this.logFile = logFile
    const log = openSync(logFile, 'a')
    this.#process = spawn(process.execPath, [program, ...args], {
      // A process group of its own: the terminal's Ctrl-C reaches the parent, which ends its children in order.
      detached: true,
      stdio: ['pipe', onLine ? 'pipe' : log, log],
      env: { ...process.env, ...env, [EXIT_WITH_PARENT]: '1' },
    })
    closeSync(log)
    this.#process.stdin?.on('error', () => {})
    if (onLine) lines(this.#process, onLine)
    this.ended = new Promise(resolve => {
      const end = (status: number | NodeJS.Signals): void => {
        this.#running = false
        resolve(status)
      }
      this.#process
        .on('exit', (status, signal) => end(status ?? signal ?? 1))
        .on('error', () => end(1))
    })
  }

  get running(): boolean {
    return this.#running
  }

  /** Asks it to end, insists after a while, and resolves when it and its process group are gone. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM')
    const insist = setTimeout(() => this.#signal('SIGKILL'), GRACE_MS)
    await this.ended
    clearTimeout(insist)
    const { pid } = this.#process
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // ESRCH: nothing is left of the group.
    }
  }

  /** The last lines that it logged, for an error message. */
  lastWords(count = 10): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
    } catch {
      return ''
    }
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#running) this.#process.kill(signal)
  }
}

function lines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) onLine(part)
  })
}
