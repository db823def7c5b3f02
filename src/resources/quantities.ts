// Named amounts without roles or reservations: what quotas, limits and thresholds are stated in.

import type { Scalar } from '../messages/values.ts'
import { toMilli } from './milli.ts'
import { malformed } from './parse.ts'

/** Thousandths by resource name. A name that is not there means 0. `Resources.scalars()` gives this too. */
export type Quantities = ReadonlyMap<string, number>

/** Reads `cpus:0.01;mem:32`; a name twice adds up. Throws UserError. */
export function parseQuantities(text: string): Quantities {
  const out = new Map<string, number>()
  for (const raw of text.split(';')) {
    const token = raw.trim()
    if (token === '') continue
    const [name, value, ...rest] = token.split(':').map(part => part.trim())
    if (!name || !value || rest.length > 0) {
      throw malformed(`'${token}': missing or extra ':'; write name:value`)
    }
    const number = Number(value)
    if (!Number.isFinite(number)) {
      throw malformed(`'${token}': '${value}' is not a number; only scalar values are allowed`)
    }
    if (number < 0) throw malformed(`'${token}': negative values are not allowed`)
    if (number > 0) out.set(name, (out.get(name) ?? 0) + toMilli(number))
  }
  return out
}

/** Reads `--min_allocatable_resources=cpus:0.01|mem:32`: alternatives. Throws UserError. */
export function parseAlternatives(text: string): Quantities[] {
  return text
    .split('|')
    .filter(part => part.trim() !== '')
    .map(parseQuantities)
}

/** From the v1 form, a map of scalars. */
export function quantitiesOf(scalars: Readonly<Record<string, Scalar>> | undefined): Quantities {
  const out = new Map<string, number>()
  for (const [name, { value }] of Object.entries(scalars ?? {})) {
    if (value > 0) out.set(name, toMilli(value))
  }
  return out
}

/** Whether `available` has at least `wanted` of everything. */
export function covers(available: Quantities, wanted: Quantities): boolean {
  for (const [name, milli] of wanted) if ((available.get(name) ?? 0) < milli) return false
  return true
}

/** Whether `available` covers at least one alternative. No alternative at all asks for nothing. */
export function coversAny(available: Quantities, alternatives: readonly Quantities[]): boolean {
  return alternatives.length === 0 || alternatives.some(wanted => covers(available, wanted))
}

export function addQuantities(a: Quantities, b: Quantities): Quantities {
  const out = new Map(a)
  for (const [name, milli] of b) out.set(name, (out.get(name) ?? 0) + milli)
  return out
}

/** What is left, never below 0; names with nothing left are dropped. */
export function subtractQuantities(a: Quantities, b: Quantities): Quantities {
  const out = new Map<string, number>()
  for (const [name, milli] of a) {
    const left = milli - (b.get(name) ?? 0)
    if (left > 0) out.set(name, left)
  }
  return out
}
