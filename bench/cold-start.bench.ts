// From nothing to the first task: master and agent are launched on empty directories, a framework waits for an offer.

import { type ChildProcess, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemRuntime } from '../src/actors/system-runtime.ts'
import { silentLogger } from '../src/base/log.ts'
import { taskFromOffer } from '../src/framework/packing.ts'
import { Scheduler } from '../src/framework/scheduler.ts'
import type { Offer } from '../src/messages/offer.ts'
import { isTerminal, type TaskStatus } from '../src/messages/status.ts'
import { type Contest, experiment } from './harness.ts'
import type { Scope } from './scope.ts'
import { median } from './statistics.ts'

const SECONDS = 'cold_start.seconds'
/** Measured once, with the same command task, for C++ Mesos on a machine with two cores. */
const MESOS_SECONDS = 1.2
const LIMIT_MS = 20_000
/** The level of errors in the programs' JSON logs. Warnings are left out: one says that the other one was ended. */
const ERROR = 50

export const experiments = [
  experiment({
    figures: {
      [SECONDS]: {
        unit: 's',
        yardstick: { what: 'C++ Mesos on a 2-core machine, a constant' },
        goal: { atMost: 0.5 },
      },
    },
    open,
  }),
]

/** What happens on the way, in the order in which it is printed. */
const STEPS = [
  'master listens',
  'master leads',
  'agent listens',
  'agent registered',
  'framework subscribed',
  'first offer',
  'task running',
  'task finished',
] as const
type Step = (typeof STEPS)[number]

/** Milliseconds after the launch of the two processes. */
type Times = Map<Step, number>

/** Lines of the two programs' logs that tell of a step. */
const LINES: readonly (readonly ['master' | 'agent', RegExp, Step])[] = [
  ['master', /^listening$/, 'master listens'],
  ['master', /^leading$/, 'master leads'],
  ['master', /^agent registered$/, 'agent registered'],
  ['agent', /^listening$/, 'agent listens'],
]

function open(scope: Scope): Contest<typeof SECONDS> {
  for (const program of ['master', 'agent']) {
    if (!existsSync(built(program))) throw new Error(`${built(program)} is missing: npm run build`)
  }
  const runs: Times[] = []
  return {
    async ours() {
      const times = await coldStart(scope)
      runs.push(times)
      return { [SECONDS]: times.get('task finished')! / 1_000 }
    },
    yardstick: () => ({ [SECONDS]: MESOS_SECONDS }),
    explain: () => Promise.resolve(explain(runs)),
  }
}

/** One start from scratch; all of it is gone when this resolves. */
async function coldStart(outer: Scope): Promise<Times> {
  const scope = outer.nested()
  try {
    const port = await freePort()
    const [masterDir, agentDir] = [scope.temporaryFolder(), scope.temporaryFolder()]
    const runtime = await systemRuntime({ log: silentLogger })
    scope.defer(() => runtime.shutdown())
    const times: Times = new Map()
    const startedMs = nowMs()
    const reached = (step: Step, atMs = nowMs()): void => {
      if (!times.has(step)) times.set(step, atMs - startedMs)
    }
    const start = (program: 'master' | 'agent', args: readonly string[]): ChildProcess => {
      const child = scope.start(
        process.execPath,
        [built(program), '--ip=127.0.0.1', '--log_format=json', ...args],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      )
      readSteps(program, child, reached)
      return child
    }
    const children = [
      start('master', [`--port=${port}`, `--work_dir=${masterDir}`]),
      start('agent', [
        '--port=0',
        `--master=127.0.0.1:${port}`,
        `--work_dir=${agentDir}`,
        `--runtime_dir=${agentDir}/run`,
      ]),
    ]
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => {
        const missing = STEPS.filter(step => !times.has(step))
        reject(
          new Error(`no task finished within ${LIMIT_MS} ms; not reached: ${missing.join(', ')}`),
        )
      }, LIMIT_MS)
      scope.defer(() => clearTimeout(limit))
      for (const child of children) {
        child.once('exit', code => reject(new Error(`${child.spawnargs[1]} ended with ${code}`)))
      }
      runtime.spawn(new FirstTask(`127.0.0.1:${port}`, reached, resolve, reject))
    })
    return times
  } finally {
    await scope.close()
  }
}

/** Launches one task with the first offer, and no other. */
class FirstTask extends Scheduler {
  readonly #reached: (step: Step) => void
  readonly #done: () => void
  readonly #failed: (error: Error) => void
  #launched = false

  constructor(
    master: string,
    reached: (step: Step) => void,
    done: () => void,
    failed: (error: Error) => void,
  ) {
    super({ master, framework: { name: 'cold-start', user: 'root' } })
    this.#reached = reached
    this.#done = done
    this.#failed = failed
  }

  override subscribed(): void {
    this.#reached('framework subscribed')
  }

  override offers(offers: readonly Offer[]): void {
    this.#reached('first offer')
    for (const offer of offers) {
      const task = this.#launched
        ? undefined
        : taskFromOffer(offer, {
            name: 'first',
            task_id: { value: 'first' },
            command: { value: 'true' },
            needs: { cpus: 0.1, mem: 32 },
          })
      this.#launched ||= task !== undefined
      if (task) this.launch(offer, [task])
      else this.decline(offer)
    }
  }

  override update({ state, message, reason }: TaskStatus): void {
    if (state === 'TASK_RUNNING') this.#reached('task running')
    if (!isTerminal(state)) return
    if (state !== 'TASK_FINISHED') this.#failed(new Error(`${state}: ${reason}: ${message}`))
    this.#reached('task finished')
    this.#done()
  }

  protected override error(message: string): void {
    this.#failed(new Error(`the master refuses the framework: ${message}`))
  }
}

/** Takes the time of a step from the program's own log record. */
function readSteps(
  program: 'master' | 'agent',
  child: ChildProcess,
  reached: (step: Step, atMs: number) => void,
): void {
  createInterface({ input: child.stderr! }).on('line', line => {
    const record = parsed(line)
    if (!record) return void process.stderr.write(`${program}: ${line}\n`)
    if (record.level >= ERROR) process.stderr.write(`${program}: ${record.msg}\n`)
    const found = LINES.find(([of, pattern]) => of === program && pattern.test(record.msg))
    if (found) reached(found[2], record.time)
  })
}

function parsed(line: string): { level: number; time: number; msg: string } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function explain(runs: readonly Times[]): string {
  const rows = STEPS.map(step => {
    const times = runs.flatMap(run => run.get(step) ?? [])
    const text = times.length === 0 ? '?' : String(Math.round(median(times)))
    return `  ${text.padStart(5)} ms  ${step}`
  })
  return [
    `${SECONDS}: when what was reached, median of ${runs.length} starts`,
    ...rows,
    `  A bare Node process takes ${Math.round(bareNodeMs())} ms to start and end on this machine.`,
  ].join('\n')
}

function bareNodeMs(): number {
  const times = Array.from({ length: 3 }, () => {
    const startedMs = nowMs()
    execFileSync(process.execPath, ['--eval', '0'])
    return nowMs() - startedMs
  })
  return median(times)
}

function built(program: string): string {
  return join(process.cwd(), `dist/mesos-${program}.js`)
}

/** Another process may take it before it is used; then the start fails loudly. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function nowMs(): number {
  return performance.timeOrigin + performance.now()
}
