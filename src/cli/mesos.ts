// mesos: one command for all others. `mesos actors` is its own; `mesos master` is `mesos-master`.

import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nearest } from '../base/nearest.ts'
import { VERSION } from '../base/version.ts'

/** A sub-command that is part of this program. It is loaded when it is asked for. */
interface Own {
  readonly summary: string
  readonly run: (argv: readonly string[]) => Promise<void>
}

const OWN: Readonly<Record<string, Own>> = {
  actors: {
    summary: 'The actors of a process: what waits in their mailboxes, what they were served last.',
    run: async argv => {
      const [{ main }, { actorsCommand }] = await Promise.all([
        import('./main.ts'),
        import('./actors.ts'),
      ])
      await main(actorsCommand, argv)
    },
  },
  resolve: {
    summary: 'The address of the leading master, of several or by ZooKeeper.',
    run: async argv => {
      const [{ main }, { resolveCommand }] = await Promise.all([
        import('./main.ts'),
        import('./resolve.ts'),
      ])
      await main(resolveCommand, argv)
    },
  },
  task: {
    summary: 'The tasks of the cluster, and a way into them: list, inspect, exec, attach.',
    run: async argv => {
      const { taskCommand } = await import('./task.ts')
      await taskCommand(argv)
    },
  },
  drain: {
    summary: "Kills an agent's tasks and offers it no more.",
    run: async argv => {
      const [{ main }, { drainCommand }] = await operators()
      await main(drainCommand, argv)
    },
  },
  deactivate: {
    summary: 'Offers an agent no more; its tasks go on.',
    run: async argv => {
      const [{ main }, { deactivateCommand }] = await operators()
      await main(deactivateCommand, argv)
    },
  },
  reactivate: {
    summary: 'Offers an agent again that was drained, or deactivated.',
    run: async argv => {
      const [{ main }, { reactivateCommand }] = await operators()
      await main(reactivateCommand, argv)
    },
  },
}

const operators = () => Promise.all([import('./main.ts'), import('./operator.ts')])

/** `mesos COMMAND …`, `mesos help [COMMAND]`. As in Mesos, a command that is not here is `mesos-COMMAND` on the PATH. */
export async function runMesos(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  // Whoever reads our output may have seen enough (`| head`).
  process.stdout.on('error', () => process.exit(0))
  const [name = '', ...rest] = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
  if (name === '--version') process.stdout.write(`mesos ${VERSION}\n`)
  else if (name === '--help' || name === '-h') process.stdout.write(usage())
  else if (name === '') refuse(usage())
  else if (name.startsWith('-')) refuse(`Not expecting '${name}' before command\n`)
  else if (Object.hasOwn(OWN, name)) await OWN[name]!.run(rest)
  else {
    const path = find(name)
    if (path) process.exitCode = await runProgram(path, rest)
    else refuse(unknown(name))
  }
}

function refuse(text: string): void {
  process.stderr.write(text)
  process.exitCode = 1
}

function unknown(name: string): string {
  const guess = nearest(name, [...Object.keys(OWN), ...programs().keys()])
  const hint = guess === undefined ? '' : ` Did you mean '${guess}'?`
  return `'${name}' is not a valid command (or cannot be found).${hint}\nTry 'mesos help'.\n`
}

function find(name: string): string | undefined {
  return /^[\w-]+$/.test(name) ? programs().get(name) : undefined
}

/** All programs, by name: `mesos-NAME.js` beside this one, then `mesos-NAME` on the PATH; the first of a name counts. */
function programs(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const add = (dir: string, pattern: RegExp): void => {
    for (const file of list(dir)) {
      const name = pattern.exec(file)?.[1]
      const path = join(dir, file)
      if (name !== undefined && !found.has(name) && isExecutable(path)) found.set(name, path)
    }
  }
  add(dirname(fileURLToPath(import.meta.url)), /^mesos-([\w-]+)\.js$/)
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    if (dir !== '') add(dir, /^mesos-([\w-]+)$/)
  }
  return found
}

function list(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
  } catch {
    // A PATH may name what is not there.
    return []
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Runs another program in our place: with our input and output, our signals, and its exit status as ours. */
async function runProgram(path: string, args: readonly string[]): Promise<number> {
  const { spawn } = await import('node:child_process')
  const child = spawn(path, args, { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Ctrl-C reaches all of a terminal's programs; what was sent to us alone is passed on.
    process.on(signal, () => void (signal === 'SIGINT' || child.kill(signal)))
  }
  return new Promise(resolve => {
    child.once('error', error => {
      process.stderr.write(`mesos: ${path} cannot be run: ${error.message}\n`)
      resolve(1)
    })
    child.once('exit', (code, signal) => resolve(code ?? 128 + (SIGNALS[signal ?? ''] ?? 0)))
  })
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }

function usage(): string {
  const own = Object.entries(OWN).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`)
  const others = [...programs().keys()].filter(name => !Object.hasOwn(OWN, name)).toSorted()
  return [
    'Usage: mesos <command> [flags]',
    '',
    ...own,
    ...others.map(name => `  ${name.padEnd(12)}mesos-${name}`),
    '',
    "'mesos help <command>' says more.",
    '',
  ].join('\n')
}
