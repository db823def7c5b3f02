// `npm run sim -- log`: explores seeds of the log's simulation, or hunts the planted bugs; exit status 1 if something did
// not hold, or a bug was not found.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildPlanted, buildsOver, hunt } from './build-planted.ts'
import { FAULT_KINDS, type FaultKind } from './faults.ts'
import { PLANTED } from './planted.ts'
import { simulate, type SimulationOptions, type SimulationReport } from './simulate.ts'

const USAGE = `Usage: npm run sim -- log [--seed=N] [--seeds=COUNT] [--jobs=J] [OPTION…]
       npm run sim -- log --planted[=NAME] [--seed=N]

  --seed     the first seed; default 1
  --seeds    how many, from there on; default 1
  --jobs     processes that explore at the same time; default 1
  --seconds  virtual seconds under faults, each; default: each seed chooses
  --kinds    of faults, with commas between; default: each seed chooses
  --lines    how many of the last events a failure shows; default 300
  --debug    with debug records in them
  --planted  builds the log with each of the planted bugs, and looks for the first seed that finds it

Kinds: ${FAULT_KINDS.join(', ')}
Planted: ${Object.keys(PLANTED).join(', ')}
`

/** A job's process is started with these arguments. */
const WORKER = ['log', '--worker']
const ENTRY = fileURLToPath(new URL('../../sim/main.js', import.meta.url))
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const NODE_FLAGS = ['--enable-source-maps', '--max-semi-space-size=64']
/** A line on the way, so often. */
const EVERY_SEEDS = 500

interface Options {
  readonly seed: number
  readonly seeds: number
  readonly jobs: number
  readonly seconds: number
  readonly lines: number
  readonly kinds: readonly FaultKind[] | undefined
  readonly debug: boolean
  /** A part of the names of those to be hunted; undefined: none. */
  readonly planted: string | undefined
}

/** Throws an `Error` that says what is wrong. */
function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    // An option with a value cannot be had without one.
    args: args.map(arg => (arg === '--planted' ? '--planted=' : arg)),
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '0' },
      lines: { type: 'string', default: '300' },
      kinds: { type: 'string' },
      debug: { type: 'boolean', default: false },
      planted: { type: 'string' },
    },
  })
  const whole = (name: 'seed' | 'seeds' | 'jobs' | 'seconds' | 'lines', least: number): number => {
    const value = Number(values[name])
    if (Number.isSafeInteger(value) && value >= least) return value
    throw new Error(`--${name} must be a whole number, at least ${least}.`)
  }
  const { planted } = values
  if (planted !== undefined && !Object.keys(PLANTED).some(name => name.includes(planted))) {
    throw new Error(`There is no planted bug '${planted}'.`)
  }
  return {
    seed: whole('seed', 0),
    seeds: whole('seeds', 1),
    jobs: whole('jobs', 1),
    seconds: whole('seconds', 0),
    lines: whole('lines', 1),
    kinds: values.kinds?.split(',').map(kindOf),
    debug: values.debug,
    planted,
  }
}

function kindOf(name: string): FaultKind {
  const kind = FAULT_KINDS.find(it => it === name.trim())
  if (!kind) throw new Error(`There is no kind of fault '${name}'.`)
  return kind
}

function simulationOf(options: Options, seed: number): SimulationOptions {
  const { seconds, kinds } = options
  return { seed, ...(seconds > 0 && { seconds }), ...(kinds && { kinds }) }
}

/** A seed that failed is run again for its transcript: writing one costs more than the run. */
async function showFailure(options: Options, { seed, problems }: SimulationReport): Promise<void> {
  const { seconds, kinds, debug, lines } = options
  const level = debug ? 'debug' : 'info'
  const again = await simulate({ ...simulationOf(options, seed), lines, level })
  process.stdout.write(`${again.transcript.join('\n')}\n\nseed ${seed}: FAILED\n`)
  for (const problem of problems) process.stdout.write(`  ${problem}\n`)
  const more = [
    seconds > 0 ? ` --seconds=${seconds}` : '',
    kinds ? ` --kinds='${kinds.join(',')}'` : '',
  ]
  process.stdout.write(`Replay: npm run sim -- log --seed=${seed}${more.join('')} --lines=100000\n`)
}

