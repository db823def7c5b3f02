// The table of offers that frameworks hold and have not answered.

import { type Column, DataTable } from './data-table.tsx'
import { formatCpus, formatMegabytes } from './format.ts'
import { Id } from './id.tsx'
import { agentHref, frameworkHref } from './routes.ts'
import type { Amounts, OfferRow, Rows } from './rows.ts'

const columns: readonly Column<OfferRow>[] = [
  { title: 'ID', value: row => row.id, cell: row => <Id id={row.id} what="offer id" /> },
  { title: 'Role', value: row => row.role, cell: row => row.role },
  {
    title: 'Framework',
    value: row => row.frameworkName,
    cell: row => (
      <a class="name soft" href={frameworkHref(row.frameworkId)} title={row.frameworkId}>
        {row.frameworkName}
      </a>
    ),
  },
  {
    title: 'Host',
    value: row => row.host,
    cell: row => (
      <a class="soft" href={agentHref(row.agentId)} title={row.agentId}>
        {row.host ?? 'Agent offline'}
      </a>
    ),
  },
  amount('CPUs', 'cpus', formatCpus),
  { ...amount('GPUs', 'gpus', formatCpus), from: 'medium' },
  amount('Mem', 'mem', formatMegabytes),
  amount('Disk', 'disk', formatMegabytes),
]

function amount(
  title: string,
  name: keyof Amounts,
  format: (value: number) => string,
): Column<OfferRow> {
  return {
    title,
    kind: 'number',
    value: row => row.amounts[name],
    cell: row => format(row.amounts[name]),
  }
}

const keyOf = (row: OfferRow) => row.id
const textOf = (row: OfferRow) =>
  `${row.id} ${row.role} ${row.frameworkName} ${row.frameworkId} ${row.host ?? ''} ${row.agentId}`

export function OfferTable({ rows }: { readonly rows: Rows }) {
  return (
    <>
      <h1 class="visually-hidden">Offers</h1>
      <DataTable
        title="Offers"
        rows={rows.offers}
        columns={columns}
        keyOf={keyOf}
        textOf={textOf}
        initialSort={{ title: 'ID', descending: false }}
        empty={whyNone(rows)}
      />
    </>
  )
}

function whyNone(rows: Rows): string {
  if (rows.agents.length === 0) return 'No offers: there are no agents to offer anything of.'
  if (rows.frameworks.length === 0) return 'No offers: there is no framework to offer anything to.'
  return 'No offers are waiting for an answer: what is free was declined for now, or nothing is free.'
}
