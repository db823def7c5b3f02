// The forms every wire type is built from, and why they are cheap.
//
// Every message from another process is checked once, where bytes become a message. Valibot checks by copying
// every object; most of that time buys nothing, since a freshly decoded message has no other owner. So a schema made
// here first asks a compiled predicate "is this valid, and would valibot return it unchanged?" and, if so, hands the
// very object on. Only if not does valibot run: it names what is wrong, or mends what may be mended (see `double`,
// `choice`). A test holds the two ways against each other.
//
// Unknown fields are kept, so that a newer peer's fields survive a hop through an older one.

import * as v from 'valibot'

type Schema = v.GenericSchema<unknown, unknown>
type Check = (value: unknown) => boolean
type Run = (
  dataset: v.UnknownDataset,
  config: v.Config<v.BaseIssue<unknown>>,
) => v.OutputDataset<unknown, v.BaseIssue<unknown>>

/** Longer ids are refused at the door. What an id may be beyond that (≤ 255, no slash …) the master says. */
export const MAX_ID_LENGTH = 4096

/** The `value` of an id. */
export const idText = v.pipe(v.string(), v.maxLength(MAX_ID_LENGTH))

/** Text of any length that a frame can carry. */
export const text = v.string()

/** Bytes as base64 text (RFC 4648 §4), the JSON form of protobuf `bytes`, on every wire. */
export const bytes = v.string()

export const flag = v.boolean()

/** Protobuf JSON lets every number come as text as well ("5", "Infinity"); our own peers send numbers. */
const numeral = v.pipe(
  v.string(),
  v.check(s => s.trim() !== '' && !Number.isNaN(Number(s)), 'Invalid number: text is not numeric'),
  v.transform(Number),
)

/** A finite number. */
export const double = v.union([
  v.pipe(v.number(), v.finite()),
  v.pipe(numeral, v.finite()),
]) as v.GenericSchema<number>

/** A number that may be `Infinity` ("no limit"). */
export const doubleOrInfinity = v.union([v.number(), numeral]) as v.GenericSchema<number>

/** An integer that JavaScript holds exactly. Protobuf's 64-bit integers beyond 2⁵³ are refused. */
export const integer = v.union([
  v.pipe(v.number(), v.safeInteger()),
  v.pipe(numeral, v.safeInteger()),
]) as v.GenericSchema<number>

/** A safe integer ≥ 0. */
export const unsigned = v.union([
  v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  v.pipe(numeral, v.safeInteger(), v.minValue(0)),
]) as v.GenericSchema<number>

/** A required enum: an unknown name makes the message malformed. */
export const oneOf = v.picklist

/**
 * An optional enum. As in Mesos' JSON reader an unknown name counts as absent: a newer peer's new reason must not cost
 * the whole message.
 */
export function choice<const N extends readonly string[]>(
  names: N,
): v.OptionalSchema<v.PicklistSchema<N, undefined>, undefined> {
  return v.fallback(v.optional(v.picklist(names)), undefined)
}

export const optional = v.optional

/** A protobuf `repeated` field: absent means empty. */
export function repeated<const S extends Schema>(
  item: S,
): v.OptionalSchema<v.ArraySchema<S, undefined>, undefined> {
  return v.optional(v.array(item))
}

/** A protobuf `map<string, …>`: absent means empty. */
export function mapOf<const S extends Schema>(
  value: S,
): v.OptionalSchema<v.RecordSchema<v.StringSchema<undefined>, S, undefined>, undefined> {
  return v.optional(v.record(v.string(), value))
}

/**
 * An object with these fields. Unknown fields are kept but not typed: otherwise a misspelt optional field would
 * compile.
 */
export function message<const E extends v.ObjectEntries>(entries: E): v.ObjectSchema<E, undefined> {
  return quick(v.looseObject(entries)) as unknown as v.ObjectSchema<E, undefined>
}

/** One of several messages, told apart by the text in field `key`. */
export function variant<const K extends string, const O extends v.VariantOptions<K>>(
  key: K,
  options: O,
): v.VariantSchema<K, O, undefined> {
  return quick(v.variant(key, options))
}

