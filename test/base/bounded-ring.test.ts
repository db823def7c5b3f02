import * as fc from 'fast-check'
import t from 'tap'
import { AssertionError } from '../../src/base/assert.ts'
import { BoundedRing } from '../../src/base/bounded-ring.ts'

t.test('equals the tail of an array', async () => {
  fc.assert(
    fc.property(fc.nat(6), fc.array(fc.nat()), (capacity, items) => {
      const ring = new BoundedRing<number>(capacity)
      const dumb: number[] = []
      for (const item of items) {
        dumb.push(item)
        const dropped = dumb.length > capacity ? dumb.shift() : undefined
        if (ring.push(item) !== dropped) return false
        if (ring.size !== dumb.length || [...ring].join() !== dumb.join()) return false
        for (let i = -capacity - 1; i <= capacity; i++) if (ring.at(i) !== dumb.at(i)) return false
      }
      return true
    }),
  )
})

t.test('what is taken out is gone, the others stay in order', async t => {
  const ring = new BoundedRing<number>(3)
  for (const n of [1, 2, 3, 4]) ring.push(n)
  t.notOk(ring.remove(n => n === 1))
  t.ok(ring.remove(n => n === 3))
  t.strictSame([...ring], [2, 4])
  for (const n of [5, 6]) ring.push(n)
  t.strictSame([...ring], [4, 5, 6])
})

t.test('finds the newest', async t => {
  const ring = new BoundedRing<{ id: string; n: number }>(2)
  for (const n of [1, 2, 3]) ring.push({ id: 'a', n })
  t.equal(ring.findLast(item => item.id === 'a')?.n, 3)
  t.equal(
    ring.findLast(item => item.n === 1),
    undefined,
  )
})

t.test('empties', async t => {
  const ring = new BoundedRing<number>(2)
  for (const n of [1, 2, 3]) ring.push(n)
  ring.clear()
  t.equal(ring.size, 0)
  ring.push(4)
  t.same(ring.toArray(), [4])
})

t.test('refuses a capacity that is none', async t => {
  t.throws(() => new BoundedRing(-1), AssertionError)
  t.throws(() => new BoundedRing(1.5), AssertionError)
})
