// Sets of integers that come in runs: ports of an agent, positions of a log.

import { assert } from './assert.ts'

/** All integers from `begin` to `end`, both included (the shape of a Mesos `Value.Range`). */
export interface Interval {
  readonly begin: number
  readonly end: number
}

/**
 * A mutable set of safe integers, kept as sorted intervals of which no two touch. `contains` is O(log n) in the
 * number of intervals; `add` and `remove` are O(log n) plus a shift of the array; the operations on two sets are
 * linear and give new sets.
 */
export class IntervalSet {
  #intervals: Interval[] = []

  constructor(intervals: Iterable<Interval> = []) {
    for (const { begin, end } of intervals) this.add(begin, end)
  }

  static of(...members: readonly number[]): IntervalSet {
    return new IntervalSet(members.map(n => ({ begin: n, end: n })))
  }

  /** Adds every integer from `begin` to `end`. */
  add(begin: number, end: number = begin): void {
    check(begin, end)
    // Neighbours are merged too, hence the one more on either side.
    const from = this.#firstEndingAtOrAfter(begin - 1)
    const to = this.#firstBeginningAfter(end + 1)
    const first = this.#intervals[from]
    const last = this.#intervals[to - 1]
    const merged =
      from < to
        ? { begin: Math.min(begin, first!.begin), end: Math.max(end, last!.end) }
        : { begin, end }
    this.#intervals.splice(from, to - from, merged)
  }

  /** Removes every integer from `begin` to `end`, whether inside or not. */
  remove(begin: number, end: number = begin): void {
    check(begin, end)
    const from = this.#firstEndingAtOrAfter(begin)
    const to = this.#firstBeginningAfter(end)
    if (from >= to) return
    const first = this.#intervals[from]!
    const last = this.#intervals[to - 1]!
    const left: Interval[] = []
    if (first.begin < begin) left.push({ begin: first.begin, end: begin - 1 })
    if (last.end > end) left.push({ begin: end + 1, end: last.end })
    this.#intervals.splice(from, to - from, ...left)
  }

  clear(): void {
    this.#intervals = []
  }

  /** Whether every integer from `begin` to `end` is inside. */
  contains(begin: number, end: number = begin): boolean {
    const interval = this.#intervals[this.#firstEndingAtOrAfter(begin)]
    return interval !== undefined && interval.begin <= begin && end <= interval.end
  }

  /** Whether every member of `other` is inside. */
  containsAll(other: IntervalSet): boolean {
    return other.#intervals.every(({ begin, end }) => this.contains(begin, end))
  }

  /** How many integers are inside. */
  get size(): number {
    return this.#intervals.reduce((sum, { begin, end }) => sum + (end - begin + 1), 0)
  }

  get isEmpty(): boolean {
    return this.#intervals.length === 0
  }

  /** The least member. */
  get min(): number | undefined {
    return this.#intervals[0]?.begin
  }

  /** The greatest member. */
  get max(): number | undefined {
    return this.#intervals.at(-1)?.end
  }

  /** The fewest intervals that make up the set, ascending. A copy. */
  intervals(): Interval[] {
    return [...this.#intervals]
  }

  /** Every member, ascending. The set must not change meanwhile. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (const { begin, end } of this.#intervals) for (let n = begin; n <= end; n++) yield n
  }

  clone(): IntervalSet {
    return IntervalSet.#from(this.intervals())
  }

  equals(other: IntervalSet): boolean {
    return (
      this.#intervals.length === other.#intervals.length &&
      this.#intervals.every(({ begin, end }, i) => {
        const its = other.#intervals[i]!
        return begin === its.begin && end === its.end
      })
    )
  }

  /** What is in both. */
  intersect(other: IntervalSet): IntervalSet {
    const out: Interval[] = []
    const [mine, theirs] = [this.#intervals, other.#intervals]
    for (let i = 0, j = 0; i < mine.length && j < theirs.length; ) {
      const a = mine[i]!
      const b = theirs[j]!
      const begin = Math.max(a.begin, b.begin)
      const end = Math.min(a.end, b.end)
      if (begin <= end) out.push({ begin, end })
      if (a.end < b.end) i++
      else j++
    }
    return IntervalSet.#from(out)
  }

  /** What is in either. */
  union(other: IntervalSet): IntervalSet {
    const out: Interval[] = []
    const [mine, theirs] = [this.#intervals, other.#intervals]
    for (let i = 0, j = 0; i < mine.length || j < theirs.length; ) {
      const a = mine[i]
      const b = theirs[j]
      const next =
        b === undefined || (a !== undefined && a.begin <= b.begin) ? mine[i++]! : theirs[j++]!
      const last = out.at(-1)
      if (last === undefined || next.begin > last.end + 1) out.push(next)
      else if (next.end > last.end) out[out.length - 1] = { begin: last.begin, end: next.end }
    }
    return IntervalSet.#from(out)
  }

  /** What is here and not in `other`. */
  difference(other: IntervalSet): IntervalSet {
    const out: Interval[] = []
    const theirs = other.#intervals
    let j = 0
    for (const { begin, end } of this.#intervals) {
      let rest = begin
      while (j < theirs.length && theirs[j]!.end < rest) j++
      // One interval of theirs may reach into several of ours, so the next of ours begins at the same one.
      for (let k = j; k < theirs.length && theirs[k]!.begin <= end; k++) {
        if (theirs[k]!.begin > rest) out.push({ begin: rest, end: theirs[k]!.begin - 1 })
        rest = theirs[k]!.end + 1
      }
      if (rest <= end) out.push({ begin: rest, end })
    }
    return IntervalSet.#from(out)
  }

  /** In the text form of Mesos: `[1-3,7-7]`. */
  toString(): string {
    return `[${this.#intervals.map(({ begin, end }) => `${begin}-${end}`).join(',')}]`
  }

  /** Takes intervals that are known to be sorted and apart. */
  static #from(intervals: Interval[]): IntervalSet {
    const set = new IntervalSet()
    set.#intervals = intervals
    return set
  }

  /** Index of the first interval with `end >= n`. */
  #firstEndingAtOrAfter(n: number): number {
    return this.#search(interval => interval.end >= n)
  }

  /** Index of the first interval with `begin > n`. */
  #firstBeginningAfter(n: number): number {
    return this.#search(interval => interval.begin > n)
  }

  /** Index of the first interval that passes; once one passes, all that follow do. */
  #search(passes: (interval: Interval) => boolean): number {
    let low = 0
    let high = this.#intervals.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (passes(this.#intervals[middle]!)) high = middle
      else low = middle + 1
    }
    return low
  }
}

function check(begin: number, end: number): void {
  assert(Number.isSafeInteger(begin) && Number.isSafeInteger(end), 'bounds are safe integers')
  assert(begin <= end, 'an interval begins before it ends')
}
