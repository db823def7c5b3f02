import * as fc from 'fast-check'
import t from 'tap'
import { AssertionError } from '../../src/base/assert.ts'
import { Heap } from '../../src/base/heap.ts'

interface Item {
  readonly key: number
}

const byKey = (a: Item, b: Item): number => a.key - b.key

t.test('empty', async t => {
  const heap = new Heap<Item>(byKey)
  t.equal(heap.size, 0)
  t.equal(heap.peek(), undefined)
  t.equal(heap.pop(), undefined)
  t.equal(heap.remove({ key: 1 }), false)
})

t.test('ties are broken by the comparator', async t => {
  const heap = new Heap<{ at: number; sequence: number }>(
    (a, b) => a.at - b.at || a.sequence - b.sequence,
  )
  for (const sequence of [3, 1, 2]) heap.push({ at: 7, sequence })
  t.same(
    [heap.pop(), heap.pop(), heap.pop()].map(item => item?.sequence),
    [1, 2, 3],
  )
})

t.test('a member is told by identity and stands inside once', async t => {
  const heap = new Heap<Item>(byKey)
  const item = { key: 1 }
  heap.push(item)
  t.ok(heap.has(item))
  t.notOk(heap.has({ key: 1 }))
  t.throws(() => heap.push(item), AssertionError)
  t.ok(heap.remove(item))
  t.notOk(heap.remove(item))
  heap.push(item)
  heap.clear()
  t.notOk(heap.has(item))
  t.equal(heap.size, 0)
})

t.test('equals a sorted array under any pushes, pops and removals', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('push' as const), n: fc.integer({ min: -20, max: 20 }) }),
    fc.record({ do: fc.constant('pop' as const), n: fc.constant(0) }),
    fc.record({ do: fc.constant('remove' as const), n: fc.nat(100) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const heap = new Heap<Item>(byKey)
      let dumb: Item[] = []
      for (const { do: action, n } of steps) {
        if (action === 'push') {
          const item = { key: n }
          heap.push(item)
          dumb.push(item)
        } else if (action === 'pop') {
          const popped = heap.pop()
          if (popped?.key !== minKey(dumb)) return false
          dumb = dumb.filter(item => item !== popped)
        } else if (dumb.length > 0) {
          const [victim] = dumb.splice(n % dumb.length, 1)
          if (!heap.remove(victim!)) return false
        }
        if (heap.size !== dumb.length || heap.peek()?.key !== minKey(dumb)) return false
        if (!dumb.every(item => heap.has(item)) || [...heap.items()].length !== dumb.length)
          return false
      }
      return true
    }),
  )
})

const minKey = (items: readonly Item[]): number | undefined =>
  items.length === 0 ? undefined : Math.min(...items.map(item => item.key))
