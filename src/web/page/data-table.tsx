// A table that filters, sorts and pages; it never renders more than one page of rows.

import type { ComponentChildren } from 'preact'
import { useId, useMemo, useState } from 'preact/hooks'
import { formatNumber } from './format.ts'
import { filterRows, type Page, pageOf, type SortValue, sortRows } from './table-view.ts'

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  /** What the column sorts by; a column without it does not sort. */
  readonly value?: (row: Row) => SortValue
  /** `number` and `time` columns show the largest and latest first. */
  readonly kind?: 'number' | 'time'
  /** The smallest screen that has room for it; without it, every screen. */
  readonly from?: 'medium' | 'wide'
}

export interface Sort {
  readonly title: string
  readonly descending: boolean
}

export interface DataTableProps<Row> {
  readonly title: string
  readonly rows: readonly Row[]
  readonly columns: readonly Column<Row>[]
  readonly keyOf: (row: Row) => string
  /** What the filter looks in. */
  readonly textOf: (row: Row) => string
  readonly initialSort: Sort
  /** Shown instead of rows when there are none: says what to do. */
  readonly empty: ComponentChildren
}

export function DataTable<Row>(props: DataTableProps<Row>) {
  const { title, rows, columns, textOf } = props
  const [query, setQuery] = useState('')
  const [sort, setSort] = useState(props.initialSort)
  const [wanted, setWanted] = useState(0)
  const id = useId()

  const found = useMemo(() => filterRows(rows, query, textOf), [rows, query, textOf])
  const sorted = useMemo(() => {
    const column = columns.find(one => one.title === sort.title)
    return column?.value ? sortRows(found, column.value, sort.descending) : found
  }, [found, columns, sort])
  const page = pageOf(sorted, wanted)

  return (
    <section class="table-section" aria-labelledby={id}>
      <div class="table-head">
        <h2 id={id}>
          {title} <span class="count">{formatNumber(rows.length)}</span>
        </h2>
        {(rows.length > 1 || query !== '') && (
          <input
            type="search"
            placeholder="Filter…"
            aria-label={`Filter ${title.toLowerCase()}`}
            value={query}
            onInput={event => {
              setQuery(event.currentTarget.value)
              setWanted(0)
            }}
          />
        )}
        {query !== '' && (
          <span class="found" role="status">
            {formatNumber(found.length)} of {formatNumber(rows.length)}
          </span>
        )}
        <Pager title={title} page={page} onPage={setWanted} />
      </div>
      {rows.length === 0 ? (
        <p class="empty">{props.empty}</p>
      ) : (
        <div class="table-scroll">
          <table>
            <caption class="visually-hidden">{captionOf(title, sort, page)}</caption>
            <thead>
              <tr>
                {columns.map(column => (
                  <Heading key={column.title} column={column} sort={sort} onSort={setSort} />
                ))}
              </tr>
            </thead>
            <tbody>
              <Body page={page} columns={columns} keyOf={props.keyOf} />
              {found.length === 0 && (
                <tr>
                  <td colSpan={columns.length} class="empty">
                    Nothing matches “{query}”.{' '}
                    <button type="button" class="link" onClick={() => setQuery('')}>
                      Clear the filter
                    </button>
                  </td>
                </tr>
              )}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function captionOf<Row>(title: string, sort: Sort, page: Page<Row>): string {
  const order = sort.descending ? 'descending' : 'ascending'
  return `${title}, rows ${page.first} to ${page.last} of ${page.total}, by ${sort.title} ${order}`
}

function Heading<Row>(props: {
  readonly column: Column<Row>
  readonly sort: Sort
  readonly onSort: (sort: Sort) => void
}) {
  const { column, sort, onSort } = props
  const sorted = sort.title === column.title
  const order = sort.descending ? 'descending' : 'ascending'
  // The first click shows what one mostly looks for: the most, the latest, or the alphabet from its
  // start.
  const descending = sorted ? !sort.descending : column.kind !== undefined
  return (
    <th scope="col" class={classOf(column)} aria-sort={sorted ? order : undefined}>
      {column.value ? (
        <button type="button" onClick={() => onSort({ title: column.title, descending })}>
          {column.title}
          <span class="arrow" aria-hidden="true">
            {sorted ? (sort.descending ? '▾' : '▴') : ''}
          </span>
        </button>
      ) : (
        column.title
      )}
    </th>
  )
}

function Body<Row>(props: {
  readonly page: Page<Row>
  readonly columns: readonly Column<Row>[]
  readonly keyOf: (row: Row) => string
}) {
  // An id can come twice (a task's id may be used again once it is over), a key must not.
  const seen = new Map<string, number>()
  return props.page.rows.map(row => {
    const key = props.keyOf(row)
    const again = seen.get(key) ?? 0
    seen.set(key, again + 1)
    return (
      <tr key={again === 0 ? key : `${key} ${again}`}>
        {props.columns.map(column => (
          <td key={column.title} class={classOf(column)}>
            {column.cell(row)}
          </td>
        ))}
      </tr>
    )
  })
}

function classOf<Row>(column: Column<Row>): string {
  return [column.kind, column.from && `from-${column.from}`].filter(Boolean).join(' ')
}

function Pager<Row>(props: {
  readonly title: string
  readonly page: Page<Row>
  readonly onPage: (page: number) => void
}) {
  const { title, page, onPage } = props
  if (page.pages === 1) return null
  const last = page.pages - 1
  return (
    <nav class="pager" aria-label={`Pages of ${title.toLowerCase()}`}>
      <span>
        {formatNumber(page.first)}–{formatNumber(page.last)} of {formatNumber(page.total)}
      </span>
      <Turn name="First page" sign="«" to={0} off={page.page === 0} onPage={onPage} />
      <Turn
        name="Previous page"
        sign="‹"
        to={page.page - 1}
        off={page.page === 0}
        onPage={onPage}
      />
      <Turn name="Next page" sign="›" to={page.page + 1} off={page.page === last} onPage={onPage} />
      <Turn name="Last page" sign="»" to={last} off={page.page === last} onPage={onPage} />
    </nav>
  )
}

function Turn(props: {
  readonly name: string
  readonly sign: string
  readonly to: number
  readonly off: boolean
  readonly onPage: (page: number) => void
}) {
  return (
    <button
      type="button"
      class="quiet"
      aria-label={props.name}
      title={props.name}
      disabled={props.off}
      onClick={() => props.onPage(props.to)}
    >
      {props.sign}
    </button>
  )
}
