// The algebra of resources: what an agent has, what is offered, what tasks take, what is left.
//
// A `Resources` is an immutable value. Inside, amounts are integers (thousandths, ranges, sets), one entry a kind;
// outside, it is a list of v1 Resource objects. Amounts merge if all else about them is equal (see kind.ts).

import type { Resource } from '../messages/resource.ts'
import {
  addEntries,
  containsEntry,
  type Entry,
  entryOf,
  equalEntries,
  itemsEntry,
  rangesEntry,
  scalarEntry,
  subtractEntries,
} from './entry.ts'
import type { Kind } from './kind.ts'
import { fromMilli, toMilli } from './milli.ts'
import { countRanges, NO_RANGES, type Ranges, takeRanges, unionRanges } from './ranges.ts'

/**
 * Resources as a value. `of` expects what validate.ts found well-formed; of anything else it drops what cannot be
 * reckoned with (negative amounts, inverted ranges), so that no input makes an amount grow.
 */
export class Resources {
  readonly #entries: readonly Entry[]
  #list: Resource[] | undefined
  #scalars: ReadonlyMap<string, number> | undefined

  private constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  static readonly empty: Resources = new Resources([])

  /** From v1 objects in either reservation form. Amounts of one kind are added up. */
  static of(list: readonly Resource[] | undefined): Resources {
    if (!list || list.length === 0) return Resources.empty
    const entries: Entry[] = []
    for (const resource of list) {
      const entry = entryOf(resource)
      if (entry) put(entries, entry)
    }
    return Resources.#wrap(entries)
  }

  /** The sum of all. */
  static sum(parts: Iterable<Resources>): Resources {
    const entries: Entry[] = []
    for (const part of parts) for (const entry of part.#entries) put(entries, entry)
    return Resources.#wrap(entries)
  }

  static #wrap(entries: readonly Entry[]): Resources {
    return entries.length === 0 ? Resources.empty : new Resources(entries)
  }

  /** The v1 objects, with `reservations` rather than `role`. Made once and frozen: messages share them. */
  list(): Resource[] {
    if (!this.#list) {
      const list: Resource[] = []
      for (const entry of this.#entries) {
        for (let i = 0; i < entry.count; i++) list.push(entry.resource)
      }
      this.#list = Object.freeze(list) as Resource[]
    }
    return this.#list
  }

