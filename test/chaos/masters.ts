// Three real masters, each started again whenever it has ended: one that loses its leadership ends, as it should.

import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Hosts } from './hosts.ts'

const PROGRAM = resolve('dist/mesos-master.js')
/** As a supervisor would wait. */
const AGAIN_MS = 200
const END_LIMIT_MS = 10_000

/** How masters find out who of them leads: flags of each. */
export type Electing = (addresses: readonly string[]) => readonly string[]

export const byTheLog: Electing = addresses => [`--masters=${addresses.join()}`]

export interface MastersOptions {
  readonly hosts: Hosts
  readonly dir: string
  readonly electing: Electing
  /** A master that ended without having been killed here. */
  readonly ended: (master: number, how: string) => void
}

interface Running {
  readonly child: ChildProcess
  killed: boolean
}

export class Masters {
  readonly #o: MastersOptions
  readonly #running: (Running | undefined)[] = []
  readonly #incarnations: number[] = []
  #stopping = false

  constructor(options: MastersOptions) {
    this.#o = options
  }

  get count(): number {
    return this.#o.hosts.masters.length
  }

  /** Which process is at an address, counted from the first. */
  incarnation(address: string): number {
    return this.#incarnations[this.#o.hosts.masters.indexOf(address)] ?? 0
  }

  numberOf(address: string): number {
    return this.#o.hosts.masters.indexOf(address)
  }

  get allRun(): boolean {
    return this.#o.hosts.masters.every((_, i) => this.#running[i])
  }

  workDir(master: number): string {
    return join(this.#o.dir, `master-${master}`)
  }

  logFile(master: number): string {
    return join(this.#o.dir, `master-${master}.log`)
  }

  startAll(): void {
    for (const i of this.#o.hosts.masters.keys()) this.start(i)
  }

  start(master: number): void {
    if (this.#running[master] || this.#stopping) return
    const { hosts, electing } = this.#o
    const [host, port] = hosts.masters[master]!.split(':')
    mkdirSync(this.workDir(master), { recursive: true })
    const words = hosts.command(master, [
      process.execPath,
      PROGRAM,
      `--ip=${host}`,
      `--hostname=${host}`,
      `--port=${port}`,
      `--work_dir=${this.workDir(master)}`,
      ...electing(hosts.masters),
    ])
    const child = spawn(words[0]!, words.slice(1), {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is for this process, which ends them in order.
      detached: true,
    })
    const running: Running = { child, killed: false }
    this.#running[master] = running
    this.#incarnations[master] = (this.#incarnations[master] ?? 0) + 1
    const keep = (chunk: unknown): void => appendFileSync(this.logFile(master), String(chunk))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('close', (code, signal) => {
      this.#running[master] = undefined
      if (running.killed || this.#stopping) return
      this.#o.ended(master, signal ?? `status ${code}`)
      setTimeout(() => this.start(master), AGAIN_MS)
    })
  }

  /** Resolves when it is dead. It is not started again by itself. */
  async kill(master: number): Promise<void> {
    const running = this.#running[master]
    if (!running) return
    running.killed = true
    await this.#end(running, 'SIGKILL')
  }

  signal(master: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#running[master]?.child.kill(signal)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const running = this.#running.filter(it => it !== undefined)
    await Promise.all(running.map(it => this.#end(it, 'SIGTERM')))
  }

  /** For the end of this process, when nothing can be waited for any more. */
  killNow(): void {
    this.#stopping = true
    for (const running of this.#running) running?.child.kill('SIGKILL')
  }

  async #end({ child }: Running, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise(done => child.once('close', done))
    child.kill(signal)
    child.kill('SIGCONT')
    const limit = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS)
    await closed
    clearTimeout(limit)
  }
}
