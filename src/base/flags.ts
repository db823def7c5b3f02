// Flags as Mesos reads them: command line over environment, `file://` for any value, all errors at once.

import { assert } from './assert.ts'
import { messageOf, UserError } from './errors.ts'
import type { Flag } from './flag.ts'
import { nearest } from './nearest.ts'

export { flag } from './flag.ts'
export type { Flag, FlagOptions, FlagType } from './flag.ts'

/** A flag of some type. Every flag is one, because `format` is declared as a method. */
export type AnyFlag = Flag<unknown>

/** Definitions by name, in the order in which help lists them. Names are snake_case as in Mesos. */
export type Flags = Readonly<Record<string, AnyFlag>>

/** The values that definitions promise. */
export type FlagValues<F extends Flags> = {
  readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never
}

export interface FlagInput {
  /** Without the names of interpreter and program. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** The content of a file as text; throws when it cannot be read. */
  readonly readFile: (path: string) => string
  /** Whether everybody on this machine can read a file; asked for those with secrets. Default: no. */
  readonly isPublic?: (path: string) => boolean
  /** What may stand beside flags; anything else there is an error. Default: nothing. */
  readonly positionals?: readonly Positional[]
}

/** An argument that is told by its place. */
export interface Positional {
  readonly name: string
  readonly help: string
  readonly required?: boolean
  /** Takes all that are left; only for the last. */
  readonly rest?: boolean
  /** What is left is another command line, flags and all; only with `rest`. */
  readonly isCommand?: boolean
}

export type ParsedFlags<F extends Flags> =
  | {
      readonly ok: true
      readonly values: FlagValues<F>
      readonly positional: readonly string[]
      /** Sentences to log: deprecated names and flags. */
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      /** `--help` (or `-h`) or `--version` was asked for: print it and exit 0. There are no errors then. */
      readonly wants?: 'help' | 'version'
      /** Sentences for a person, each naming flag, value and what is expected. */
      readonly errors: readonly string[]
    }

const ENV_PREFIX = 'MESOS_'

/** The environment variable that sets a flag. */
export const envName = (name: string): string => ENV_PREFIX + name.toUpperCase()

/** Checks the definitions against each other and gives them back with their types. */
export function defineFlags<const F extends Flags>(flags: F): F {
  const names = new Set(['help', 'version'])
  for (const [name, flag] of Object.entries(flags)) {
    for (const each of [name, ...flag.aliases]) {
      assert(/^[a-z][a-z0-9_]*$/.test(each), `flag '${each}' is in snake_case`)
      assert(!each.startsWith('no_') && !names.has(each), `flag '${each}' is not taken`)
      names.add(each)
    }
    assert(!flag.required || flag.default === undefined, `required flag '${name}' has no default`)
  }
  return flags
}

/**
 * Reads flags as Mesos does (docs/configuration.md, stout `flags`):
 * `--name=value`; for all that cannot go without one also `--name value`, unless the next word starts with `-`;
 * `--name` and `--no-name` for booleans; `MESOS_NAME` from the environment, where the command line wins and unknown
 * names are ignored; `file:///path` for the content of that file, its last line ending dropped; `--` ends the flags.
 * On the command line an unknown flag is an error, and so is one that is given twice.
 */
export function parseFlags<F extends Flags>(flags: F, input: FlagInput): ParsedFlags<F> {
  const words = splitWords(flags, input.argv, input.positionals ?? [])
  if (words.wants !== undefined) return { ok: false, wants: words.wants, errors: [] }
  const errors = [...words.errors]
  const warnings: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, flag] of Object.entries(flags)) {
    const given = words.given.get(name) ?? fromEnvironment(name, flag, input.env)
    if (given === undefined) {
      values[name] = flag.default
      if (flag.required && !words.failed.has(name)) errors.push(missing(name, flag))
      continue
    }
    if (given.as !== name) warnings.push(`${given.origin} is deprecated; use '--${name}'.`)
    if (flag.deprecated !== undefined) warnings.push(`Flag '--${name}': ${flag.deprecated}`)
    try {
      values[name] = readValue(flag, given.text, input.readFile)
      if (flag.secret && isExposed(given.text, input)) {
        warnings.push(`${given.origin}: everybody can read that file; chmod go= it.`)
      }
    } catch (error) {
      errors.push(unreadable(name, flag, given, error))
    }
  }
  errors.push(...misplaced(words.positional, input.positionals ?? []))
  if (errors.length > 0) return { ok: false, errors }
  return { ok: true, values: values as FlagValues<F>, positional: words.positional, warnings }
}

/** A flag's text and where it was found. */
interface Given {
  readonly text: string
  /** The flag's name or the alias that was used. */
  readonly as: string
  /** For messages: `Flag '--port'` or `Environment variable 'MESOS_PORT'`. */
  readonly origin: string
}

interface Words {
  readonly given: Map<string, Given>
  /** Flags that were meant but could not be taken; they are not reported as missing too. */
  readonly failed: Set<string>
  readonly positional: string[]
  readonly errors: string[]
  wants?: 'help' | 'version'
}

