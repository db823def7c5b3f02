// Filter, sort and page: quick, and the same as the plain way.

import * as fc from 'fast-check'
import t from 'tap'
import { filterRows, pageOf, pageSize, sortRows } from '../../../src/web/page/table-view.ts'

const same = (text: string) => text

t.test('filter: every word, any order, any case', async t => {
  const rows = ['web-1 Running node-1', 'web-2 Failed node-1', 'etl-1 Running node-2']
  t.strictSame(filterRows(rows, 'WEB running', same), ['web-1 Running node-1'])
  t.strictSame(filterRows(rows, 'node-1 web', same), rows.slice(0, 2))
  t.strictSame(filterRows(rows, 'nothing', same), [])
  t.equal(filterRows(rows, '  ', same), rows, 'no filter is no work')
})

t.test('sort: as people count, without a value last', async t => {
  const names = ['task-10', 'Task-9', 'task-1', undefined, 'alpha']
  t.strictSame(
    sortRows(names, name => name, false),
    ['alpha', 'task-1', 'Task-9', 'task-10', undefined],
  )
  t.strictSame(
    sortRows(names, name => name, true),
    ['task-10', 'Task-9', 'task-1', 'alpha', undefined],
  )
})

t.test('sort of numbers is the plain sort, stable, and leaves the rows as they were', async t => {
  const anyRows = fc.array(fc.record({ at: fc.integer({ min: 0, max: 5 }), id: fc.nat() }))
  fc.assert(
    fc.property(anyRows, fc.boolean(), (rows, descending) => {
      const before = [...rows]
      const plain = rows.toSorted((a, b) => (descending ? b.at - a.at : a.at - b.at))
      t.strictSame(
        sortRows(rows, row => row.at, descending),
        plain,
      )
      t.strictSame(rows, before)
    }),
    { numRuns: 50 },
  )
})

t.test('pages put together are the rows, each at most a page long', async t => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 260 }), rows => {
      const { pages } = pageOf(rows, 0)
      const all = Array.from({ length: pages }, (_, page) => pageOf(rows, page))
      t.strictSame(
        all.flatMap(page => page.rows),
        rows,
      )
      t.ok(all.every(page => page.rows.length <= pageSize))
      t.ok(all.every(page => page.last - page.first + 1 === page.rows.length || page.first === 0))
    }),
    { numRuns: 50 },
  )
})

t.test('a page that is gone becomes the last one', async t => {
  const rows = Array.from({ length: 51 }, (_, index) => index)
  t.match(pageOf(rows, 7), { page: 1, pages: 2, first: 51, last: 51, rows: [50] })
  t.match(pageOf([], 3), { page: 0, pages: 1, first: 0, last: 0, total: 0 })
})
