// mesos-log: looks into the replicated log of a master, stopped or running, and changes nothing; and runs, initializes and
// measures replicas of other logs. Each sub-command is a file in log/, loaded when it is asked for.

import { nearest } from '../base/nearest.ts'
import type { Flags } from '../base/flags.ts'
import { VERSION } from '../base/version.ts'
import { type Command, main } from './main.ts'

interface SubCommand {
  /** A line for the list of all. */
  readonly summary: string
  readonly run: (argv: readonly string[]) => Promise<void>
}

const sub = <F extends Flags>(summary: string, load: () => Promise<Command<F>>): SubCommand => ({
  summary,
  run: async argv => main(await load(), argv),
})

const COMMANDS: Readonly<Record<string, SubCommand>> = {
  read: sub(
    'The entries: what is promised, written and chosen at each position.',
    async () => (await import('./log/read.ts')).readCommand,
  ),
  replay: sub(
    'The operations on the registry: when, by whom, what each changed. --serve: in the dashboard.',
    async () => (await import('./log/replay.ts')).replayCommand,
  ),
  verify: sub(
    'Whether a log is whole, and if not, what is wrong and where.',
    async () => (await import('./log/verify.ts')).verifyCommand,
  ),
  stat: sub('A log in numbers.', async () => (await import('./log/stat.ts')).statCommand),
  export: sub(
    'A log as JSON lines, for other programs.',
    async () => (await import('./log/export.ts')).exportCommand,
  ),
  'dump-state': sub(
    'The registry as it was after a position, as JSON.',
    async () => (await import('./log/dump-state.ts')).dumpStateCommand,
  ),
  diff: sub(
    'What differs between two positions, or two replicas.',
    async () => (await import('./log/diff.ts')).diffCommand,
  ),
  members: sub(
    'The masters that keep the log of a cluster that runs; --add or --remove changes them.',
    async () => (await import('./log/change-members.ts')).membersCommand,
  ),
  initialize: sub(
    'Lets an empty replica of a new log vote.',
    async () => (await import('./log/initialize.ts')).initializeCommand,
  ),
  relocate: sub(
    'Says to a log that its masters have other addresses now.',
    async () => (await import('./log/relocate.ts')).relocateCommand,
  ),
  replica: sub(
    'Runs a replica of a log.',
    async () => (await import('./log/replica.ts')).replicaCommand,
  ),
  benchmark: sub(
    'Appends to a log, and measures it.',
    async () => (await import('./log/benchmark.ts')).benchmarkCommand,
  ),
}

/** `mesos-log SUBCOMMAND …`. */
export async function runLog(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  // Whoever reads our output may have seen enough (`| head`).
  process.stdout.on('error', () => process.exit(0))
  const [name = '', ...rest] = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]!.run(rest)
  switch (name) {
    case '--version':
      process.stdout.write(`mesos-log ${VERSION}\n`)
      return
    case '--help':
    case '-h':
      process.stdout.write(usage())
      return
  }
  const guess = nearest(name, Object.keys(COMMANDS))
  const problem = name === '' ? '' : `mesos-log: '${name}' is no sub-command.`
  process.stderr.write(problem && `${problem}${guess ? ` Did you mean '${guess}'?` : ''}\n\n`)
  process.stderr.write(usage())
  process.exitCode = 1
}

function usage(): string {
  const rows = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(12)}${summary}`,
  )
  return [
    'Usage: mesos-log <command> [flags]',
    '',
    ...rows,
    '',
    "'mesos-log help <command>' says more. All but the last three work on the directory of a stopped or running master, and",
    'change nothing.',
    '',
  ].join('\n')
}