async function exploreAll(options: Options): Promise<number> {
  const startedMs = performance.now()
  const sums = { seeds: 0, confirmed: 0, open: 0, reads: 0, events: 0, virtualMs: 0 }
  const struck = new Map<FaultKind, number>()
  const shapes = new Map<string, number>()
  const failed: number[] = []
  const perMinute = (): string =>
    `${((sums.seeds * 60_000) / (performance.now() - startedMs)).toFixed(0)} seeds/min`
  const take = async (report: SimulationReport): Promise<void> => {
    sums.seeds++
    for (const key of ['confirmed', 'open', 'reads', 'events', 'virtualMs'] as const)
      sums[key] += report[key]
    for (const kind of report.struck) struck.set(kind, (struck.get(kind) ?? 0) + 1)
    const shape = `${report.size} with ${report.leases ? 'leases' : 'rivals'}`
    shapes.set(shape, (shapes.get(shape) ?? 0) + 1)
    if (report.problems.length > 0) {
      failed.push(report.seed)
      await showFailure(options, report)
    }
    if (sums.seeds % EVERY_SEEDS === 0) {
      process.stdout.write(`${sums.seeds} seeds, ${failed.length} failed (${perMinute()})\n`)
    }
  }
  let next = options.seed
  const end = options.seed + options.seeds
  const serve = async (
    run: (options: SimulationOptions) => Promise<SimulationReport>,
  ): Promise<void> => {
    while (next < end) await take(await run(simulationOf(options, next++)))
  }
  if (options.jobs === 1) await serve(simulate)
  else await Promise.all(Array.from({ length: Math.min(options.jobs, options.seeds) }, inChild))

  async function inChild(): Promise<void> {
    const child = fork(ENTRY, WORKER, { execArgv: NODE_FLAGS, serialization: 'advanced' })
    try {
      await serve(each => ask(child, each))
    } finally {
      child.disconnect()
    }
  }

  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
  process.stdout.write(`
${sums.seeds} seeds (replicas: ${list(shapes)}), ${(sums.virtualMs / 3_600_000).toFixed(1)} virtual hours, ${sums.events} events
${sums.confirmed} writes confirmed, ${sums.open} with unknown outcome, ${sums.reads} reads: all histories linearizable but those of the failed
faults: ${list(struck)}
in ${((performance.now() - startedMs) / 1_000).toFixed(0)} s (${perMinute()})
failed: ${failed.length === 0 ? 'none' : failed.sort((a, b) => a - b).join(', ')}
`)
  return failed.length > 0 ? 1 : 0
}

function ask(child: ChildProcess, options: SimulationOptions): Promise<SimulationReport> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the process that ran seed ${options.seed} ended with status ${code}`))
    child.once('exit', ended)
    child.once('message', report => {
      child.off('exit', ended)
      resolve(report as SimulationReport)
    })
    child.send(options)
  })
}

function serveSeeds(): void {
  process.on('SIGINT', () => process.exit(1))
  process.on('message', (options: SimulationOptions) => {
    void simulate(options).then(
      report => process.connected && process.send!({ ...report, transcript: [] }),
    )
  })
}

async function huntAll({ planted = '', seed }: Options): Promise<number> {
  let missed = 0
  for (const [name, bug] of Object.entries(PLANTED)) {
    if (!name.includes(planted)) continue
    const { seeds, problem } = await hunt(await buildPlanted(ROOT, name, bug), bug, seed)
    if (seeds === undefined) missed++
    const verdict =
      seeds === undefined ? `NOT FOUND in ${bug.within} seeds` : `seed ${seed + seeds - 1}`
    const [text = ''] = problem.split('\n')
    process.stdout.write(`${name} (${bug.about})\n  ${verdict}: ${text}\n`)
  }
  buildsOver()
  process.stdout.write(missed === 0 ? 'All were found.\n' : `${missed} not found.\n`)
  return missed === 0 ? 0 : 1
}

/** `args`: those behind `log`. Resolves with the exit status; undefined: it serves, until it is not asked any more. */
export async function logCommand(args: readonly string[]): Promise<number | undefined> {
  if (args[0] === WORKER[1]) {
    serveSeeds()
    return undefined
  }
  if (args.includes('--help')) {
    process.stdout.write(USAGE)
    return 0
  }
  let options: Options
  try {
    options = readOptions(args)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 1
  }
  return options.planted === undefined ? exploreAll(options) : huntAll(options)
}