function splitWords(
  flags: Flags,
  argv: readonly string[],
  positionals: readonly Positional[],
): Words {
  const command = positionals.findIndex(({ isCommand }) => isCommand)
  const nameOf = namesAndAliases(flags)
  const words: Words = { given: new Map(), failed: new Set(), positional: [], errors: [] }
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    if (words.positional.length === command) {
      words.positional.push(...argv.slice(word === '--' ? i + 1 : i))
      break
    }
    if (word === '--') {
      words.positional.push(...argv.slice(i + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      words.positional.push(word)
      continue
    }
    if (word === '--help' || word === '-h') words.wants ??= 'help'
    else if (word === '--version') words.wants ??= 'version'
    else if (takeFlag(flags, nameOf, words, word, argv[i + 1])) i++
  }
  return words
}

/** Takes one `--…` word into `words`; true when `next` was its value. */
function takeFlag(
  flags: Flags,
  nameOf: ReadonlyMap<string, string>,
  words: Words,
  word: string,
  next: string | undefined,
): boolean {
  const [, key, value] = /^--?([^=]*)(?:=(.*))?$/s.exec(word)!
  const negated = key!.startsWith('no-') && nameOf.has(key!.slice(3))
  const as = negated ? key!.slice(3) : key!
  const name = word.startsWith('--') ? nameOf.get(as) : undefined
  if (name === undefined) {
    const { message, meant } = unknown(word, key!, [...nameOf.keys(), 'help', 'version'])
    words.errors.push(message)
    if (meant !== undefined) words.failed.add(nameOf.get(meant) ?? meant)
    return false
  }
  const flag = flags[name]!
  const boolean = flag.type === 'boolean'
  const fail = (message: string): false => {
    words.errors.push(message)
    words.failed.add(name)
    return false
  }
  if (negated && (!boolean || value !== undefined)) {
    const way = boolean ? 'takes no value' : `is only for true-or-false flags; write '--${as}=…'`
    return fail(`Flag '--no-${as}' ${way}.`)
  }
  const alone = boolean ? String(!negated) : flag.bare
  const takesNext =
    alone === undefined &&
    value === undefined &&
    next !== undefined &&
    !/^-./.test(next) &&
    next !== ''
  const text = value ?? alone ?? (takesNext ? next : undefined)
  if (text === undefined) {
    return fail(`Flag '--${as}' has no value; write for example '--${as}=${flag.example}'.`)
  }
  if (words.given.has(name)) fail(`Flag '--${name}' is given more than once.`)
  else words.given.set(name, { text, as, origin: `Flag '--${as}'` })
  return takesNext
}

function namesAndAliases(flags: Flags): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const [name, flag] of Object.entries(flags)) {
    names.set(name, name)
    for (const alias of flag.aliases) names.set(alias, name)
  }
  return names
}

function fromEnvironment(name: string, flag: AnyFlag, env: FlagInput['env']): Given | undefined {
  for (const as of [name, ...flag.aliases]) {
    const text = env[envName(as)]
    if (text !== undefined) return { text, as, origin: `Environment variable '${envName(as)}'` }
  }
  return undefined
}

function readValue(flag: AnyFlag, text: string, readFile: FlagInput['readFile']): unknown {
  const url = text.startsWith('file://')
  const path = url ? text.slice('file://'.length) : text
  if (flag.type === 'file') return flag.parse(path)
  if (!url && !(flag.type === 'json' && path.startsWith('/'))) return flag.parse(text)
  let content: string
  try {
    content = readFile(path)
  } catch (error) {
    throw new UserError('path_missing', `cannot read the file '${path}': ${messageOf(error)}`)
  }
  return flag.parse(content.replace(/\r?\n$/, ''))
}

function isExposed(text: string, { isPublic }: FlagInput): boolean {
  return text.startsWith('file://') && (isPublic?.(text.slice('file://'.length)) ?? false)
}

function missing(name: string, flag: AnyFlag): string {
  return `Flag '--${name}' is required; write for example '--${name}=${flag.example}' or set ${envName(name)}.`
}

function unknown(
  word: string,
  key: string,
  known: readonly string[],
): { readonly message: string; readonly meant: string | undefined } {
  const shown = word.replace(/=.*$/s, '')
  const negative = /^no[-_]/.test(key)
  const meant = nearest(negative ? key.slice(3) : key, known)
  const advice =
    meant === undefined
      ? "'--help' lists all flags."
      : `did you mean '--${negative ? 'no-' : ''}${meant}'?`
  return { message: `Unknown flag '${shown}'; ${advice}`, meant }
}

function unreadable(name: string, flag: AnyFlag, given: Given, error: unknown): string {
  const expected = `expected ${flag.expected}, for example '--${name}=${flag.example}'`
  if (error instanceof UserError && error.code === 'path_missing') {
    return `${given.origin}: ${error.message}.`
  }
  if (flag.secret) return `${given.origin}: the value is wrong; ${expected}.`
  // The hints of the parsers show an example too, which is nearer to what was meant.
  const hint = error instanceof UserError ? error.hint : undefined
  const advice = hint === undefined ? `${expected}.` : `expected ${flag.expected}. ${hint}`
  return `${given.origin}: ${messageOf(error)}; ${advice}`
}

function misplaced(given: readonly string[], known: readonly Positional[]): string[] {
  const errors = known
    .slice(given.length)
    .filter(p => p.required)
    .map(p => `Argument <${p.name}> is missing: ${p.help}`)
  if (!known.at(-1)?.rest) {
    for (const word of given.slice(known.length)) errors.push(`Unexpected argument '${word}'.`)
  }
  return errors
}

/**
 * Values as texts by name, in the form of the field `flags` of `/state` and of `/flags`: durations and sizes as Mesos
 * prints them, absent ones left out, secrets replaced.
 */
export function printableFlags<F extends Flags>(
  flags: F,
  values: FlagValues<F>,
): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, flag] of Object.entries(flags)) {
    const value = values[name]
    if (value !== undefined) out[name] = flag.show(value)
  }
  return out
}