/** Puts the compiled predicate before a schema's own run. It is compiled at first use: `lazy` may refer forward. */
function quick<S extends Schema>(schema: S): S {
  const target = schema as unknown as { '~run': Run }
  const slow = target['~run']
  let check: Check | undefined
  target['~run'] = function run(dataset, config) {
    check ??= compile(schema)
    if (!check(dataset.value)) return slow.call(schema, dataset, config)
    const done = dataset as unknown as { typed: boolean; value: unknown; issues?: undefined }
    done.typed = true
    return done as v.SuccessDataset<unknown>
  }
  return schema
}

const compiled = new WeakMap<object, Check>()

/** The fast predicate of a schema. It may say no to what valibot accepts, never yes to what valibot refuses or changes. */
export function compile(schema: Schema): Check {
  let check = compiled.get(schema)
  if (!check) {
    check = build(schema as unknown as Parts)
    compiled.set(schema, check)
  }
  return check
}

/** What a valibot schema shows of itself; which fields are there depends on `type`. */
interface Parts {
  readonly type: string
  readonly kind: string
  readonly entries: Record<string, Schema>
  readonly wrapped: Schema
  readonly default: unknown
  readonly item: Schema
  readonly key: string & Schema
  readonly value: Schema
  readonly options: readonly unknown[]
  readonly literal: unknown
  readonly requirement: number
  readonly class: new () => object
  readonly pipe?: readonly Parts[]
  readonly getter: (input: unknown) => Schema
}

const refuse: Check = () => false
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function build(parts: Parts): Check {
  if (parts.pipe) {
    const { pipe, ...base } = parts
    return pipe
      .map((step, i) => (i === 0 ? build({ ...base, ...step }) : action(step)))
      .reduce((first, second) => value => first(value) && second(value))
  }
  switch (parts.type) {
    case 'string':
      return value => typeof value === 'string'
    case 'boolean':
      return value => typeof value === 'boolean'
    case 'number':
      return value => typeof value === 'number' && !Number.isNaN(value)
    case 'literal':
      return value => value === parts.literal
    case 'picklist': {
      const names = new Set(parts.options)
      return value => names.has(value)
    }
    case 'instance':
      return value => value instanceof parts.class
    case 'optional': {
      if (parts.default !== undefined) return refuse
      const check = compile(parts.wrapped)
      return value => value === undefined || check(value)
    }
    case 'array': {
      const check = compile(parts.item)
      return value => {
        if (!Array.isArray(value)) return false
        for (let i = 0; i < value.length; i++) if (!check(value[i])) return false
        return true
      }
    }
    case 'record': {
      const check = compile(parts.value)
      return value => {
        if (!isObject(value)) return false
        for (const key in value) {
          if (key === '__proto__' || key === 'prototype' || key === 'constructor') return false
          if (!check(value[key])) return false
        }
        return true
      }
    }
    case 'loose_object':
      return buildObject(parts.entries)
    case 'variant':
      return buildVariant(parts)
    case 'union':
      // What the first alternative takes unchanged, valibot takes unchanged; the others may be transforms.
      return compile(parts.options[0] as Schema)
    case 'lazy': {
      let check: Check | undefined
      return value => {
        check ??= compile(parts.getter(undefined))
        return check(value)
      }
    }
    default:
      return refuse
  }
}

function buildObject(entries: Record<string, Schema>): Check {
  const keys = Object.keys(entries)
  const checks = keys.map(key => compile(entries[key]!))
  const count = keys.length
  return value => {
    if (!isObject(value)) return false
    for (let i = 0; i < count; i++) if (!checks[i]!(value[keys[i]!])) return false
    return true
  }
}

function buildVariant(parts: Parts): Check {
  const key: string = parts.key
  const byName = new Map<unknown, Check>()
  for (const option of parts.options as readonly Parts[]) {
    const tag = option.entries[key] as unknown as Parts | undefined
    const names =
      tag?.type === 'literal' ? [tag.literal] : tag?.type === 'picklist' ? tag.options : []
    for (const name of names) if (!byName.has(name)) byName.set(name, compile(option as never))
  }
  return value => isObject(value) && (byName.get(value[key])?.(value) ?? false)
}

function action(step: Parts): Check {
  switch (step.type) {
    case 'finite':
      return value => Number.isFinite(value)
    case 'safe_integer':
      return value => Number.isSafeInteger(value)
    case 'min_value':
      return value => (value as number) >= step.requirement
    case 'max_length':
      return value => (value as string).length <= step.requirement
    default:
      return refuse
  }
}
