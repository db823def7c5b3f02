// One amount of one kind of resource, and what can be done with two amounts of the same kind.

import type { Resource } from '../messages/resource.ts'
import { type Kind, kindOf } from './kind.ts'
import { fromMilli, toMilli } from './milli.ts'
import {
  containsRanges,
  equalRanges,
  normalise,
  NO_RANGES,
  type Ranges,
  subtractRanges,
  unionRanges,
} from './ranges.ts'

const NO_ITEMS: readonly string[] = Object.freeze([])

/** Immutable. Of the amounts only the one by `kind.type` is used. */
export class Entry {
  readonly kind: Kind
  /** Scalar, in thousandths. */
  readonly milli: number
  readonly ranges: Ranges
  /** Sorted, none twice. */
  readonly items: readonly string[]
  /** How often a whole thing (see `Kind.wholeMilli`) is there; 1 for all else. */
  readonly count: number
  #resource: Resource | undefined

  constructor(kind: Kind, milli: number, ranges: Ranges, items: readonly string[], count: number) {
    this.kind = kind
    this.milli = milli
    this.ranges = ranges
    this.items = items
    this.count = count
  }

  /** The v1 object of one count; made once, and frozen, for many messages share it. */
  get resource(): Resource {
    this.#resource ??= Object.freeze(toResource(this))
    return this.#resource
  }

  withKind(kind: Kind): Entry {
    return kind === this.kind
      ? this
      : new Entry(kind, this.milli, this.ranges, this.items, this.count)
  }
}

/** A scalar of this kind. */
export const scalarEntry = (kind: Kind, milli: number): Entry =>
  new Entry(kind, milli, NO_RANGES, NO_ITEMS, 1)

/** Ranges, in normal form, of this kind. */
export const rangesEntry = (kind: Kind, ranges: Ranges): Entry =>
  new Entry(kind, 0, ranges, NO_ITEMS, 1)

/** Items, sorted and unique, of this kind. */
export const itemsEntry = (kind: Kind, items: readonly string[]): Entry =>
  new Entry(kind, 0, NO_RANGES, items, 1)

/** Undefined if there is nothing in it, or nothing that could be reckoned with (validate.ts says why). */
export function entryOf(resource: Resource): Entry | undefined {
  switch (resource.type) {
    case 'SCALAR': {
      const milli = toMilli(resource.scalar?.value ?? 0)
      if (!(milli > 0 && milli < Number.POSITIVE_INFINITY)) return undefined
      return scalarEntry(kindOf(resource, milli), milli)
    }
    case 'RANGES': {
      const ranges = normalise(resource.ranges?.range ?? NO_RANGES)
      return ranges.length === 0 ? undefined : rangesEntry(kindOf(resource, 0), ranges)
    }
    case 'SET': {
      const items = [...new Set(resource.set?.item)].sort()
      return items.length === 0 ? undefined : itemsEntry(kindOf(resource, 0), items)
    }
    default:
      return undefined
  }
}

/** The sum. Both are of the same kind. */
export function addEntries(a: Entry, b: Entry): Entry {
  const { kind } = a
  if (kind.wholeMilli !== undefined) {
    return new Entry(kind, a.milli, a.ranges, a.items, a.count + b.count)
  }
  if (kind.type === 'SCALAR') return scalarEntry(kind, a.milli + b.milli)
  if (kind.type === 'RANGES') return rangesEntry(kind, unionRanges(a.ranges, b.ranges))
  return itemsEntry(kind, [...new Set([...a.items, ...b.items])].sort())
}

/** What is left of `a` without `b`; undefined if nothing. Both are of the same kind. */
export function subtractEntries(a: Entry, b: Entry): Entry | undefined {
  const { kind } = a
  if (kind.wholeMilli !== undefined) {
    const count = a.count - b.count
    return count > 0 ? new Entry(kind, a.milli, a.ranges, a.items, count) : undefined
  }
  if (kind.type === 'SCALAR') {
    return a.milli > b.milli ? scalarEntry(kind, a.milli - b.milli) : undefined
  }
  if (kind.type === 'RANGES') {
    const ranges = subtractRanges(a.ranges, b.ranges)
    return ranges.length === 0 ? undefined : rangesEntry(kind, ranges)
  }
  const items = a.items.filter(item => !b.items.includes(item))
  return items.length === 0 ? undefined : itemsEntry(kind, items)
}

/** Whether all of `b` is in `a`. Both are of the same kind. */
export function containsEntry(a: Entry, b: Entry): boolean {
  if (a.kind.wholeMilli !== undefined) return a.count >= b.count
  if (a.kind.type === 'SCALAR') return a.milli >= b.milli
  if (a.kind.type === 'RANGES') return containsRanges(a.ranges, b.ranges)
  return b.items.every(item => a.items.includes(item))
}

/** Whether both hold the same. Both are of the same kind. */
export function equalEntries(a: Entry, b: Entry): boolean {
  return (
    a.milli === b.milli &&
    a.count === b.count &&
    equalRanges(a.ranges, b.ranges) &&
    a.items.length === b.items.length &&
    a.items.every((item, i) => item === b.items[i])
  )
}

function toResource({ kind, milli, ranges, items }: Entry): Resource {
  const resource: Resource = { name: kind.name, type: kind.type }
  if (kind.providerId) resource.provider_id = kind.providerId
  if (kind.type === 'SCALAR') resource.scalar = { value: fromMilli(milli) }
  else if (kind.type === 'RANGES') resource.ranges = { range: [...ranges] }
  else resource.set = { item: [...items] }
  if (kind.allocationRole !== undefined) resource.allocation_info = { role: kind.allocationRole }
  if (kind.isReserved) resource.reservations = [...kind.reservations]
  if (kind.disk) resource.disk = kind.disk
  if (kind.revocable) resource.revocable = {}
  if (kind.shared) resource.shared = {}
  return resource
}
