// mesos-log: looks into the replicated log of a master, stopped or running, and changes nothing.

import { join } from 'node:path'
import { defineFlags, flag, type FlagValues } from '../base/flags.ts'
import { nearest } from '../base/nearest.ts'
import { VERSION } from '../base/version.ts'
import type { LogView } from '../log/log.ts'
import { type Command, main } from './main.ts'

const where = {
  work_dir: flag.path({ help: "A master's work_dir; the log is in it, in replicated_log." }),
  path: flag.path({
    help: 'The directory of a log itself, instead of --work_dir.',
    example: '/var/lib/mesos/replicated_log',
  }),
  json: flag.boolean({ help: 'One JSON object a line.' }),
}
const position = (help: string) => flag.integer({ help, min: 0 })

const readFlags = defineFlags({
  ...where,
  from: position('First position to show.'),
  to: position('Last position to show.'),
})

const replayFlags = defineFlags({ ...where, to: position('Last position to replay.') })

type Where = FlagValues<typeof where>

const check = ({ work_dir, path }: Where): readonly string[] => {
  if ((work_dir === undefined) !== (path === undefined)) return []
  return work_dir === undefined
    ? ["One of '--work_dir' and '--path' is required, for example '--work_dir=/var/lib/mesos'."]
    : ["Only one of '--work_dir' and '--path' can be given."]
}

const read: Command<typeof readFlags> = {
  name: 'mesos-log read',
  summary:
    'Prints the entries of a log: what was promised and written at each position, and whether it is known to be chosen.',
  flags: readFlags,
  examples: ['mesos-log read --work_dir=/var/lib/mesos --from=10 --to=20'],
  check,
  run: flags =>
    withLog(flags, async (entries, print) => {
      const { READ_HEADER, readJson, readLine } = await import('./log-text.ts')
      if (!flags.json) print(READ_HEADER)
      for await (const entry of entries({ from: flags.from, to: flags.to })) {
        print(flags.json ? JSON.stringify(readJson(entry)) : readLine(entry))
      }
    }),
}

const replayCommand: Command<typeof replayFlags> = {
  name: 'mesos-log replay',
  summary: 'Prints each operation on the registry with its position, and the registry after it.',
  flags: replayFlags,
  examples: [
    'mesos-log replay --work_dir=/var/lib/mesos',
    'mesos-log replay --work_dir=/var/lib/mesos --to=17 --json | tail -n 1',
  ],
  check,
  run: flags =>
    withLog(flags, async (entries, print) => {
      const { replay, stepText } = await import('./replay.ts')
      let count = 0
      for await (const step of replay(entries({ to: flags.to }))) {
        count++
        print(flags.json ? JSON.stringify(step) : stepText(step))
      }
      if (count === 0)
        process.stderr.write('mesos-log: no operation of a registry is in this log.\n')
    }),
}

const COMMANDS = { read, replay: replayCommand } as const

interface Range {
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** Looks at a log, tells of a torn tail, and after all that could be read of damage. */
async function withLog(
  flags: Where,
  show: (
    entries: (range: Range) => ReturnType<LogView['entries']>,
    print: (line: string) => void,
  ) => Promise<void>,
): Promise<number> {
  const directory = flags.path ?? join(flags.work_dir!, 'replicated_log')
  const { DamagedLogError, viewLog } = await import('../log/log.ts')
  const view = await viewLog(directory)
  for (const { message } of view.warnings) process.stderr.write(`mesos-log: ${message}\n`)
  await show(
    ({ from = 0, to = Number.MAX_SAFE_INTEGER }) => view.entries({ from, to }),
    line => process.stdout.write(`${line}\n`),
  )
  if (view.damage instanceof DamagedLogError) throw view.damage
  return 0
}

/** `mesos-log SUBCOMMAND …`. */
export async function runLog(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  // Whoever reads our output may have seen enough (`| head`).
  process.stdout.on('error', () => process.exit(0))
  const [name = '', ...rest] = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
  switch (name) {
    case 'read':
      return main(read, rest)
    case 'replay':
      return main(replayCommand, rest)
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
    ([name, { summary }]) => `  ${name.padEnd(8)}${summary}`,
  )
  return [
    'Usage: mesos-log <command> [flags]',
    '',
    ...rows,
    '',
    "'mesos-log help <command>' says more. Works on the directory of a stopped or running master, changing nothing.",
    '',
  ].join('\n')
}
