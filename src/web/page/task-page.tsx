// One task: its life step by step, and what it wrote.

import { formatCpus, formatMegabytes } from './format.ts'
import { Fact } from './header.tsx'
import { Id } from './id.tsx'
import { Output } from './output.tsx'
import { defaultSandbox, agentHref, frameworkHref, type Route, taskHref } from './routes.ts'
import type { Rows, TaskRow } from './rows.ts'
import { amounts } from './rows.ts'
import { SandboxFiles } from './sandbox-files.tsx'
import { StateBadge } from './state-badge.tsx'
import { Health } from './task-table.tsx'
import { Timeline } from './timeline-list.tsx'
import { sandboxPath } from './timeline.ts'
import type { World } from './world.ts'

type TaskRoute = Extract<Route, { page: 'task' }>

export interface TaskPageProps {
  readonly route: TaskRoute
  readonly rows: Rows
  readonly world: World
}

export function TaskPage({ route, rows, world }: TaskPageProps) {
  const row = findTask(rows, route.frameworkId, route.taskId)
  if (!row) {
    return (
      <p class="empty">
        The master knows no task {route.taskId} of framework {route.frameworkId} (any more).{' '}
        <a href="#/">All tasks</a>
      </p>
    )
  }
  const { sandbox } = route
  const path = sandboxPath(row.task, sandbox.path)
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href="#/">Tasks</a>
        <a href={frameworkHref(row.frameworkId)}>{row.frameworkName}</a>
      </nav>
      <h1>
        {row.name || row.id} <StateBadge state={row.state} />
      </h1>
      <TaskFacts row={row} />
      <Timeline task={row.task} />
      <section class="sandbox" aria-label="Output">
        <Tabs row={row} route={route} />
        {sandbox.view === 'read' ? (
          <Output key={`${row.agentId}${path}`} world={world} agentId={row.agentId} path={path} />
        ) : (
          <SandboxFiles
            key={`${row.agentId}${path}`}
            world={world}
            row={row}
            path={sandbox.path}
            virtualPath={path}
          />
        )}
      </section>
    </>
  )
}

/** An id may have been used again: what runs now comes first, then what ended last. */
function findTask(rows: Rows, frameworkId: string, taskId: string): TaskRow | undefined {
  const same = (row: TaskRow) => row.id === taskId && row.frameworkId === frameworkId
  return rows.active.find(same) ?? rows.unreachable.find(same) ?? rows.completed.findLast(same)
}

function TaskFacts({ row }: { readonly row: TaskRow }) {
  const { cpus, mem, disk } = amounts(row.task.resources)
  const container = row.task.statuses?.findLast(status => status.container_status)
  const containerId = container?.container_status?.container_id?.value
  return (
    <dl class="facts boxed">
      <Fact name="ID">
        <Id id={row.id} what="task id" />
      </Fact>
      <Fact name="Framework">
        <a href={frameworkHref(row.frameworkId)}>{row.frameworkName}</a>
      </Fact>
      <Fact name="Host">
        <a href={agentHref(row.agentId)} title={row.agentId}>
          {row.host ?? 'Agent offline'}
        </a>
      </Fact>
      <Fact name="Role">{row.role || '–'}</Fact>
      {row.task.user && <Fact name="User">{row.task.user}</Fact>}
      <Fact name="CPUs">{formatCpus(cpus)}</Fact>
      <Fact name="Mem">{formatMegabytes(mem)}</Fact>
      {disk > 0 && <Fact name="Disk">{formatMegabytes(disk)}</Fact>}
      {row.task.resources.ports && <Fact name="Ports">{row.task.resources.ports}</Fact>}
      {row.healthy !== undefined && (
        <Fact name="Health">
          <Health healthy={row.healthy} />
        </Fact>
      )}
      {row.task.executor_id && (
        <Fact name="Executor">
          <Id id={row.task.executor_id} what="executor id" />
        </Fact>
      )}
      {containerId && (
        <Fact name="Container">
          <Id id={containerId} what="container id" />
        </Fact>
      )}
      {(row.task.labels ?? []).map(label => (
        <Fact key={label.key} name={label.key}>
          {label.value ?? ''}
        </Fact>
      ))}
    </dl>
  )
}

function Tabs({ row, route }: { readonly row: TaskRow; readonly route: TaskRoute }) {
  const { view, path } = route.sandbox
  const other = view === 'read' && path !== 'stdout' && path !== 'stderr'
  const read = (file: string) => taskHref(row.frameworkId, row.id, { view: 'read', path: file })
  return (
    <nav class="tabs" aria-label="Files of the task">
      <Tab
        href={read(defaultSandbox.path)}
        title="stdout"
        current={view === 'read' && path === 'stdout'}
      />
      <Tab href={read('stderr')} title="stderr" current={view === 'read' && path === 'stderr'} />
      {other && <Tab href={read(path)} title={path} current />}
      <Tab
        href={taskHref(row.frameworkId, row.id, { view: 'browse', path: '' })}
        title="All files"
        current={view === 'browse'}
      />
    </nav>
  )
}

function Tab(props: { readonly href: string; readonly title: string; readonly current: boolean }) {
  return (
    <a href={props.href} aria-current={props.current ? 'page' : undefined}>
      {props.title}
    </a>
  )
}
