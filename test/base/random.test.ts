import * as fc from 'fast-check'
import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'

const draw = (random: SeededRandom, count: number): number[] =>
  Array.from({ length: count }, () => random.next())

t.test('a seed repeats its sequence, another gives another', async t => {
  t.same(draw(new SeededRandom(7), 20), draw(new SeededRandom(7), 20))
  t.notSame(draw(new SeededRandom(7), 20), draw(new SeededRandom(8), 20))
  t.notSame(draw(new SeededRandom(7), 20), draw(new SeededRandom(7 + 2 ** 32), 20))
  t.notSame(draw(new SeededRandom([1, 2]), 20), draw(new SeededRandom([1, 3]), 20))
})

t.test('numbers stay within their bounds', async () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 31 }), (seed, below) => {
      const random = new SeededRandom(seed)
      const float = random.next()
      const integer = random.integer(below)
      return float >= 0 && float < 1 && Number.isInteger(integer) && integer >= 0 && integer < below
    }),
  )
})

t.test('draws are spread evenly', async t => {
  const random = new SeededRandom(1)
  const buckets = Array.from({ length: 8 }, () => 0)
  for (let i = 0; i < 8_000; i++) buckets[random.integer(8)]!++
  // Seven degrees of freedom: chi-squared is above 24.3 for one seed in a thousand. This seed is fixed.
  const chiSquared = buckets.reduce((sum, n) => sum + (n - 1_000) ** 2 / 1_000, 0)
  t.ok(chiSquared < 24.3, `chi-squared is ${chiSquared}`)
  t.equal(new Set(random.bytes(4_096)).size, 256, 'every byte comes up')
})

t.test('uuids are of version 4 and differ', async t => {
  const random = new SeededRandom(1)
  const uuids = Array.from({ length: 100 }, () => random.uuid())
  for (const uuid of uuids) {
    t.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  }
  t.equal(new Set(uuids).size, 100)
})

t.test('a shuffle keeps the members, leaves its input alone and reaches every order', async t => {
  const random = new SeededRandom(1)
  const input = ['a', 'b', 'c']
  const orders = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const order = random.shuffle(input)
    t.same([...order].sort(), input)
    orders.add(order.join(''))
  }
  t.same(input, ['a', 'b', 'c'])
  t.equal(orders.size, 6)
})
