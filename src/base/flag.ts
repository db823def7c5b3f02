// The kinds of flags: what each expects, how its text is read and how its value is printed.

import { formatBytes, parseBytes } from './bytes.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { messageOf, UserError } from './errors.ts'

export type FlagType =
  | 'string'
  | 'boolean'
  | 'integer'
  | 'number'
  | 'duration'
  | 'bytes'
  | 'path'
  | 'file'
  | 'choice'
  | 'list'
  | 'json'

/** What is common to all flags; `T` is the type of the value. */
export interface FlagOptions<T> {
  /** What it does, in a sentence or two; shown by `--help` and in the documentation. */
  readonly help: string
  readonly default?: T
  /** Where the default is computed at start: what to say about it. */
  readonly defaultText?: string
  /** No default, and the program does not start without it. */
  readonly required?: boolean
  /** Deprecated names; they work and warn. */
  readonly aliases?: readonly string[]
  /** Setting the flag warns, and this sentence says why. */
  readonly deprecated?: string
  /** A value as it would be written, for help and errors. */
  readonly example?: string
  /** What a value has to be, to finish the sentence "expected …"; by default what the kind says. */
  readonly expected?: string
  /** A heading to list it under. */
  readonly group?: string
  /** The value is never printed: not in `/flags`, not in an error. */
  readonly secret?: boolean
  /** The value as it may be shown, if part of it may not. */
  readonly shown?: (value: T) => string
  /** The text that `--name` stands for without a value. A value is then taken only after `=`, as with booleans. */
  readonly bare?: string
  /** What is wrong with a value that parsed, or undefined; finishes the sentence "Flag '--x': ". */
  readonly validate?: (value: T) => string | undefined
}

/** A flag's definition. `T` is the type of its value, `undefined` included where it may be absent. */
export interface Flag<T> {
  readonly type: FlagType
  readonly help: string
  readonly default: T | undefined
  readonly defaultText: string | undefined
  readonly required: boolean
  readonly aliases: readonly string[]
  readonly deprecated: string | undefined
  readonly example: string
  readonly group: string | undefined
  readonly secret: boolean
  readonly bare: string | undefined
  /** What stands for a value in the help: PATH, DURATION. */
  readonly placeholder: string
  /** What a value has to be, to finish the sentence "expected …". */
  readonly expected: string
  /** From text; throws a `UserError` when it is not what is expected. */
  parse(text: string): Exclude<T, undefined>
  /** To the text that would parse to the same value. */
  format(value: Exclude<T, undefined>): string
  /** The same as it may be shown to anybody. */
  show(value: Exclude<T, undefined>): string
}

type Value<T, O> = O extends { readonly default: T } | { readonly required: true }
  ? T
  : T | undefined

interface Kind<T> {
  readonly type: FlagType
  readonly placeholder: string
  readonly expected: string
  readonly example: string
  readonly parse: (text: string) => T
  readonly format: (value: T) => string
}

interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** Builds the definition. `Value` reads from the options' type whether a value can be absent. */
function make<T, O extends FlagOptions<T>>(kind: Kind<T>, options: O): Flag<Value<T, O>> {
  const { validate } = options
  const parse = (text: string): T => {
    const value = kind.parse(text)
    const objection = validate?.(value)
    if (objection !== undefined) throw new UserError('invalid_value', objection)
    return value
  }
  return {
    type: kind.type,
    help: options.help,
    default: options.default,
    defaultText: options.defaultText,
    required: options.required ?? false,
    aliases: options.aliases ?? [],
    deprecated: options.deprecated,
    example: options.example ?? kind.example,
    group: options.group,
    secret: options.secret ?? false,
    bare: options.bare,
    placeholder: kind.placeholder,
    expected: options.expected ?? kind.expected,
    parse: parse as Flag<Value<T, O>>['parse'],
    format: kind.format,
    show: options.secret ? () => '<secret>' : (options.shown ?? kind.format),
  }
}

const refuse = (what: string): never => {
  throw new UserError('invalid_value', what)
}

const identity = (text: string): string => text

/** `parse` with the bounds checked after it, and the bounds as words. */
function within(
  bounds: Bounds,
  parse: (text: string) => number,
  format: (value: number) => string,
): { readonly parse: (text: string) => number; readonly words: string } {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = bounds
  const words =
    bounds.min !== undefined && bounds.max !== undefined
      ? ` from ${format(min)} to ${format(max)}`
      : bounds.min !== undefined
        ? `, at least ${format(min)}`
        : bounds.max !== undefined
          ? `, at most ${format(max)}`
          : ''
  return {
    words,
    parse: text => {
      const value = parse(text)
      if (value < min) refuse(`'${text}' is too small`)
      if (value > max) refuse(`'${text}' is too large`)
      return value
    },
  }
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) refuse(`'${text}' is not an integer`)
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : refuse(`'${text}' is too large`)
}

function parseNumber(text: string): number {
  return /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)
    ? Number(text)
    : refuse(`'${text}' is not a number`)
}

