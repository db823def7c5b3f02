// The views of the past: what the registry knew at a position. That is agents, and no more: frameworks, tasks and offers are
// not kept in it.

import { attributesOf } from './agent-table.tsx'
import { type Column, DataTable } from './data-table.tsx'
import { formatCpus, formatMegabytes, formatNumber } from './format.ts'
import { Fact } from './header.tsx'
import { Id } from './id.tsx'
import { Ago } from './now.tsx'
import { agentHref, type Route } from './routes.ts'
import type { AgentRow, Rows } from './rows.ts'
import type { ClusterState, Departed, Past } from './state.ts'

export interface PastViewProps {
  readonly route: Route
  readonly state: ClusterState
  readonly past: Past
  readonly rows: Rows
}

export function PastView({ route, past, rows }: PastViewProps) {
  switch (route.page) {
    case 'overview':
      return (
        <>
          <h1 class="visually-hidden">Overview of the past</h1>
          <Counts past={past} rows={rows} />
          <Agents past={past} rows={rows} />
        </>
      )
    case 'agents':
      return (
        <>
          <h1 class="visually-hidden">Agents of the past</h1>
          <Agents past={past} rows={rows} />
        </>
      )
    case 'agent':
      return <Agent past={past} rows={rows} agentId={route.agentId} />
    default:
      return (
        <p class="empty">
          The registry knows agents only: frameworks, tasks and offers are not kept in the log.{' '}
          <a href="#/">Back to the overview</a>
        </p>
      )
  }
}

function Counts({ past, rows }: { readonly past: Past; readonly rows: Rows }) {
  const { cpus, mem, disk } = rows.total
  return (
    <dl class="facts boxed" aria-label="Counts">
      <Fact name="Admitted agents">{formatNumber(rows.agents.length)}</Fact>
      <Fact name="Unreachable">{formatNumber(past.unreachable.length)}</Fact>
      <Fact name="Gone">{formatNumber(past.gone.length)}</Fact>
      <Fact name="CPUs">{formatCpus(cpus)}</Fact>
      <Fact name="Memory">{formatMegabytes(mem)}</Fact>
      <Fact name="Disk">{formatMegabytes(disk)}</Fact>
    </dl>
  )
}

const columns: readonly Column<AgentRow>[] = [
  {
    title: 'Host',
    value: row => row.host,
    cell: row => (
      <a class="name" href={agentHref(row.id)}>
        {row.agent.port === undefined ? row.host : `${row.host}:${row.agent.port}`}
      </a>
    ),
  },
  { title: 'ID', value: row => row.id, cell: row => <Id id={row.id} what="agent id" /> },
  amount('CPUs', row => row.total.cpus, formatCpus),
  { ...amount('GPUs', row => row.total.gpus, formatCpus), from: 'medium' },
  amount('Mem', row => row.total.mem, formatMegabytes),
  amount('Disk', row => row.total.disk, formatMegabytes),
  {
    title: 'Attributes',
    value: row => attributesOf(row) || undefined,
    cell: row => <span class="message">{attributesOf(row)}</span>,
    from: 'medium',
  },
]

function amount(
  title: string,
  value: (row: AgentRow) => number,
  format: (amount: number) => string,
): Column<AgentRow> {
  return { title, kind: 'number', value, cell: row => format(value(row)) }
}

const departedColumns: readonly Column<Departed>[] = [
  { title: 'ID', value: row => row.id, cell: row => <Id id={row.id} what="agent id" /> },
  {
    title: 'Since',
    kind: 'time',
    value: row => row.time_ms,
    cell: row => <Ago atMs={row.time_ms} />,
  },
]

const idOf = (row: { readonly id: string }) => row.id
const textOf = (row: AgentRow) => `${row.host} ${row.id} ${attributesOf(row)}`
const latest = { title: 'Since', descending: true }

function Agents({ past, rows }: { readonly past: Past; readonly rows: Rows }) {
  return (
    <>
      <DataTable
        title="Admitted agents"
        rows={rows.agents}
        columns={columns}
        keyOf={idOf}
        textOf={textOf}
        initialSort={{ title: 'Host', descending: false }}
        empty="The registry had no agents then."
      />
      {(
        [
          ['Unreachable agents', past.unreachable],
          ['Gone agents', past.gone],
        ] as const
      ).map(
        ([title, list]) =>
          list.length > 0 && (
            <DataTable
              key={title}
              title={title}
              rows={list}
              columns={departedColumns}
              keyOf={idOf}
              textOf={idOf}
              initialSort={latest}
              empty=""
            />
          ),
      )}
    </>
  )
}

function Agent(props: { readonly past: Past; readonly rows: Rows; readonly agentId: string }) {
  const { past, rows, agentId } = props
  const row = rows.agents.find(one => one.id === agentId)
  const { ports } = row?.agent.resources ?? {}
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href="#/agents">Agents</a>
      </nav>
      <h1>{row ? row.host : `Agent ${agentId}`}</h1>
      {row ? (
        <dl class="facts boxed">
          <Fact name="ID">
            <Id id={row.id} what="agent id" />
          </Fact>
          <Fact name="CPUs">{formatCpus(row.total.cpus)}</Fact>
          <Fact name="Memory">{formatMegabytes(row.total.mem)}</Fact>
          <Fact name="Disk">{formatMegabytes(row.total.disk)}</Fact>
          {ports !== undefined && <Fact name="Ports">{ports}</Fact>}
          {attributesOf(row) && <Fact name="Attributes">{attributesOf(row)}</Fact>}
        </dl>
      ) : (
        <p class="note">{whereabouts(agentId, past)}</p>
      )}
    </>
  )
}

function whereabouts(agentId: string, { unreachable, gone, position }: Past) {
  const away = [...unreachable, ...gone].find(({ id }) => id === agentId)
  if (!away) return `At position ${position} the registry did not know this agent.`
  return (
    <>
      At position {position} this agent was {unreachable.includes(away) ? 'unreachable' : 'gone'} (
      <Ago atMs={away.time_ms} />
      ). Of such an agent the registry keeps the id only; go back to see what it had.
    </>
  )
}
