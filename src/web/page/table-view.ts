// Filter, sort and page over plain rows: what is shown is always at most one page, however many
// rows there are.

export const pageSize = 50

export type SortValue = string | number | undefined

/** Keeps the rows whose text holds every word of `query`, in any order and case. */
export function filterRows<Row>(
  rows: readonly Row[],
  query: string,
  textOf: (row: Row) => string,
): readonly Row[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return rows
  return rows.filter(row => {
    const text = textOf(row).toLowerCase()
    return words.every(word => text.includes(word))
  })
}

/**
 * A sorted copy: equal rows keep their order, rows without a value come last in both directions.
 */
export function sortRows<Row>(
  rows: readonly Row[],
  valueOf: (row: Row) => SortValue,
  descending: boolean,
): readonly Row[] {
  const sign = descending ? -1 : 1
  // Keys are made once per row, not once per comparison: with 50,000 rows that is a factor of
  // thirty.
  return rows
    .map(row => ({ row, key: sortKey(valueOf(row)) }))
    .sort((a, b) => {
      if (a.key === b.key) return 0
      if (a.key === undefined) return 1
      if (b.key === undefined) return -1
      return a.key < b.key ? -sign : sign
    })
    .map(entry => entry.row)
}

/** Text sorts as people count: `task-9` before `task-10`, capitals or not. */
function sortKey(value: SortValue): SortValue {
  if (typeof value !== 'string') return value
  return value.toLowerCase().replace(/\d+/g, digits => digits.padStart(12, '0'))
}

export interface Page<Row> {
  readonly rows: readonly Row[]
  /** From 0; the last page when more was asked for than there is. */
  readonly page: number
  readonly pages: number
  /** Positions from 1 of the first and last row shown; both 0 when there is none. */
  readonly first: number
  readonly last: number
  readonly total: number
}

export function pageOf<Row>(
  rows: readonly Row[],
  wanted: number,
  size: number = pageSize,
): Page<Row> {
  const pages = Math.max(1, Math.ceil(rows.length / size))
  const page = Math.min(Math.max(0, wanted), pages - 1)
  const shown = rows.slice(page * size, (page + 1) * size)
  return {
    rows: shown,
    page,
    pages,
    first: shown.length === 0 ? 0 : page * size + 1,
    last: page * size + shown.length,
    total: rows.length,
  }
}
