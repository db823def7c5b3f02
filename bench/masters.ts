// Three real masters over loopback that elect one another by their log, and what their own log records tell of it.

import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './ports.ts'
import type { Scope } from './scope.ts'

const PROGRAM = 'dist/mesos-master.js'
const MASTERS = 3
const LIMIT_MS = 30_000
const POLL_MS = 2
/** Until a master that was just started knows who leads, and may take part in an election: one renewal of the lease, and some. */
const SETTLE_MS = 1_500

/** Steps of a failover, in order, with the records that tell of them. */
const STEPS = [
  ['the others notice', /^the process that led is gone$/],
  ['one is elected', /^elected$/],
  ['it writes the log', /^the coordinator is elected$/],
  ['it leads: its first write is committed', /^leading$/],
] as const
export const STEP_NAMES: readonly string[] = STEPS.map(([name]) => name)
export const LEADS = STEP_NAMES.at(-1)!

interface Line {
  readonly master: number
  readonly step: string
  readonly atMs: number
}

interface Running {
  readonly child: ChildProcess
  votes: boolean
}

/** Milliseconds after the kill, by step. */
export type Failover = ReadonlyMap<string, number>

export class Masters {
  readonly #scope: Scope
  readonly #dirs: readonly string[]
  readonly #ports: readonly number[]
  readonly #running: Running[] = []
  #lines: Line[] = []

  private constructor(scope: Scope, dirs: readonly string[], ports: readonly number[]) {
    this.#scope = scope
    this.#dirs = dirs
    this.#ports = ports
  }

  /** Starts them; `prepare` may fill their directories before. Resolves when one leads. */
  static async open(
    scope: Scope,
    prepare?: (dirs: readonly string[]) => unknown,
  ): Promise<Masters> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: npm run build`)
    const folder = scope.temporaryFolder()
    const dirs = Array.from({ length: MASTERS }, (_, i) => join(folder, String(i)))
    for (const dir of dirs) mkdirSync(dir)
    await prepare?.(dirs)
    const masters = new Masters(scope, dirs, await freePorts(MASTERS))
    for (let i = 0; i < MASTERS; i++) masters.#start(i)
    await masters.#until(() => masters.leader !== undefined && masters.#allVote(), 'one leads')
    return masters
  }

  /** The last one that began to. */
  get leader(): number | undefined {
    return this.#lines.findLast(line => line.step === LEADS)?.master
  }

  addressOf(master: number): string {
    return `127.0.0.1:${this.#ports[master]}`
  }

  /** Kills the one that leads, waits until another one does, and starts the first again. */
  async failover(): Promise<Failover> {
    await sleep(SETTLE_MS)
    const leader = this.leader!
    const { child } = this.#running[leader]!
    this.#lines = []
    const killedMs = performance.timeOrigin + performance.now()
    child.kill('SIGKILL')
    await this.#until(() => this.leader !== undefined, 'another one leads')
    const times = new Map<string, number>()
    for (const { step, atMs } of this.#lines) {
      if (!times.has(step)) times.set(step, atMs - killedMs)
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    this.#start(leader)
    await this.#until(() => this.#allVote(), 'the one that was killed takes part again')
    return times
  }

  #allVote(): boolean {
    return this.#running.every(({ votes }) => votes)
  }

  #start(master: number): void {
    const child = this.#scope.start(
      process.execPath,
      [
        PROGRAM,
        '--ip=127.0.0.1',
        `--port=${this.#ports[master]}`,
        `--work_dir=${this.#dirs[master]}`,
        `--masters=${this.#ports.map(port => `127.0.0.1:${port}`).join()}`,
        '--log_format=json',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const running = { child, votes: false }
    this.#running[master] = running
    createInterface({ input: child.stderr! }).on('line', line => {
      // What is no record says why it cannot start.
      if (!line.startsWith('{')) throw new Error(`master ${master}: ${line}`)
      const record = JSON.parse(line) as { time: number; msg: string }
      // A replica that has voted before its process ended votes as soon as it listens.
      if (record.msg === 'listening') running.votes = true
      const found = STEPS.find(([, pattern]) => pattern.test(record.msg))
      if (found) this.#lines.push({ master, step: found[0], atMs: record.time })
    })
  }

  async #until(reached: () => boolean, what: string): Promise<void> {
    const endMs = performance.now() + LIMIT_MS
    while (!reached()) {
      if (performance.now() > endMs) throw new Error(`not within ${LIMIT_MS} ms: ${what}`)
      await sleep(POLL_MS)
    }
  }
}

/** Median of each step. */
export function stepsText(all: readonly Failover[], median: (values: number[]) => number): string {
  return STEP_NAMES.map(step => {
    const ms = median(all.flatMap(times => times.get(step) ?? []))
    return `  ${String(Math.round(ms)).padStart(5)} ms  ${step}`
  }).join('\n')
}
