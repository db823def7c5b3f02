// `npm run sim`: explores seeds, one after another, until all are done or interrupted; exit status 1 if one failed.

import { parseArgs } from 'node:util'
import { explore, type ExplorationReport } from '../../src/sim/exploration.ts'
import { FAULT_KINDS, type FaultKind } from '../../src/sim/faults.ts'

const USAGE = `Usage: npm run sim -- [--seed=N] [--seeds=COUNT] [--minutes=M] [--lines=L] [--debug] [--quiet]

  --seed     the first seed; default 1
  --seeds    how many, from there on; default 1
  --minutes  virtual minutes under faults, each; default 5
  --lines    how many of the last events a failure shows; default 300
  --debug    with debug records in them
  --quiet    no line for seeds that pass
`

interface Options {
  readonly seed: number
  readonly seeds: number
  readonly minutes: number
  readonly lines: number
  readonly debug: boolean
  readonly quiet: boolean
}

function readOptions(): Options | string {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '5' },
      lines: { type: 'string', default: '300' },
      debug: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
    },
  })
  const { debug, quiet } = values
  const numbers = {
    seed: Number(values.seed),
    seeds: Number(values.seeds),
    minutes: Number(values.minutes),
    lines: Number(values.lines),
  }
  for (const [name, value] of Object.entries(numbers)) {
    if (!(Number.isFinite(value) && value >= 0) || (name !== 'minutes' && value % 1 !== 0)) {
      return `--${name} must be a number that is not negative.`
    }
  }
  return { ...numbers, debug, quiet }
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
  if (problems.length > 0) {
    process.stdout.write(`Replay: ${report.replay}\n`)
  }
}

function summarize(reports: readonly ExplorationReport[], seconds: number): void {
  const sum = (of: (report: ExplorationReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0)
  const struck = (kind: FaultKind): string => `${kind} ${sum(r => r.struck.get(kind) ?? 0)}`
  const failed = reports.filter(report => report.problems.length > 0).map(({ seed }) => seed)
  const events = sum(report => report.events)
  process.stdout.write(`
${reports.length} seeds, ${(sum(r => r.virtualMs) / 60_000).toFixed(0)} virtual minutes, ${sum(r => r.tasks)} tasks, ${events} events
in ${seconds.toFixed(0)} s (${(events / seconds).toFixed(0)} events/s)
faults: ${FAULT_KINDS.map(struck).join(', ')}
failed: ${failed.length === 0 ? 'none' : failed.join(', ')}
`)
}

async function main(): Promise<number> {
  let options: Options | string
  try {
    options = readOptions()
  } catch (error) {
    options = error instanceof Error ? error.message : String(error)
  }
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`)
    return 1
  }
  const started = performance.now()
  const reports: ExplorationReport[] = []
  for (let seed = options.seed; seed < options.seed + options.seeds; seed++) {
    const report = await explore({
      seed,
      minutes: options.minutes,
      transcriptLines: options.lines,
      level: options.debug ? 'debug' : 'info',
    })
    show(report, options)
    reports.push({ ...report, transcript: [] })
  }
  summarize(reports, (performance.now() - started) / 1_000)
  return reports.some(report => report.problems.length > 0) ? 1 : 0
}

process.exitCode = await main()
