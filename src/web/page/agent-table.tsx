// The table of agents: what each has, and how much of it is in use.

import { type Column, DataTable } from './data-table.tsx'
import { formatCpus, formatMegabytes, formatNumber } from './format.ts'
import { Id } from './id.tsx'
import { Ago } from './now.tsx'
import { agentHref } from './routes.ts'
import type { AgentRow, Amounts } from './rows.ts'
import { MemberBadge } from './state-badge.tsx'
import { UsedOf } from './usage-bar.tsx'

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
  { title: 'State', value: row => row.state, cell: row => <MemberBadge state={row.state} /> },
  {
    title: 'Active tasks',
    kind: 'number',
    value: row => row.tasks,
    cell: row => formatNumber(row.tasks),
  },
  used('CPUs', 'cpus', formatCpus),
  { ...used('GPUs', 'gpus', formatCpus), from: 'medium' },
  used('Mem', 'mem', formatMegabytes),
  { ...used('Disk', 'disk', formatMegabytes), from: 'medium' },
  {
    title: 'Attributes',
    value: row => attributesOf(row) || undefined,
    cell: row => (
      <span class="message" title={attributesOf(row)}>
        {attributesOf(row)}
      </span>
    ),
    from: 'medium',
  },
  {
    title: 'Registered',
    kind: 'time',
    value: row => row.registeredMs,
    cell: row => <Ago atMs={row.registeredMs} />,
  },
  {
    title: 'Re-registered',
    kind: 'time',
    value: row => row.reregisteredMs,
    cell: row => <Ago atMs={row.reregisteredMs} />,
    from: 'wide',
  },
]

function used(
  title: string,
  name: keyof Amounts,
  format: (value: number) => string,
): Column<AgentRow> {
  return {
    title,
    kind: 'number',
    value: row => row.used[name],
    cell: row => <UsedOf used={row.used[name]} total={row.total[name]} format={format} />,
  }
}

/** `rack:r1, level:10`, as one writes them on the agent's command line. */
export function attributesOf(row: AgentRow): string {
  return Object.entries(row.agent.attributes ?? {})
    .map(([name, value]) => `${name}:${value}`)
    .join(', ')
}

const keyOf = (row: AgentRow) => row.id
const textOf = (row: AgentRow) => `${row.host} ${row.id} ${row.state} ${attributesOf(row)}`

export interface AgentTableProps {
  readonly rows: readonly AgentRow[]
  readonly unreachable: number
  /** Known to the registry, not back since the master started. */
  readonly awaited: number
  readonly address: string
}

export function AgentTable({ rows, unreachable, awaited, address }: AgentTableProps) {
  return (
    <>
      <h1 class="visually-hidden">Agents</h1>
      {awaited > 0 && (
        <p class="note">
          {awaited === 1 ? '1 more agent has' : `${formatNumber(awaited)} more agents have`} not
          come back yet since the master started.
        </p>
      )}
      {unreachable > 0 && (
        <p class="note">
          {unreachable === 1 ? '1 more agent is' : `${formatNumber(unreachable)} more agents are`}{' '}
          unreachable: the master keeps the ids and takes them back when they answer again.
        </p>
      )}
      <DataTable
        title="Agents"
        rows={rows}
        columns={columns}
        keyOf={keyOf}
        textOf={textOf}
        initialSort={{ title: 'Host', descending: false }}
        empty={awaited > 0 ? 'None is back yet.' : <NoAgents address={address} />}
      />
    </>
  )
}

/** What a newcomer does next: one command that brings resources. */
export function NoAgents({ address }: { readonly address: string }) {
  return (
    <>
      No agents yet. Start one: <code>mesos-agent --master={address}</code>
    </>
  )
}
