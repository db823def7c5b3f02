// `npm run bench [-- NAME…] [--json]`: runs the benchmarks whose rows' names begin with NAME, or all.

import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, type } from 'node:os'
import { describeError } from '../src/base/errors.ts'
import * as actors from './actors.bench.ts'
import * as agent from './agent.bench.ts'
import * as agentCrowd from './agent-crowd.bench.ts'
import * as bins from './bins.bench.ts'
import * as coldStart from './cold-start.bench.ts'
import { chosen, type Experiment, type Measured, runExperiment, select } from './harness.ts'
import * as logAppends from './log-appends.bench.ts'
import * as logCatchup from './log-catchup.bench.ts'
import * as logFailover from './log-failover.bench.ts'
import * as logLatency from './log-latency.bench.ts'
import * as logRecovery from './log-recovery.bench.ts'
import { jsonLine, tableText } from './report.ts'
import { Scope } from './scope.ts'
import * as tasks from './tasks.bench.ts'

const SUITES: readonly { readonly experiments: readonly Experiment[] }[] = [
  tasks,
  coldStart,
  bins,
  actors,
  agent,
  agentCrowd,
  logAppends,
  logLatency,
  logCatchup,
  logRecovery,
  logFailover,
]

const USAGE = `Usage: npm run bench [-- NAME…] [--json]

  NAME    run only rows whose name begins so: a suite (tasks) or a row (tasks.per_second)
  --json  print one JSON object a row, and everything else to standard error
`

const scope = new Scope()
process.on('exit', () => scope.closeNow())
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.once(signal, () => {
    void scope.close().finally(() => process.exit(128 + number))
  })
}
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`)
  process.exitCode = 1
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  const json = args.includes('--json')
  const option = args.find(arg => arg.startsWith('-') && arg !== '--json')
  if (option !== undefined) return refuse(`Unknown option: ${option}\n\n${USAGE}`)
  const words = args.filter(arg => !arg.startsWith('-'))
  const all = SUITES.flatMap(suite => suite.experiments)
  const selection = select(all, words)
  if (!selection.ok) return refuse(`${selection.error}\n`)

  const say = (text: string): void => void (json ? process.stderr : process.stdout).write(text)
  say(`${machine()}\n\n`)
  const measured: Measured[] = []
  for (const experiment of selection.experiments) {
    const skipped = experiment.skip?.()
    if (skipped !== undefined) {
      const names = Object.keys(experiment.figures).filter(name => chosen(name, words))
      say(`${names.join(', ')}: skipped: ${skipped}\n\n`)
      continue
    }
    const outcome = await runOne(experiment)
    const rows = outcome.measured.filter(({ row }) => chosen(row.name, words))
    measured.push(...rows)
    if (json) for (const row of rows) process.stdout.write(`${jsonLine(row)}\n`)
    if (outcome.explanation !== undefined) say(`${outcome.explanation}\n\n`)
  }
  if (!json) say(`${tableText(measured)}\n`)
  return 0
}

/** Everything of one experiment is gone before the next begins. */
async function runOne(experiment: Experiment) {
  try {
    return await runExperiment(experiment, scope, progress)
  } finally {
    await scope.close()
    if (process.stderr.isTTY) process.stderr.write('\x1b[2K\r')
  }
}

/** One line that rewrites itself; nothing where nobody looks. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\x1b[2K\r${text}`)
}

function refuse(text: string): number {
  process.stderr.write(text)
  return 2
}

/** What the figures depend on most. */
function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const system = `${type()} ${release()}`
  return `${model}, ${availableParallelism()} cores, ${system}, Node ${process.version}, commit ${commit()}`
}

function commit(): string {
  try {
    return execFileSync(
      'git',
      ['--no-optional-locks', 'describe', '--always', '--dirty', '--abbrev=10'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    ).trim()
  } catch {
    return 'unknown'
  }
}
