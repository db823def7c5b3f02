// A binary min-heap whose members can be taken out of the middle: timers are cancelled more often than they fire.

import { assert } from './assert.ts'

interface Entry<T> {
  readonly item: T
  index: number
}

/**
 * A binary min-heap: `peek` is O(1), `push`, `pop` and `remove` are O(log n).
 * Removal is real, not a mark, so that a long timer which is cancelled at once keeps no memory until its hour.
 * Members are told apart by identity and may be in the heap only once. Equal members leave in no certain order:
 * a comparator that must be repeatable breaks its ties (by a sequence number, say).
 */
export class Heap<T> {
  readonly #compare: (a: T, b: T) => number
  readonly #entries: Entry<T>[] = []
  readonly #byItem = new Map<T, Entry<T>>()

  /** `compare` as for `Array.sort`; it must not change its mind about members while they are inside. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare
  }

  get size(): number {
    return this.#entries.length
  }

  push(item: T): void {
    assert(!this.#byItem.has(item), 'a heap holds each member once')
    const entry = { item, index: this.#entries.length }
    this.#byItem.set(item, entry)
    this.#entries.push(entry)
    this.#rise(entry)
  }

  /** The least member, left inside. */
  peek(): T | undefined {
    return this.#entries[0]?.item
  }

  /** The least member, taken out. */
  pop(): T | undefined {
    const least = this.#entries[0]
    if (least === undefined) return undefined
    this.#takeOut(least)
    return least.item
  }

  has(item: T): boolean {
    return this.#byItem.has(item)
  }

  /** Takes `item` out, wherever it stands; false when it was not inside. */
  remove(item: T): boolean {
    const entry = this.#byItem.get(item)
    if (entry === undefined) return false
    this.#takeOut(entry)
    return true
  }

  clear(): void {
    this.#entries.length = 0
    this.#byItem.clear()
  }

  /** Every member, in no certain order. */
  items(): IterableIterator<T> {
    return this.#byItem.keys()
  }

  #takeOut(entry: Entry<T>): void {
    this.#byItem.delete(entry.item)
    const last = this.#entries.pop()!
    if (last === entry) return
    last.index = entry.index
    this.#entries[last.index] = last
    // The last leaf may come from another branch, so it can be too small for its new place as well as too big.
    this.#rise(last)
    this.#sink(last)
  }

  #rise(entry: Entry<T>): void {
    const entries = this.#entries
    let index = entry.index
    while (index > 0) {
      const above = entries[(index - 1) >> 1]!
      if (this.#compare(above.item, entry.item) <= 0) break
      const next = above.index
      above.index = index
      entries[index] = above
      index = next
    }
    entry.index = index
    entries[index] = entry
  }

  #sink(entry: Entry<T>): void {
    const entries = this.#entries
    let index = entry.index
    for (;;) {
      let below = entries[2 * index + 1]
      if (below === undefined) break
      const right = entries[2 * index + 2]
      if (right !== undefined && this.#compare(right.item, below.item) < 0) below = right
      if (this.#compare(entry.item, below.item) <= 0) break
      const next = below.index
      below.index = index
      entries[index] = below
      index = next
    }
    entry.index = index
    entries[index] = entry
  }
}
