import * as fc from 'fast-check'
import t from 'tap'
import { AssertionError } from '../../src/base/assert.ts'
import { IntervalSet } from '../../src/base/interval-set.ts'

const bounds = fc
  .tuple(fc.integer({ min: -5, max: 40 }), fc.nat(8))
  .map(([begin, length]) => ({ begin, end: begin + length }))
const steps = fc.array(fc.record({ add: fc.boolean(), bounds }), { maxLength: 30 })

/** The same steps on an interval set and on a plain set. */
function build(list: readonly { add: boolean; bounds: { begin: number; end: number } }[]) {
  const fast = new IntervalSet()
  const dumb = new Set<number>()
  for (const {
    add,
    bounds: { begin, end },
  } of list) {
    if (add) fast.add(begin, end)
    else fast.remove(begin, end)
    for (let n = begin; n <= end; n++) {
      if (add) dumb.add(n)
      else dumb.delete(n)
    }
  }
  return { fast, dumb }
}

const sorted = (set: Iterable<number>): number[] => [...set].sort((a, b) => a - b)
const text = (members: readonly number[]): string => members.join(' ')

/** Sorted, and no two touch. */
function isCanonical(set: IntervalSet): boolean {
  const list = set.intervals()
  return list.every(
    ({ begin, end }, i) => begin <= end && (i === 0 || begin > list[i - 1]!.end + 1),
  )
}

t.test('adds and removes as a set of numbers does', async () => {
  fc.assert(
    fc.property(steps, list => {
      const { fast, dumb } = build(list)
      const members = sorted(dumb)
      for (let n = -8; n <= 50; n++) if (fast.contains(n) !== dumb.has(n)) return false
      return (
        isCanonical(fast) &&
        text([...fast]) === text(members) &&
        fast.size === dumb.size &&
        fast.isEmpty === (dumb.size === 0) &&
        fast.min === members[0] &&
        fast.max === members.at(-1)
      )
    }),
  )
})

t.test('operations on two sets', async () => {
  fc.assert(
    fc.property(steps, steps, (listA, listB) => {
      const a = build(listA)
      const b = build(listB)
      const both = a.fast.intersect(b.fast)
      const either = a.fast.union(b.fast)
      const less = a.fast.difference(b.fast)
      const inA = sorted(a.dumb)
      return (
        [both, either, less].every(isCanonical) &&
        text([...both]) === text(inA.filter(n => b.dumb.has(n))) &&
        text([...either]) === text(sorted(new Set([...a.dumb, ...b.dumb]))) &&
        text([...less]) === text(inA.filter(n => !b.dumb.has(n))) &&
        a.fast.containsAll(b.fast) === [...b.dumb].every(n => a.dumb.has(n)) &&
        a.fast.equals(b.fast) === (text(inA) === text(sorted(b.dumb))) &&
        text([...a.fast]) === text(inA)
      )
    }),
  )
})

t.test('whole intervals', async t => {
  const ports = new IntervalSet([
    { begin: 31_000, end: 31_499 },
    { begin: 31_500, end: 32_000 },
  ])
  t.same(ports.intervals(), [{ begin: 31_000, end: 32_000 }])
  t.ok(ports.contains(31_000, 32_000))
  t.notOk(ports.contains(31_999, 32_001))
  t.equal(String(IntervalSet.of(3, 1, 2, 7)), '[1-3,7-7]')
  t.equal(String(new IntervalSet()), '[]')
})

t.test('a clone goes its own way', async t => {
  const first = IntervalSet.of(1, 2)
  const second = first.clone()
  second.remove(1)
  t.same([...first], [1, 2])
  t.same([...second], [2])
  first.clear()
  t.ok(first.isEmpty)
})

t.test('bounds that are none', async t => {
  const set = new IntervalSet()
  t.throws(() => set.add(2, 1), AssertionError)
  t.throws(() => set.remove(0.5), AssertionError)
})
