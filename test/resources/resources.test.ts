import * as fc from 'fast-check'
import t from 'tap'
import type { Range } from '../../src/messages/values.ts'
import type { Resource } from '../../src/messages/resource.ts'
import {
  containsRanges,
  countRanges,
  normalise,
  subtractRanges,
  takeRanges,
  unionRanges,
} from '../../src/resources/ranges.ts'
import { Resources } from '../../src/resources/resources.ts'

const role = fc.constantFrom('*', 'eng', 'eng/web')
const reservations = fc.constantFrom<Resource['reservations'][]>(
  undefined,
  undefined,
  [{ type: 'STATIC', role: 'eng' }],
  [
    { type: 'STATIC', role: 'eng' },
    { type: 'DYNAMIC', role: 'eng/web', principal: 'p' },
  ],
)
const extras = fc.constantFrom<Partial<Resource>>({}, {}, {}, { revocable: {} })
const range = fc
  .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 6 }))
  .map(([begin, length]): Range => ({ begin, end: begin + length }))
const scalar = fc.record({
  name: fc.constantFrom('cpus', 'mem'),
  type: fc.constant('SCALAR' as const),
  scalar: fc.record({ value: fc.integer({ min: 1, max: 5000 }).map(milli => milli / 1000) }),
})
const ranges = fc.record({
  name: fc.constant('ports'),
  type: fc.constant('RANGES' as const),
  ranges: fc.record({ range: fc.array(range, { maxLength: 4 }).map(list => [...normalise(list)]) }),
})
const set = fc.record({
  name: fc.constant('disks'),
  type: fc.constant('SET' as const),
  set: fc.record({ item: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd')) }),
})
const volume = fc
  .tuple(fc.constantFrom('v1', 'v2'), fc.integer({ min: 1, max: 2 }), fc.boolean())
  .map(
    ([id, value, isShared]): Resource => ({
      name: 'disk',
      type: 'SCALAR',
      scalar: { value },
      disk: { persistence: { id }, volume: { mode: 'RW', container_path: 'data' } },
      ...(isShared ? { shared: {} } : undefined),
    }),
  )
const resource: fc.Arbitrary<Resource> = fc
  .tuple(fc.oneof(scalar, scalar, ranges, set, volume), reservations, extras, fc.option(role))
  .map(([amount, stack, extra, allocation]) => ({
    ...amount,
    ...(stack ? { reservations: stack } : undefined),
    ...extra,
    ...(allocation === null ? undefined : { allocation_info: { role: allocation } }),
  }))
const list = fc.array(resource, { maxLength: 8 })

/** Every thousandth, value, item or whole thing as a member of a multiset (sets and ranges: of a set). */
function dumb(resources: readonly Resource[]): Map<string, number> {
  const out = new Map<string, number>()
  for (const r of resources) {
    const { scalar: amount, ranges: values, set: items, ...rest } = r
    const isWhole = r.shared !== undefined || r.disk?.persistence !== undefined
    const kind = JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (isWhole) {
      const key = `${kind}=${amount?.value}`
      out.set(key, (out.get(key) ?? 0) + 1)
    } else if (amount) {
      out.set(kind, (out.get(kind) ?? 0) + Math.round(amount.value * 1000))
    } else {
      for (const item of items?.item ?? []) out.set(`${kind}/${item}`, 1)
      for (const { begin, end } of values?.range ?? []) {
        for (let i = begin; i <= end; i++) out.set(`${kind}/${i}`, 1)
      }
    }
  }
  return out
}

const sorted = (map: Map<string, number>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
const isSetLike = (key: string) => /\/[^/"\]]+$/.test(key)

t.test('laws of addition and subtraction', async t => {
  fc.assert(
    fc.property(list, list, list, (x, y, z) => {
      const [a, b, c] = [Resources.of(x), Resources.of(y), Resources.of(z)]
      t.ok(a.add(b).equals(b.add(a)), 'commutative')
      t.ok(a.add(b.add(c)).equals(a.add(b).add(c)), 'associative')
      t.ok(a.add(b).contains(a), 'a sum contains its parts')
      t.ok(a.subtract(a).isEmpty)
      t.ok(Resources.sum([a, b, c]).equals(a.add(b).add(c)))
      // Ranges and sets do not count: what both have is taken away whole.
      const overlap = a.filter(k => k.type !== 'SCALAR')
      if (overlap.isEmpty) t.ok(a.add(b).subtract(b).equals(a), 'a + b - b = a')
      t.equal(a.contains(b) && b.contains(a), a.equals(b))
      if (a.contains(b)) t.ok(a.subtract(b).add(b).equals(a), 'a - b + b = a if b is in a')
    }),
    { numRuns: 150 },
  )
})

t.test('fast equals dumb', async t => {
  fc.assert(
    fc.property(list, list, (x, y) => {
      const [a, b] = [Resources.of(x), Resources.of(y)]
      const [m, n] = [dumb(x), dumb(y)]
      t.same(sorted(dumb(a.list())), sorted(m), 'of and list lose nothing')

      const sum = new Map(m)
      for (const [key, count] of n) sum.set(key, isSetLike(key) ? 1 : (sum.get(key) ?? 0) + count)
      t.same(sorted(dumb(a.add(b).list())), sorted(sum), 'add')

      const rest = new Map(m)
      for (const [key, count] of n) {
        const left = (rest.get(key) ?? 0) - count
        if (left > 0) rest.set(key, left)
        else rest.delete(key)
      }
      t.same(sorted(dumb(a.subtract(b).list())), sorted(rest), 'subtract')
      t.equal(
        a.contains(b),
        [...n].every(([key, count]) => (m.get(key) ?? 0) >= count),
        'contains',
      )
    }),
    { numRuns: 150 },
  )
})

t.test('ranges against sets of integers', async t => {
  const members = (values: readonly Range[]) => {
    const out = new Set<number>()
    for (const { begin, end } of values) for (let i = begin; i <= end; i++) out.add(i)
    return out
  }
  const ascending = (values: Iterable<number>) => [...values].sort((a, b) => a - b)
  fc.assert(
    fc.property(fc.array(range), fc.array(range), fc.nat(20), (x, y, count) => {
      const [a, b] = [normalise(x), normalise(y)]
      const [m, n] = [members(x), members(y)]
      t.same(ascending(members(a)), ascending(m))
      t.ok(
        a.every((r, i) => i === 0 || r.begin > a[i - 1]!.end + 1),
        'normal form',
      )
      t.same(ascending(members(unionRanges(a, b))), ascending(new Set([...m, ...n])))
      t.same(ascending(members(subtractRanges(a, b))), ascending([...m].filter(i => !n.has(i))))
      t.equal(
        containsRanges(a, b),
        [...n].every(i => m.has(i)),
      )
      t.equal(countRanges(a), m.size)
      t.same(ascending(members(takeRanges(a, count))), ascending(m).slice(0, count))
    }),
  )
})

t.test('three decimals count, without drift', async t => {
  const cpus = (value: number) =>
    Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value } }])
  t.equal(cpus(0.1).add(cpus(0.2)).get('cpus'), 0.3)
  t.ok(cpus(0.3).contains(cpus(0.1).add(cpus(0.2))))
  t.ok(cpus(0.3).subtract(cpus(0.1)).subtract(cpus(0.2)).isEmpty)
  t.ok(cpus(0.0004).isEmpty)
  t.ok(cpus(-1).isEmpty, 'nothing negative is let in')
  t.equal(cpus(1).scalars().get('cpus'), 1000)
})

