// The tables of frameworks: those the master knows, and those that ended.

import { type Column, DataTable } from './data-table.tsx'
import { formatCpus, formatMegabytes, formatNumber, formatPercent } from './format.ts'
import { Id } from './id.tsx'
import { Ago } from './now.tsx'
import { frameworkHref } from './routes.ts'
import type { FrameworkRow, Rows } from './rows.ts'
import { MemberBadge } from './state-badge.tsx'

const name: Column<FrameworkRow> = {
  title: 'Name',
  value: row => row.name,
  cell: row => (
    <a class="name" href={frameworkHref(row.id)} title={row.name}>
      {row.name || '(no name)'}
    </a>
  ),
}

const who: readonly Column<FrameworkRow>[] = [
  name,
  {
    title: 'ID',
    value: row => row.id,
    cell: row => <Id id={row.id} what="framework id" />,
  },
  { title: 'State', value: row => row.state, cell: row => <MemberBadge state={row.state} /> },
  { title: 'Host', value: row => row.host, cell: row => <HostLink row={row} />, from: 'medium' },
  { title: 'User', value: row => row.user, cell: row => row.user, from: 'medium' },
  { title: 'Roles', value: row => row.roles, cell: row => row.roles },
  { title: 'Principal', value: row => row.principal, cell: row => row.principal, from: 'wide' },
]

const has: readonly Column<FrameworkRow>[] = [
  number('Active tasks', row => row.tasks, formatNumber),
  number('CPUs', row => row.used.cpus, formatCpus),
  { ...number('GPUs', row => row.used.gpus, formatCpus), from: 'medium' },
  number('Mem', row => row.used.mem, formatMegabytes),
  { ...number('Disk', row => row.used.disk, formatMegabytes), from: 'medium' },
  number('Max share', row => row.maxShare, formatPercent),
]

const registered = time('Registered', row => row.registeredMs)

const columns: readonly Column<FrameworkRow>[] = [
  ...who,
  ...has,
  registered,
  { ...time('Re-registered', row => row.reregisteredMs), from: 'wide' },
]
const completedColumns = [...who, registered, time('Unregistered', row => row.unregisteredMs)]

function number(
  title: string,
  value: (row: FrameworkRow) => number,
  format: (value: number) => string,
): Column<FrameworkRow> {
  return { title, kind: 'number', value, cell: row => format(value(row)) }
}

function time(
  title: string,
  value: (row: FrameworkRow) => number | undefined,
): Column<FrameworkRow> {
  return { title, kind: 'time', value, cell: row => <Ago atMs={value(row)} /> }
}

/** The framework's own page, where it has one. */
export function HostLink({ row }: { readonly row: FrameworkRow }) {
  if (!row.webUrl) return <>{row.host}</>
  return (
    <a href={row.webUrl} rel="noopener noreferrer" title={`Web page of ${row.name}`}>
      {row.host || row.webUrl}
    </a>
  )
}

const keyOf = (row: FrameworkRow) => row.id
const textOf = (row: FrameworkRow) =>
  `${row.name} ${row.id} ${row.state} ${row.host} ${row.user} ${row.roles} ${row.principal}`

export function FrameworkTables({
  rows,
  address,
}: {
  readonly rows: Rows
  readonly address: string
}) {
  return (
    <>
      <h1 class="visually-hidden">Frameworks</h1>
      <DataTable
        title="Frameworks"
        rows={rows.frameworks}
        columns={columns}
        keyOf={keyOf}
        textOf={textOf}
        initialSort={{ title: 'Registered', descending: true }}
        empty={<NoFrameworks address={address} />}
      />
      <DataTable
        title="Completed frameworks"
        rows={rows.completedFrameworks}
        columns={completedColumns}
        keyOf={keyOf}
        textOf={textOf}
        initialSort={{ title: 'Unregistered', descending: true }}
        empty="No framework has ended yet."
      />
    </>
  )
}

/** What a newcomer does next: one command that makes something run. */
export function NoFrameworks({ address }: { readonly address: string }) {
  return (
    <>
      No frameworks yet. Run something:{' '}
      <code>mesos-execute --master={address} --name=hello --command='echo hello'</code>
    </>
  )
}
