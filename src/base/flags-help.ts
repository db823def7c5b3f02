// The help text of a command, and the same facts as data for the documentation; both come from the definitions.

import { type AnyFlag, envName, type Flags, type Positional } from './flags.ts'

/** A command as its help describes it. */
export interface CommandHelp {
  readonly name: string
  /** What it is for, in a sentence or two. */
  readonly summary: string
  readonly flags: Flags
  readonly positionals?: readonly Positional[]
  /** Command lines to copy. */
  readonly examples?: readonly string[]
}

/** One flag, described; every member is text for people. */
export interface FlagRow {
  readonly name: string
  readonly type: string
  /** As it is written: `--port=N`, `--[no-]strict`. */
  readonly usage: string
  /** Absent when there is none. */
  readonly default?: string
  readonly required: boolean
  readonly env: string
  readonly help: string
  readonly group: string
  readonly aliases: readonly string[]
  readonly deprecated?: string
}

const GENERAL = 'Flags'

/** One row a flag, in the order of definition. */
export function describeFlags(flags: Flags): readonly FlagRow[] {
  return Object.entries(flags).map(([name, flag]) => {
    const byDefault = defaultOf(flag)
    return {
      name,
      type: flag.type,
      usage: usageOfFlag(name, flag),
      ...(byDefault !== undefined && { default: byDefault }),
      required: flag.required,
      env: envName(name),
      help: flag.help,
      group: flag.group ?? GENERAL,
      aliases: flag.aliases,
      ...(flag.deprecated !== undefined && { deprecated: flag.deprecated }),
    }
  })
}

function usageOfFlag(name: string, { type, bare, placeholder }: AnyFlag): string {
  if (type === 'boolean') return `--[no-]${name}`
  return bare === undefined ? `--${name}=${placeholder}` : `--${name}[=${placeholder}]`
}

function defaultOf(flag: AnyFlag): string | undefined {
  if (flag.defaultText !== undefined) return flag.defaultText
  return flag.default === undefined ? undefined : flag.format(flag.default)
}

const WIDTH = 100
const INDENT = 6

/** The text of `--help`: usage, arguments, every flag with type, default and variable, and how flags are given. */
export function helpText(command: CommandHelp): string {
  const { name, summary, flags, positionals = [], examples = [] } = command
  const rows = describeFlags(flags)
  const lines = [
    ['Usage:', name, '[flags]', ...positionals.map(usageOf)].join(' '),
    '',
    ...wrap(summary, 0),
  ]
  if (positionals.length > 0) {
    lines.push('', 'Arguments')
    for (const p of positionals) lines.push(`  <${p.name}>`, ...wrap(p.help, INDENT))
  }
  for (const group of new Set(rows.map(row => row.group))) {
    lines.push('', group)
    for (const row of rows) if (row.group === group) lines.push(...rowLines(row))
  }
  lines.push('', 'Always', '  --help', '  --version', '', ...wrap(SOURCES, 0))
  if (examples.length > 0) lines.push('', 'Examples', ...examples.map(e => `  ${e}`))
  return `${lines.join('\n')}\n`
}

const SOURCES =
  'A flag is given as --name=value (or --name value), a true-or-false flag as --name or --no-name. ' +
  'The variable shown sets it too; the command line wins. A value file:///path stands for the content of ' +
  'that file. Durations are written like 10ms, 15secs, 1.5mins, 2hrs, 1days, 2weeks; sizes like 512KB, 10MB, 2GB.'

const usageOf = (p: Positional): string => {
  const shown = p.rest ? `<${p.name}>...` : `<${p.name}>`
  return p.required ? shown : `[${shown}]`
}

function rowLines(row: FlagRow): string[] {
  const facts = [row.type]
  if (row.required) facts.push('required')
  if (row.default !== undefined) facts.push(`default ${row.default === '' ? "''" : row.default}`)
  facts.push(row.env)
  if (row.aliases.length > 0) facts.push(`formerly ${row.aliases.map(a => `--${a}`).join(', ')}`)
  const help = row.deprecated === undefined ? row.help : `${row.help} Deprecated: ${row.deprecated}`
  return [`  ${row.usage}`, ...wrap(help, INDENT), ...wrap(`[${facts.join('; ')}]`, INDENT)]
}

function wrap(text: string, indent: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(' '.repeat(indent) + line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(' '.repeat(indent) + line)
  return lines
}