t.test('both reservation forms are one', async t => {
  const at = (fields: Partial<Resource>) =>
    Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, ...fields }])
  t.ok(at({ role: '*' }).equals(at({})))
  t.ok(at({ role: 'a' }).equals(at({ reservations: [{ type: 'STATIC', role: 'a' }] })))
  const labels = { labels: [{ key: 'x', value: '1' }, { key: 'y' }] }
  const turned = { labels: [{ key: 'y' }, { value: '1', key: 'x' }] }
  const old = at({ role: 'a', reservation: { principal: 'p', labels } })
  const stack = [{ type: 'DYNAMIC' as const, role: 'a', principal: 'p', labels: turned }]
  t.ok(old.equals(at({ reservations: stack })), 'whatever the order of fields and labels')
  t.notOk(old.equals(at({ role: 'a' })))
  t.same(old.list()[0]?.role, undefined, 'the list has the new form')
})

t.test('filters and groups', async t => {
  const all = Resources.of([
    { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
    { name: 'cpus', type: 'SCALAR', scalar: { value: 2 }, role: 'eng' },
    { name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, revocable: {} },
    { name: 'disks', type: 'SET', set: { item: ['b', 'a'] } },
  ])
  t.equal(all.get('cpus'), 7)
  t.equal(all.get('mem'), 0)
  t.equal(all.reserved().get('cpus'), 2)
  t.equal(all.reserved('eng').get('cpus'), 2)
  t.ok(all.reserved('other').isEmpty)
  t.equal(all.unreserved().nonRevocable().get('cpus'), 4)
  t.equal(all.revocable().get('cpus'), 1)
  t.same(all.items('disks'), ['a', 'b'])
  t.same([...all.reservations().keys()], ['eng'])

  const mine = all.allocate('eng')
  t.notOk(all.contains(mine), 'an allocation is part of the kind')
  t.ok(mine.unallocate().equals(all))
  t.ok(mine.add(all).unallocate().equals(all.add(all)))
  t.same([...mine.add(all).allocations().keys()], ['eng'])
  t.equal(mine.allocate('eng'), mine, 'nothing changes, nothing is made')
})

t.test('volumes are whole', async t => {
  const make = (value: number, fields: Partial<Resource> = {}): Resource => ({
    name: 'disk',
    type: 'SCALAR',
    scalar: { value },
    disk: { persistence: { id: 'v' }, volume: { mode: 'RW', container_path: 'data' } },
    ...fields,
  })
  const one = Resources.of([make(10)])
  t.notOk(one.contains(Resources.of([make(5)])), 'no part of a volume is a volume')
  t.equal(one.add(one).list().length, 2)
  t.equal(one.add(one).get('disk'), 20)
  const shared = Resources.of([make(10, { shared: {} })])
  t.equal(shared.add(shared).list().length, 2)
  t.equal(shared.add(shared).get('disk'), 10, 'what is shared counts once')
  t.ok(shared.add(shared).subtract(shared).equals(shared))
  const mount = { source: { type: 'MOUNT' as const, mount: { root: '/mnt' } } }
  t.notOk(
    Resources.of([make(10, { disk: mount })]).contains(Resources.of([make(5, { disk: mount })])),
  )
})

t.test('find picks a part', async t => {
  const all = Resources.of([
    { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
    { name: 'cpus', type: 'SCALAR', scalar: { value: 2 }, role: 'eng' },
    { name: 'cpus', type: 'SCALAR', scalar: { value: 8 }, revocable: {} },
    { name: 'mem', type: 'SCALAR', scalar: { value: 100 } },
    {
      name: 'ports',
      type: 'RANGES',
      ranges: {
        range: [
          { begin: 7, end: 8 },
          { begin: 10, end: 20 },
        ],
      },
    },
  ])
  const part = all.find({ cpus: 3, mem: 50, ports: 3 })
  t.ok(part && all.contains(part))
  t.equal(part?.get('cpus'), 3)
  t.equal(part?.reserved('eng').get('cpus'), 2, 'what is reserved first')
  t.same(part?.ports(), [
    { begin: 7, end: 8 },
    { begin: 10, end: 10 },
  ])
  t.equal(all.find({ cpus: 7 })?.nonRevocable().isEmpty, true, 'never both kinds')
  t.equal(all.find({ cpus: 9 }), undefined)
  t.equal(all.find({ gpus: 1 }), undefined)
  t.equal(all.find({ ports: 14 }), undefined)
  t.ok(all.find({ cpus: 0 })?.isEmpty)
  fc.assert(
    fc.property(list, fc.integer({ min: 1, max: 9000 }), fc.nat(9), (x, milli, ports) => {
      const from = Resources.of(x)
      const found = from.find({ cpus: milli / 1000, ports })
      if (!found) return
      t.ok(from.contains(found))
      t.equal(found.scalars().get('cpus'), milli)
      t.equal(found.list().filter(r => r.name !== 'cpus' && r.name !== 'ports').length, 0)
    }),
    { numRuns: 100 },
  )
})

t.test('lists are shared and frozen', async t => {
  const a = Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 4 } }])
  t.equal(a.list(), a.list())
  t.throws(() => a.list().push({ name: 'x', type: 'SET' }), TypeError)
  t.equal(JSON.stringify(a), '[{"name":"cpus","type":"SCALAR","scalar":{"value":4}}]')
  t.equal(a.add(Resources.empty), a)
  t.equal(Resources.empty.add(a), a)
  t.equal(a.subtract(Resources.empty), a)
})