function parseBoolean(text: string): boolean {
  if (text === 'true' || text === '1') return true
  return text === 'false' || text === '0' ? false : refuse(`'${text}' is neither true nor false`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return refuse(`it is not JSON: ${messageOf(error)}`)
  }
}

const splitList = (text: string): readonly string[] =>
  text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')

const text = (type: FlagType, placeholder: string, expected: string, example: string) => ({
  type,
  placeholder,
  expected,
  example,
  parse: identity,
  format: identity,
})

const nonEmpty = (kind: Kind<string>): Kind<string> => ({
  ...kind,
  parse: value => (value === '' ? refuse('it is empty') : value),
})

/** Makes the definition of one flag, by kind. */
export const flag = {
  string: <const O extends FlagOptions<string>>(options: O) =>
    make<string, O>(text('string', 'TEXT', 'text', 'text'), options),

  /** `--name`, `--no-name`, `--name=true|false|1|0`. Never absent: the default is false unless given. */
  boolean: (options: FlagOptions<boolean>): Flag<boolean> =>
    make<boolean, FlagOptions<boolean> & { readonly default: boolean }>(
      {
        type: 'boolean',
        placeholder: '',
        expected: 'true or false',
        example: 'true',
        parse: parseBoolean,
        format: String,
      },
      { default: false, ...options },
    ),

  integer: <const O extends FlagOptions<number> & Bounds>(options: O) => {
    const { parse, words } = within(options, parseInteger, String)
    const example = String(options.default ?? options.min ?? 1)
    return make<number, O>(
      {
        type: 'integer',
        placeholder: 'N',
        expected: `an integer${words}`,
        example,
        parse,
        format: String,
      },
      options,
    )
  },

  number: <const O extends FlagOptions<number> & Bounds>(options: O) => {
    const { parse, words } = within(options, parseNumber, String)
    const example = String(options.default ?? options.min ?? 0.5)
    return make<number, O>(
      {
        type: 'number',
        placeholder: 'NUMBER',
        expected: `a number${words}`,
        example,
        parse,
        format: String,
      },
      options,
    )
  },

  /** The value is in milliseconds, as are `min` and `max`. */
  duration: <const O extends FlagOptions<number> & Bounds>(options: O) => {
    const { parse, words } = within(options, parseDuration, formatDuration)
    const example = formatDuration(options.default ?? options.min ?? 15_000)
    return make<number, O>(
      {
        type: 'duration',
        placeholder: 'DURATION',
        expected: `a duration${words}`,
        example,
        parse,
        format: formatDuration,
      },
      options,
    )
  },

  /** The value is in bytes, as are `min` and `max`. */
  bytes: <const O extends FlagOptions<number> & Bounds>(options: O) => {
    const { parse, words } = within(options, parseBytes, formatBytes)
    const example = formatBytes(options.default ?? options.min ?? 2 ** 20)
    return make<number, O>(
      {
        type: 'bytes',
        placeholder: 'SIZE',
        expected: `a size${words}`,
        example,
        parse,
        format: formatBytes,
      },
      options,
    )
  },

  /** A path. As for every kind but `file`, `file:///x` means: the path is written in the file /x. */
  path: <const O extends FlagOptions<string>>(options: O) =>
    make<string, O>(
      nonEmpty(text('path', 'PATH', 'a path', options.default ?? '/var/lib/mesos')),
      options,
    ),

  /** A file that the program itself reads later; `/x` and `file:///x` both name it. The value is the path. */
  file: <const O extends FlagOptions<string>>(options: O) =>
    make<string, O>(
      nonEmpty(text('file', 'FILE', 'the path of a file', options.default ?? '/etc/mesos/file')),
      options,
    ),

  /** One word of a few; the value's type is their union. */
  choice: <const C extends string, const O extends FlagOptions<C>>(
    choices: readonly C[],
    options: O,
  ) =>
    make<C, O>(
      {
        type: 'choice',
        placeholder: choices.join('|'),
        expected: `one of ${choices.join(', ')}`,
        example: options.default ?? choices[0]!,
        parse: word => choices.find(c => c === word) ?? refuse(`'${word}' is not known`),
        format: identity,
      },
      options,
    ),

  /** Words with commas between; blanks around them are dropped. */
  list: <const O extends FlagOptions<readonly string[]>>(options: O) =>
    make<readonly string[], O>(
      {
        type: 'list',
        placeholder: 'A,B',
        expected: 'words separated by commas',
        example: options.default?.join(',') ?? 'a,b',
        parse: splitList,
        format: words => words.join(','),
      },
      options,
    ),

  /**
   * JSON, inline or as the absolute path of a file that holds it. `read` turns the parsed JSON into the value, or
   * throws with what is wrong.
   */
  json: <T, const O extends FlagOptions<T>>(
    read: (json: unknown) => T,
    options: O & FlagOptions<T>,
  ) =>
    make<T, O>(
      {
        type: 'json',
        placeholder: 'JSON',
        expected: 'JSON, or the absolute path of a file with JSON',
        example: '{"key":"value"}',
        parse: json => read(parseJson(json)),
        format: value => JSON.stringify(value),
      },
      options,
    ),
}
