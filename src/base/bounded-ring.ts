// The last few of many: completed tasks and frameworks, of which a master must not keep all.

import { assert } from './assert.ts'

/** The last `capacity` items, oldest first. Pushing one more drops the oldest, in constant time. */
export class BoundedRing<T> implements Iterable<T> {
  readonly capacity: number
  readonly #items: T[] = []
  /** Index of the oldest item once the ring is full. */
  #start = 0

  /** `capacity` may be 0: then nothing is ever kept. */
  constructor(capacity: number) {
    assert(Number.isSafeInteger(capacity) && capacity >= 0, 'capacity is a natural number')
    this.capacity = capacity
  }

  get size(): number {
    return this.#items.length
  }

  /** Adds the newest item and returns the one that had to go, if one had to (`item` itself at capacity 0). */
  push(item: T): T | undefined {
    if (this.capacity === 0) return item
    if (this.#items.length < this.capacity) {
      this.#items.push(item)
      return undefined
    }
    const oldest = this.#items[this.#start]
    this.#items[this.#start] = item
    this.#start = (this.#start + 1) % this.capacity
    return oldest
  }

  /** Oldest at 0; a negative index counts from the newest, as in `Array.at`. */
  at(index: number): T | undefined {
    const from = index < 0 ? this.#items.length + index : index
    if (from < 0 || from >= this.#items.length) return undefined
    return this.#items[(this.#start + from) % this.#items.length]
  }

  /** The newest item that passes. */
  findLast(passes: (item: T) => boolean): T | undefined {
    for (let i = this.#items.length - 1; i >= 0; i--) {
      const item = this.at(i)!
      if (passes(item)) return item
    }
    return undefined
  }

  /** Takes out what passes; the others stay in their order. True if there was any. */
  remove(passes: (item: T) => boolean): boolean {
    const kept = this.toArray().filter(item => !passes(item))
    if (kept.length === this.#items.length) return false
    this.clear()
    this.#items.push(...kept)
    return true
  }

  toArray(): T[] {
    return [...this.#items.slice(this.#start), ...this.#items.slice(0, this.#start)]
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.toArray()[Symbol.iterator]()
  }

  clear(): void {
    this.#items.length = 0
    this.#start = 0
  }
}
