import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DrfSorter, type Scalars } from '../../../src/master/allocator/drf-sorter.ts'

const scalars = (cpus: number, mem: number): Scalars =>
  new Map([['cpus', cpus * 1000] as const, ['mem', mem * 1000] as const].filter(([, n]) => n !== 0))

t.test("the example of the paper: nine CPUs and 18 GB for A's and B's tasks", async t => {
  const sorter = new DrfSorter()
  sorter.addTotal(scalars(9, 18))
  sorter.add('A')
  sorter.add('B')
  const needs = { A: scalars(1, 4), B: scalars(3, 1) } as const
  const left = { cpus: 9_000, mem: 18_000 }
  const served: string[] = []
  for (;;) {
    const [next] = sorter.sorted() as Iterable<'A' | 'B'>
    const need = needs[next!]
    if (need.get('cpus')! > left.cpus || need.get('mem')! > left.mem) break
    left.cpus -= need.get('cpus')!
    left.mem -= need.get('mem')!
    sorter.allocated(next!, need)
    served.push(next!)
  }
  // A's share grows by 4/18 of the memory a task, B's by 3/9 of the CPUs. The paper ends with three tasks of A and two
  // of B, where both have 2/3.
  t.same(served.sort(), ['A', 'A', 'A', 'B', 'B'])
  t.ok(Math.abs(sorter.share('A') - 2 / 3) < 1e-9)
  t.ok(Math.abs(sorter.share('B') - 2 / 3) < 1e-9)
})

t.test('a share is divided by its weight', async t => {
  const sorter = new DrfSorter()
  sorter.addTotal(scalars(10, 10))
  sorter.add('heavy', 2)
  sorter.add('light')
  sorter.allocated('heavy', scalars(4, 1))
  sorter.allocated('light', scalars(3, 1))
  // heavy: 4/10 ÷ 2 = 0.2; light: 3/10 ÷ 1 = 0.3
  t.equal(sorter.share('heavy'), 0.2)
  t.equal(sorter.share('light'), 0.3)
  t.same([...sorter.sorted()], ['heavy', 'light'])
})

t.test('equals go by the number of allocations, then by name', async t => {
  const sorter = new DrfSorter()
  sorter.addTotal(scalars(10, 10))
  for (const name of ['c', 'b', 'a']) sorter.add(name)
  t.same([...sorter.sorted()], ['a', 'b', 'c'])
  sorter.allocated('a', scalars(1, 1))
  sorter.recovered('a', scalars(1, 1))
  t.same([...sorter.sorted()], ['b', 'c', 'a'])
  t.ok(sorter.isIdle('a'))
})

t.test('who is inactive or unknown is not served, and counts all the same', async t => {
  const sorter = new DrfSorter()
  sorter.addTotal(scalars(10, 10))
  sorter.add('a')
  sorter.add('b')
  sorter.allocated('a', scalars(5, 1))
  sorter.setActive('a', false)
  t.same([...sorter.sorted()], ['b'])
  t.equal(sorter.share('a'), 0.5)
  sorter.allocated('nobody', scalars(1, 1))
  t.equal(sorter.share('nobody'), 0)
  sorter.setActive('a', true)
  sorter.remove('b')
  t.same([...sorter.sorted()], ['a'])
  sorter.removeTotal(scalars(10, 10))
  t.equal(sorter.share('a'), 0, 'a share of nothing is none')
})

t.test('the order that is kept is the order that sorting anew would give', async t => {
  const name = fc.integer({ min: 0, max: 30 }).map(n => `c${n}`)
  const amount = fc.integer({ min: 0, max: 5 })
  const operation = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant('allocated' as const),
        name,
        cpus: amount,
        mem: amount,
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('recovered' as const), name }) },
    fc.record({ op: fc.constant('add' as const), name, weight: fc.constantFrom(1, 2, 0.5) }),
    fc.record({ op: fc.constant('remove' as const), name }),
    fc.record({ op: fc.constant('active' as const), name, active: fc.boolean() }),
    fc.record({ op: fc.constant('total' as const), cpus: amount }),
    fc.record({ op: fc.constant('look' as const) }),
  )
  const property = fc.property(fc.array(operation, { maxLength: 150 }), operations => {
    const sorter = new DrfSorter()
    sorter.addTotal(scalars(100, 100))
    let cpus = 100
    const dumb = new Map<
      string,
      { weight: number; active: boolean; count: number; held: [number, number][] }
    >()
    const sorted = () =>
      [...dumb]
        .map(([name, { weight, active, count, held }]) => {
          const sum = (i: 0 | 1) => held.reduce((all, part) => all + part[i] * 1000, 0)
          const share = Math.max(sum(0) / (cpus * 1000), sum(1) / 100_000) / weight
          return { name, active, count, share }
        })
        .filter(client => client.active)
        .sort((a, b) => a.share - b.share || a.count - b.count || (a.name < b.name ? -1 : 1))
        .map(client => client.name)
    const check = () => deepEqual([...sorter.sorted()], sorted())
    for (const o of operations) {
      if (o.op === 'look') check()
      else if (o.op === 'total') {
        sorter.addTotal(scalars(o.cpus, 0))
        cpus += o.cpus
      } else if (o.op === 'add') {
        sorter.add(o.name, o.weight)
        if (!dumb.has(o.name))
          dumb.set(o.name, { weight: o.weight, active: true, count: 0, held: [] })
      } else if (o.op === 'remove') {
        sorter.remove(o.name)
        dumb.delete(o.name)
      } else if (o.op === 'active') {
        sorter.setActive(o.name, o.active)
        const client = dumb.get(o.name)
        if (client) client.active = o.active
      } else {
        const client = dumb.get(o.name)
        if (o.op === 'allocated') {
          sorter.allocated(o.name, scalars(o.cpus, o.mem))
          if (client) client.count++
          client?.held.push([o.cpus, o.mem])
        } else {
          const part = client?.held.pop()
          if (part) sorter.recovered(o.name, scalars(...part))
        }
      }
    }
    check()
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 100 }))
})
