// The three tables of tasks: active, unreachable, completed.

import type { ComponentChildren } from 'preact'
import { type Column, DataTable } from './data-table.tsx'
import { stateName } from './format.ts'
import { Id } from './id.tsx'
import { Ago } from './now.tsx'
import { agentHref, frameworkHref, taskHref } from './routes.ts'
import type { TaskRow } from './rows.ts'
import { StateBadge } from './state-badge.tsx'
import { toneOf } from './task-state.ts'

const name: Column<TaskRow> = {
  title: 'Task',
  value: row => row.name,
  cell: row => (
    <a class="name" href={taskHref(row.frameworkId, row.id)} title={row.name}>
      {row.name || '(no name)'}
    </a>
  ),
}

const id: Column<TaskRow> = {
  title: 'Task ID',
  value: row => row.id,
  cell: row => <Id id={row.id} what="task id" />,
  from: 'medium',
}

const framework: Column<TaskRow> = {
  title: 'Framework',
  value: row => row.frameworkName,
  cell: row => (
    <a class="name soft" href={frameworkHref(row.frameworkId)} title={row.frameworkId}>
      {row.frameworkName}
    </a>
  ),
}

const role: Column<TaskRow> = {
  title: 'Role',
  value: row => row.role,
  cell: row => row.role,
  from: 'medium',
}

const state: Column<TaskRow> = {
  title: 'State',
  value: row => stateName(row.state),
  cell: row => <StateBadge state={row.state} />,
}

const health: Column<TaskRow> = {
  title: 'Health',
  value: row => (row.healthy === undefined ? undefined : row.healthy ? 'healthy' : 'unhealthy'),
  cell: row => <Health healthy={row.healthy} />,
  from: 'medium',
}

/**
 * What has not started yet counts as the very latest: a task that never gets going must not end on
 * the last page.
 */
const starting: Column<TaskRow> = {
  title: 'Started',
  kind: 'time',
  value: row => row.startedMs ?? Number.POSITIVE_INFINITY,
  cell: row => <Ago atMs={row.startedMs} />,
}

const started: Column<TaskRow> = {
  title: 'Started',
  kind: 'time',
  value: row => row.startedMs,
  cell: row => <Ago atMs={row.startedMs} />,
}

const stopped: Column<TaskRow> = {
  title: 'Stopped',
  kind: 'time',
  value: row => row.stoppedMs,
  cell: row => <Ago atMs={row.stoppedMs} />,
}

const host: Column<TaskRow> = {
  title: 'Host',
  value: row => row.host,
  cell: row =>
    row.host === undefined ? (
      <span class="none" title={row.agentId}>
        Agent offline
      </span>
    ) : (
      <a class="soft" href={agentHref(row.agentId)} title={row.agentId}>
        {row.host}
      </a>
    ),
}

const agent: Column<TaskRow> = {
  title: 'Agent ID',
  value: row => row.agentId,
  cell: row => <Id id={row.agentId} what="agent id" />,
}

const message: Column<TaskRow> = {
  title: 'Message',
  value: row => row.message || undefined,
  cell: row => (
    <span class={toneOf(row.state) === 'bad' ? 'message bad' : 'message'} title={row.message}>
      {row.message}
    </span>
  ),
  from: 'medium',
}

const output: Column<TaskRow> = {
  title: 'Output',
  cell: row => (
    <span class="links">
      <OutputLink row={row} file="stdout" /> <OutputLink row={row} file="stderr" />
    </span>
  ),
}

function OutputLink({ row, file }: { readonly row: TaskRow; readonly file: string }) {
  const href = taskHref(row.frameworkId, row.id, { view: 'read', path: file })
  return (
    <a href={href} aria-label={`${file} of ${row.name}`}>
      {file}
    </a>
  )
}

export function Health({ healthy }: { readonly healthy: boolean | undefined }) {
  if (healthy === undefined) return <span class="none">–</span>
  return healthy ? (
    <span class="badge good">Healthy</span>
  ) : (
    <span class="badge bad">Unhealthy</span>
  )
}

const activeColumns = [name, id, framework, role, state, health, starting, host, output]
const unreachableColumns = [name, id, framework, role, state, started, agent]
const completedColumns = [name, id, framework, role, state, message, started, stopped, host, output]

const keyOf = (row: TaskRow) => `${row.frameworkId}/${row.id}/${row.startedMs ?? ''}`
const textOf = (row: TaskRow) =>
  `${row.name} ${row.id} ${row.frameworkName} ${row.frameworkId} ${row.role} ${stateName(row.state)} ${row.host ?? ''} ${row.agentId} ${row.message}`
const latestStarted = { title: 'Started', descending: true }
const latestStopped = { title: 'Stopped', descending: true }

export interface TaskTablesProps {
  readonly active: readonly TaskRow[]
  readonly unreachable: readonly TaskRow[]
  readonly completed: readonly TaskRow[]
  /** What to do when nothing runs. */
  readonly noneActive: ComponentChildren
}

export function TaskTables({ active, unreachable, completed, noneActive }: TaskTablesProps) {
  return (
    <>
      <DataTable
        title="Active tasks"
        rows={active}
        columns={activeColumns}
        keyOf={keyOf}
        textOf={textOf}
        initialSort={latestStarted}
        empty={noneActive}
      />
      {unreachable.length > 0 && (
        <DataTable
          title="Unreachable tasks"
          rows={unreachable}
          columns={unreachableColumns}
          keyOf={keyOf}
          textOf={textOf}
          initialSort={latestStarted}
          empty=""
        />
      )}
      <DataTable
        title="Completed tasks"
        rows={completed}
        columns={completedColumns}
        keyOf={keyOf}
        textOf={textOf}
        initialSort={latestStopped}
        empty="No task has ended yet."
      />
    </>
  )
}
