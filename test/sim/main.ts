// `npm run sim`: explores seeds until all are done or interrupted; exit status 1 if one failed.

import { parseArgs } from 'node:util'
import type { ExplorationReport } from '../../src/sim/exploration.ts'
import { FAULT_KINDS, type FaultKind } from '../../src/sim/faults.ts'
import { Seeds, serveSeeds, WORKER } from './seeds.ts'

const USAGE = `Usage: npm run sim -- [--seed=N] [--seeds=COUNT] [--minutes=M] [--jobs=J] [OPTION…]
       npm run sim -- log …     the replicated log alone; \`npm run sim -- log --help\` says more

  --seed        the first seed; default 1
  --seeds       how many, from there on; default 1; 0: until Ctrl-C
  --minutes     virtual minutes under faults, each; default 5
  --jobs        processes that explore at the same time; default 1
  --kinds       of faults, with commas between; default: each seed chooses
  --agents      a large cluster: so many agents,
  --frameworks  so many frameworks (default 20),
  --tasks       and so many tasks in all (default: 10 an agent)
  --lines       how many of the last events a failure shows; default 300
  --debug       with debug records in them
  --quiet       no line for seeds that pass

Kinds: ${FAULT_KINDS.join(', ')}
`

interface Options {
  readonly seed: number
  readonly seeds: number
  readonly minutes: number
  readonly jobs: number
  readonly agents: number
  readonly frameworks: number
  readonly tasks: number
  readonly lines: number
  readonly kinds: readonly FaultKind[] | undefined
  readonly debug: boolean
  readonly quiet: boolean
}

const NUMBERS = {
  seed: '1',
  seeds: '1',
  minutes: '5',
  jobs: '1',
  agents: '0',
  frameworks: '20',
  tasks: '0',
  lines: '300',
} as const

/** Throws an `Error` that says what is wrong. */
function readOptions(): Options {
  const numeric = Object.entries(NUMBERS).map(
    ([name, text]) => [name, { type: 'string', default: text }] as const,
  )
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(numeric),
      kinds: { type: 'string' },
      debug: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
    },
  })
  const numbers = Object.fromEntries(
    Object.keys(NUMBERS).map(name => [name, Number((values as Record<string, unknown>)[name])]),
  ) as Record<keyof typeof NUMBERS, number>
  for (const [name, value] of Object.entries(numbers)) {
    if (!(Number.isFinite(value) && value >= 0) || (name !== 'minutes' && value % 1 !== 0)) {
      throw new Error(`--${name} must be a number that is not negative.`)
    }
  }
  if (numbers.jobs === 0) throw new Error('--jobs must be at least 1.')
  const { debug, quiet, kinds } = values
  return { ...numbers, debug, quiet, kinds: kinds === undefined ? undefined : kindsOf(kinds) }
}

function kindsOf(list: string): FaultKind[] {
  return list.split(',').map(name => {
    const kind = FAULT_KINDS.find(it => it === name.trim())
    if (!kind) throw new Error(`There is no kind of fault '${name}'.`)
    return kind
  })
}

function show(report: ExplorationReport, options: Options): void {
  const { seed, problems, transcript, virtualMs, events, tasks, kinds } = report
  const size = `${(virtualMs / 60_000).toFixed(1)} min, ${events} events, ${tasks} tasks`
  const verdict = problems.length === 0 ? 'ok' : 'FAILED'
  if (problems.length > 0) process.stdout.write(`${transcript.join('\n')}\n\n`)
  if (problems.length > 0 || !options.quiet) {
    process.stdout.write(`seed ${seed}: ${verdict} (${size}; ${kinds.join(', ') || 'no faults'})\n`)
  }
  for (const problem of problems) process.stdout.write(`  ${problem}\n`)
  if (problems.length > 0) process.stdout.write(`Replay: ${report.replay}\n`)
}

function summarize(reports: readonly ExplorationReport[], seconds: number): void {
  const sum = (of: (report: ExplorationReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0)
  const struck = (kind: FaultKind): string => `${kind} ${sum(r => r.struck.get(kind) ?? 0)}`
  const failed = reports.filter(report => report.problems.length > 0).map(({ seed }) => seed)
  const events = sum(report => report.events)
  process.stdout.write(`
${reports.length} seeds, ${(sum(r => r.virtualMs) / 60_000).toFixed(0)} virtual minutes, ${sum(r => r.tasks)} tasks, ${events} events
in ${seconds.toFixed(0)} s (${(events / seconds).toFixed(0)} events/s, ${((reports.length * 60) / seconds).toFixed(1)} seeds/min)
faults: ${FAULT_KINDS.map(struck).join(', ')}
failed: ${failed.length === 0 ? 'none' : failed.sort((a, b) => a - b).join(', ')}
`)
}

async function main(): Promise<number> {
  let options: Options
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return 1
  }
  const { agents, frameworks, kinds } = options
  const tasks = options.tasks === 0 ? 10 * agents : options.tasks
  const started = performance.now()
  const reports: ExplorationReport[] = []
  const seeds = new Seeds({
    first: options.seed,
    count: options.seeds === 0 ? Infinity : options.seeds,
    jobs: Math.min(options.jobs, options.seeds || Infinity),
    of: seed => ({
      seed,
      minutes: options.minutes,
      transcriptLines: options.lines,
      level: options.debug ? 'debug' : 'info',
      ...(kinds && { kinds }),
      ...(agents > 0 && { scale: { agents, frameworks, tasks } }),
    }),
    done: report => {
      show(report, options)
      reports.push({ ...report, transcript: [] })
    },
  })
  process.once('SIGINT', () => seeds.stop())
  await seeds.run()
  summarize(reports, (performance.now() - started) / 1_000)
  return reports.some(report => report.problems.length > 0) ? 1 : 0
}

if (process.argv[2] === WORKER) serveSeeds()
else if (process.argv[2] === 'log') {
  const { logCommand } = await import('../log/sim/command.ts')
  const status = await logCommand(process.argv.slice(3))
  if (status !== undefined) process.exitCode = status
} else process.exitCode = await main()