  toJSON(): Resource[] {
    return this.list()
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** The kinds there are, in the order they came. */
  kinds(): Kind[] {
    return this.#entries.map(entry => entry.kind)
  }

  add(other: Resources): Resources {
    if (other.#entries.length === 0) return this
    if (this.#entries.length === 0) return other
    const entries = this.#entries.slice()
    for (const entry of other.#entries) put(entries, entry)
    return new Resources(entries)
  }

  /** What is left; what is not there is not taken. Ask `contains` first where that would be a bug. */
  subtract(other: Resources): Resources {
    let entries: Entry[] | undefined
    for (const entry of other.#entries) {
      const from = entries ?? this.#entries
      const at = indexOf(from, entry.kind)
      if (at === -1) continue
      entries ??= this.#entries.slice()
      const left = subtractEntries(entries[at]!, entry)
      if (left) entries[at] = left
      else entries.splice(at, 1)
    }
    return entries ? Resources.#wrap(entries) : this
  }

  contains(other: Resources): boolean {
    for (const entry of other.#entries) {
      const at = indexOf(this.#entries, entry.kind)
      if (at === -1 || !containsEntry(this.#entries[at]!, entry)) return false
    }
    return true
  }

  /** The order of the entries does not matter. */
  equals(other: Resources): boolean {
    if (this === other) return true
    if (this.#entries.length !== other.#entries.length) return false
    for (const entry of other.#entries) {
      const at = indexOf(this.#entries, entry.kind)
      if (at === -1 || !equalEntries(this.#entries[at]!, entry)) return false
    }
    return true
  }

  /** Those whose kind satisfies `predicate`. */
  filter(predicate: (kind: Kind) => boolean): Resources {
    const entries = this.#entries.filter(entry => predicate(entry.kind))
    return entries.length === this.#entries.length ? this : Resources.#wrap(entries)
  }

  /** The same, allocated to `role`. */
  allocate(role: string): Resources {
    return this.#map(kind => kind.allocatedTo(role))
  }

  /** The same, allocated to nobody. */
  unallocate(): Resources {
    return this.#map(kind => kind.allocatedTo(undefined))
  }

  /** By allocation role; what is allocated to nobody is left out. */
  allocations(): Map<string, Resources> {
    return this.#group(kind => kind.allocationRole)
  }

  unreserved(): Resources {
    return this.filter(kind => !kind.isReserved)
  }

  /** Reserved for exactly `role`, or, without it, for any. */
  reserved(role?: string): Resources {
    return this.filter(kind =>
      role === undefined ? kind.isReserved : kind.isReserved && kind.reservationRole === role,
    )
  }

  /** By the role they are reserved for; what is unreserved is left out. */
  reservations(): Map<string, Resources> {
    return this.#group(kind => (kind.isReserved ? kind.reservationRole : undefined))
  }

  revocable(): Resources {
    return this.filter(kind => kind.revocable)
  }

  nonRevocable(): Resources {
    return this.filter(kind => !kind.revocable)
  }

  shared(): Resources {
    return this.filter(kind => kind.shared)
  }

  /** The sum of all scalars of this name, in units; 0 if there is none. */
  get(name: string): number {
    return fromMilli(this.scalars().get(name) ?? 0)
  }

  /** Sums of scalars by name, in thousandths. What is shared counts once. */
  scalars(): ReadonlyMap<string, number> {
    if (!this.#scalars) {
      const sums = new Map<string, number>()
      for (const { kind, milli, count } of this.#entries) {
        if (kind.type !== 'SCALAR') continue
        sums.set(kind.name, (sums.get(kind.name) ?? 0) + (kind.shared ? milli : milli * count))
      }
      this.#scalars = sums
    }
    return this.#scalars
  }

  /** All ranges of this name, in normal form. */
  ranges(name: string): Ranges {
    let out = NO_RANGES
    for (const { kind, ranges } of this.#entries) {
      if (kind.type === 'RANGES' && kind.name === name) out = unionRanges(out, ranges)
    }
    return out
  }

  ports(): Ranges {
    return this.ranges('ports')
  }

  /** All items of sets of this name, sorted. */
  items(name: string): string[] {
    const out = new Set<string>()
    for (const { kind, items } of this.#entries) {
      if (kind.type === 'SET' && kind.name === name) for (const item of items) out.add(item)
    }
    return [...out].sort()
  }

  /**
   * Picks a part of these resources: for each name this much of a scalar (units), this many values of ranges, this
   * many items of a set. `find({ cpus: 0.5, mem: 128, ports: 2 })`. Takes reserved before unreserved, as what is
   * reserved is of no use to others; revocable only if what is not revocable does not suffice, and never both for one
   * name, as a task must not mix them; never a volume or whole disk, which one asks for by id. Undefined if there is
   * not enough.
   */
  find(wanted: Readonly<Record<string, number>>): Resources | undefined {
    const picked: Entry[] = []
    for (const [name, amount] of Object.entries(wanted)) {
      const pick = this.#pick(name, amount, false) ?? this.#pick(name, amount, true)
      if (!pick) return undefined
      picked.push(...pick)
    }
    return Resources.#wrap(picked)
  }

  #pick(name: string, amount: number, revocable: boolean): Entry[] | undefined {
    const candidates = this.#entries.filter(
      ({ kind }) =>
        kind.name === name && kind.revocable === revocable && kind.wholeMilli === undefined,
    )
    candidates.sort((a, b) => Number(b.kind.isReserved) - Number(a.kind.isReserved))
    const type = candidates[0]?.kind.type
    let left = type === 'SCALAR' || type === undefined ? toMilli(amount) : amount
    const out: Entry[] = []
    for (const entry of candidates) {
      if (left <= 0) break
      const part = takeFrom(entry, left)
      left -= sizeOf(part)
      out.push(part)
    }
    return left <= 0 ? out : undefined
  }

  #map(change: (kind: Kind) => Kind): Resources {
    let changed = false
    const entries: Entry[] = []
    for (const entry of this.#entries) {
      const kind = change(entry.kind)
      if (kind !== entry.kind) changed = true
      put(entries, entry.withKind(kind))
    }
    return changed ? Resources.#wrap(entries) : this
  }

  #group(by: (kind: Kind) => string | undefined): Map<string, Resources> {
    const groups = new Map<string, Entry[]>()
    for (const entry of this.#entries) {
      const name = by(entry.kind)
      if (name === undefined) continue
      const group = groups.get(name)
      if (group) group.push(entry)
      else groups.set(name, [entry])
    }
    return new Map([...groups].map(([name, entries]) => [name, Resources.#wrap(entries)]))
  }
}

/** Lists are short (four kinds on most agents), so a scan beats a map. */
function indexOf(entries: readonly Entry[], kind: Kind): number {
  for (let i = 0; i < entries.length; i++) {
    const other = entries[i]!.kind
    if (other === kind || other.key === kind.key) return i
  }
  return -1
}

function put(entries: Entry[], entry: Entry): void {
  const at = indexOf(entries, entry.kind)
  if (at === -1) entries.push(entry)
  else entries[at] = addEntries(entries[at]!, entry)
}

function takeFrom(entry: Entry, amount: number): Entry {
  const { kind } = entry
  if (kind.type === 'SCALAR') return entry.milli <= amount ? entry : scalarEntry(kind, amount)
  if (kind.type === 'RANGES') return rangesEntry(kind, takeRanges(entry.ranges, amount))
  return itemsEntry(kind, entry.items.slice(0, amount))
}

function sizeOf({ kind, milli, ranges, items }: Entry): number {
  if (kind.type === 'SCALAR') return milli
  return kind.type === 'RANGES' ? countRanges(ranges) : items.length
}
