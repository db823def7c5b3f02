// What all commands share: reading the command line, saying what is wrong with it, and the exit status.

import { readFileSync, statSync } from 'node:fs'
import { describeError } from '../base/errors.ts'
import { type CommandHelp, helpText } from '../base/flags-help.ts'
import { type Flags, type FlagValues, parseFlags } from '../base/flags.ts'
import { VERSION } from '../base/version.ts'

/** A command: what its help says, and what it does. */
export interface Command<F extends Flags> extends CommandHelp {
  readonly flags: F
  /** What is wrong with the values together, in the words of `parseFlags`. */
  readonly check?: (values: FlagValues<F>, positional: readonly string[]) => readonly string[]
  /** The exit status of a refused command line or a `UserError`, where 1 says something else. Default 1. */
  readonly trouble?: number
  /** Resolves to the exit status. A `UserError` is shown without a stack. */
  readonly run: (values: FlagValues<F>, context: Context) => Promise<number>
}

export interface Context {
  readonly positional: readonly string[]
  /** Sentences to log: deprecated flags that were used. */
  readonly warnings: readonly string[]
}

/** How long the process may take to end by itself after its work is done. */
const LINGER_MS = 500

/**
 * Runs a command with this process' arguments. Help and version go to standard output, all that is wrong with the
 * flags to standard error at once. The process ends when nothing is left to do, and soon after in any case.
 */
export async function main<const F extends Flags>(
  command: Command<F>,
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  // A bug: nothing can be said about the state of the process, so it ends. A supervisor starts it again.
  const bug = (error: unknown): void => {
    process.stderr.write(`${command.name}: unexpected error: ${describeError(error)}\n`)
    process.exit(1)
  }
  process.on('uncaughtException', bug).on('unhandledRejection', bug)
  process.exitCode = await status(command, argv)
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

async function status<F extends Flags>(
  command: Command<F>,
  argv: readonly string[],
): Promise<number> {
  const { name, flags, positionals = [], trouble = 1, check, run } = command
  const parsed = parseFlags(flags, {
    argv,
    env: process.env,
    readFile: path => readFileSync(path, 'utf8'),
    isPublic: path => (statSync(path).mode & 0o004) !== 0,
    positionals,
  })
  if (!parsed.ok && parsed.wants === 'help') return print(helpText(command))
  if (!parsed.ok && parsed.wants === 'version') return print(`${name} ${VERSION}\n`)
  const errors = parsed.ok ? (check?.(parsed.values, parsed.positional) ?? []) : parsed.errors
  if (!parsed.ok || errors.length > 0) return refuse(name, errors, trouble)
  try {
    return await run(parsed.values, parsed)
  } catch (error) {
    process.stderr.write(`${name}: ${describeError(error)}\n`)
    return trouble
  }
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function refuse(name: string, errors: readonly string[], trouble: number): number {
  for (const error of errors) process.stderr.write(`${name}: ${error}\n`)
  process.stderr.write(`Try '${name} --help'.\n`)
  return trouble
}
