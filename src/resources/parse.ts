// Resources and attributes from the text of flags and files.

import * as v from 'valibot'
import { UserError } from '../base/errors.ts'
import { Resource } from '../messages/resource.ts'
import type { Attribute, Range } from '../messages/values.ts'
import { toRefinement } from './reservations.ts'
import { Resources } from './resources.ts'
import { DEFAULT_ROLE, validateRole } from './roles.ts'
import { validateAgentResources, validateResource } from './validate.ts'

/** The message names the part, and what is wrong with it; who reads a flag puts the flag's name before it. */
export const malformed = (message: string): UserError => new UserError('invalid_value', message)

/** Whose the resources are that name no role. */
export interface ParseOptions {
  /** `--default_role`; `*` if absent. */
  readonly defaultRole?: string
}

/**
 * Reads `cpus:24;mem:24576;ports:[21000-24000,30000-34000];bugs(role):{a,b}`, or a JSON array of v1 Resource objects.
 * A role in parentheses is a static reservation; `(*)` means unreserved. Throws UserError.
 */
export function parseResources(text: string, options: ParseOptions = {}): Resources {
  return Resources.of(parseResourceList(text, options))
}

/** The same as a list, in which amounts of zero are kept: to an agent `gpus:0` means "none", not "count them". */
export function parseResourceList(text: string, options: ParseOptions = {}): Resource[] {
  const defaultRole = options.defaultRole ?? DEFAULT_ROLE
  const list = text.trimStart().startsWith('[') ? parseJson(text) : parseShort(text)
  return list.map(resource => {
    const reason = validateResource(resource)
    if (reason !== undefined) {
      throw malformed(`resource '${resource.name}' is invalid: ${reason}`)
    }
    return toRefinement(withDefaultRole(resource, defaultRole))
  })
}

/** As `parseResourceList`, for an agent's `--resources`: no volumes, no revocable ones, no dynamic reservations. */
export function parseAgentResources(text: string, options: ParseOptions = {}): Resource[] {
  const list = parseResourceList(text, options)
  const reason = validateAgentResources(list)
  if (reason !== undefined) throw malformed(reason)
  return list
}

function withDefaultRole(resource: Resource, defaultRole: string): Resource {
  const isSaid = resource.role !== undefined || (resource.reservations ?? []).length > 0
  return isSaid || defaultRole === DEFAULT_ROLE ? resource : { ...resource, role: defaultRole }
}

const ResourceList = v.array(Resource)

function parseJson(text: string): Resource[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw malformed(`not JSON: ${(error as Error).message}`)
  }
  const result = v.safeParse(ResourceList, json)
  if (result.success) return result.output
  const [issue] = result.issues
  throw malformed(`at ${v.getDotPath(issue) ?? 'top'}: ${issue.message}`)
}

function parseShort(text: string): Resource[] {
  const seen = new Set<string>()
  return splitParts(text).map(part => {
    const [head, value, ...rest] = part.split(':')
    if (head === undefined || value === undefined || rest.length > 0) {
      throw malformed(`'${part}': missing or extra ':'; write name:value`)
    }
    const matched = /^([^()]*)(?:\(([^()]*)\))?$/.exec(head.trim())
    if (!matched) throw malformed(`'${part}': mismatched parentheses; write name(role):value`)
    const name = (matched[1] ?? '').trim()
    const role = matched[2]?.trim()
    if (name === '') throw malformed(`'${part}': the name is missing`)
    if (role !== undefined) {
      const reason = validateRole(role)
      if (reason !== undefined) throw malformed(`'${part}': ${reason}`)
    }
    const key = `${name}(${role ?? ''})`
    if (seen.has(key)) throw malformed(`'${part}': '${name}' is given twice`)
    seen.add(key)
    const amount = parseValue(value, part)
    if (amount.type === 'TEXT') {
      throw malformed(
        `'${part}': '${value.trim()}' is not a number, nor ranges like [1-5,8-9], nor a set like {a,b}`,
      )
    }
    return { name, ...amount, ...(role === undefined ? undefined : { role }) }
  })
}

/**
 * Reads `rack:r1;level:10;ports:[1-5]`: a number is a scalar, `[…]` ranges, all else text, which may contain `:`.
 * A name may come more than once. Throws UserError.
 */
export function parseAttributes(text: string): Attribute[] {
  return splitParts(text).map(part => {
    const colon = part.indexOf(':')
    if (colon === -1) throw malformed(`'${part}': missing ':'; write name:value`)
    const name = part.slice(0, colon).trim()
    if (name === '') throw malformed(`'${part}': the name is missing`)
    const value = parseValue(part.slice(colon + 1), part)
    if (value.type === 'SET') throw malformed(`'${part}': an attribute cannot be a set`)
    return { name, ...value }
  })
}

function splitParts(text: string): string[] {
  return text
    .split(/[;\n]/)
    .map(part => part.trim())
    .filter(part => part !== '')
}

type Value =
  | { type: 'SCALAR'; scalar: { value: number } }
  | { type: 'RANGES'; ranges: { range: Range[] } }
  | { type: 'SET'; set: { item: string[] } }
  | { type: 'TEXT'; text: { value: string } }

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const NO_NUMBER = /^[+-]?(?:nan|inf|infinity)$/i

function parseValue(text: string, part: string): Value {
  const value = text.trim()
  if (value === '') throw malformed(`'${part}': the value is missing`)
  if (value.startsWith('[')) return { type: 'RANGES', ranges: { range: parseRanges(value, part) } }
  if (value.startsWith('{')) return { type: 'SET', set: { item: parseItems(value, part) } }
  if (NO_NUMBER.test(value)) throw malformed(`'${part}': '${value}' is not a finite number`)
  if (!NUMBER.test(value)) return { type: 'TEXT', text: { value } }
  return { type: 'SCALAR', scalar: { value: parseScalar(value, part) } }
}

function parseScalar(value: string, part: string): number {
  const number = Number(value)
  if (number < 0) throw malformed(`'${part}': '${value}' is negative`)
  if (!Number.isFinite(number)) throw malformed(`'${part}': '${value}' is too large`)
  return number
}

function parseRanges(value: string, part: string): Range[] {
  if (!value.endsWith(']')) throw malformed(`'${part}': ']' is missing`)
  const inner = value.slice(1, -1).trim()
  if (inner === '') return []
  return inner.split(',').map(text => {
    const matched = /^\s*(\d+)\s*-\s*(\d+)\s*$/.exec(text)
    const begin = Number(matched?.[1])
    const end = Number(matched?.[2])
    if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end)) {
      throw malformed(
        `'${part}': '${text.trim()}' is not a range of non-negative integers like 1-5`,
      )
    }
    if (begin > end) throw malformed(`'${part}': '${text.trim()}' begins after its end`)
    return { begin, end }
  })
}

function parseItems(value: string, part: string): string[] {
  if (!value.endsWith('}')) throw malformed(`'${part}': '}' is missing`)
  const inner = value.slice(1, -1).trim()
  if (inner === '') return []
  return inner.split(',').map(text => {
    const item = text.trim()
    if (item === '' || /[{}]/.test(item)) {
      throw malformed(`'${part}': '${value}' is not a set like {a,b}`)
    }
    return item
  })
}
