// `npm run chaos -- agent`: agents, custom executors and masters are killed while tasks start, run and end.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { whyNoCgroups } from '../../../src/agent/containerizer/cgroup-tree.ts'
import { messageOf } from '../../../src/base/errors.ts'
import type { Cluster } from './cluster.ts'
import { STRIKE_KINDS, type StrikeKind } from './plan.ts'
import { runAgentRounds, type Setting } from './run.ts'

const USAGE = `Usage: npm run chaos -- agent [--rounds=N] [--seed=N] [--first=N] [--tasks=N] [--kinds=LIST] [--launchers=LIST] [--keep]

  --rounds     how many, one after the other; default 20
  --seed       chooses tasks and kills; default: any, and printed
  --first      the number of the first round, to see one again; default 1
  --tasks      in each round; default 50
  --kinds      who is killed, with commas between; default: ${STRIKE_KINDS.join()}
  --launchers  posix, linux; default: both, if this machine has control groups
  --cluster    rounds in the life of one cluster; default 10
  --gc_delay   how long the agent keeps sandboxes; default 10secs
  --keep       leaves the directory with logs and work_dirs, whatever came out, and says where it is
`

interface Options {
  readonly rounds: number
  readonly seed: number
  readonly first: number
  readonly tasks: number
  readonly cluster: number
  readonly kinds: readonly StrikeKind[]
  readonly launchers: readonly Setting['launcher'][]
  readonly gcDelay: string
  readonly keep: boolean
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Throws an `Error` that says what is wrong. */
function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      first: { type: 'string', default: '1' },
      tasks: { type: 'string', default: '50' },
      cluster: { type: 'string', default: '10' },
      kinds: { type: 'string', default: STRIKE_KINDS.join() },
      launchers: { type: 'string' },
      gc_delay: { type: 'string', default: '10secs' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const whole = (name: 'rounds' | 'seed' | 'first' | 'tasks' | 'cluster', least: number) => {
    const number = Number(values[name])
    if (values[name] !== '' && Number.isSafeInteger(number) && number >= least) return number
    throw new Error(`--${name} must be a whole number from ${least} on, not '${values[name]}'`)
  }
  return {
    rounds: whole('rounds', 1),
    seed: whole('seed', 0),
    first: whole('first', 1),
    tasks: whole('tasks', 1),
    cluster: whole('cluster', 1),
    kinds: values.kinds.split(',').map(text => oneOf(STRIKE_KINDS, 'kinds', text)),
    launchers:
      values.launchers?.split(',').map(text => oneOf(['posix', 'linux'], 'launchers', text)) ??
      launchersHere(),
    gcDelay: values.gc_delay,
    keep: values.keep,
  }
}

function oneOf<T extends string>(all: readonly T[], name: string, text: string): T {
  const found = all.find(it => it === text)
  if (found) return found
  throw new Error(`--${name}: there is no '${text}'`)
}

function launchersHere(): Setting['launcher'][] {
  const why = whyNoCgroups('/sys/fs/cgroup')
  if (why !== undefined) say(`the linux launcher is left out: ${why}`)
  return why === undefined ? ['posix', 'linux'] : ['posix']
}

/** Resolves to an exit status. */
export async function agentChaos(args: readonly string[]): Promise<number> {
  let options: Options | undefined
  try {
    options = readOptions(args)
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`)
    return 2
  }
  if (!options) return (say(USAGE), 0)
  const { rounds, seed, first, launchers, keep } = options
  const dir = mkdtempSync(join(tmpdir(), 'mesos-chaos-'))
  let running: Cluster | undefined
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => {
      const end = async (): Promise<void> => {
        await running?.stop()
        if (!keep) rmSync(dir, { recursive: true, force: true })
        process.exit(128 + number)
      }
      void end()
    })
  }
  say(`seed ${seed}, ${rounds} rounds`)
  if (keep) say(`in ${dir}`)
  const report = await runAgentRounds({
    dir,
    seed,
    first,
    rounds,
    tasks: options.tasks,
    kinds: options.kinds,
    settings: ([1, 3] as const).flatMap(masters =>
      launchers.map(launcher => ({ launcher, masters })),
    ),
    roundsPerCluster: options.cluster,
    gcDelay: options.gcDelay,
    say,
    running: cluster => (running = cluster),
  })
  const { problems, strikes, ends, failed } = report
  say('')
  for (const [end, n] of [...ends].sort(([, a], [, b]) => b - a))
    say(`${String(n).padStart(6)} ${end}`)
  const kills = STRIKE_KINDS.map(kind => `${strikes.get(kind) ?? 0} ${kind}s`).join(', ')
  say(
    `${report.rounds} rounds, killed: ${kills}; ${report.tasks} tasks; ${problems.length} problems`,
  )
  if (problems.length > 0) {
    say(`again: npm run chaos -- agent --seed=${seed} --first=ROUND --rounds=${options.cluster}`)
    for (const it of failed) say(`logs and work_dirs: ${it}`)
  }
  if (!keep && problems.length === 0) rmSync(dir, { recursive: true, force: true })
  return problems.length > 0 ? 1 : 0
}
