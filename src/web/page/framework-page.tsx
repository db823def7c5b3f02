// One framework: who it is, what it holds, its tasks.

import { useMemo } from 'preact/hooks'
import { formatCpus, formatDuration, formatMegabytes, formatPercent } from './format.ts'
import { HostLink } from './framework-table.tsx'
import { Fact } from './header.tsx'
import { Id } from './id.tsx'
import { Ago } from './now.tsx'
import type { Rows, TaskRow } from './rows.ts'
import { MemberBadge } from './state-badge.tsx'
import { TaskTables } from './task-table.tsx'

export interface FrameworkPageProps {
  readonly rows: Rows
  readonly frameworkId: string
}

export function FrameworkPage({ rows, frameworkId }: FrameworkPageProps) {
  const tasks = useMemo(() => {
    const own = (row: TaskRow) => row.frameworkId === frameworkId
    return {
      active: rows.active.filter(own),
      unreachable: rows.unreachable.filter(own),
      completed: rows.completed.filter(own),
    }
  }, [rows, frameworkId])
  const row = [...rows.frameworks, ...rows.completedFrameworks].find(one => one.id === frameworkId)
  if (!row) {
    return (
      <p class="empty">
        The master knows no framework {frameworkId} (any more).{' '}
        <a href="#/frameworks">All frameworks</a>
      </p>
    )
  }
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href="#/frameworks">Frameworks</a>
      </nav>
      <h1>
        {row.name} <MemberBadge state={row.state} />
      </h1>
      <dl class="facts boxed">
        <Fact name="ID">
          <Id id={row.id} what="framework id" />
        </Fact>
        <Fact name="Roles">{row.roles || '–'}</Fact>
        <Fact name="User">{row.user || '–'}</Fact>
        {row.principal && <Fact name="Principal">{row.principal}</Fact>}
        {(row.host || row.webUrl) && (
          <Fact name="Host">
            <HostLink row={row} />
          </Fact>
        )}
        <Fact name="CPUs">{formatCpus(row.used.cpus)}</Fact>
        <Fact name="Mem">{formatMegabytes(row.used.mem)}</Fact>
        <Fact name="Disk">{formatMegabytes(row.used.disk)}</Fact>
        <Fact name="Max share">{formatPercent(row.maxShare)}</Fact>
        <Fact name="Failover timeout">
          {formatDuration((row.framework.failover_timeout ?? 0) * 1000)}
        </Fact>
        <Fact name="Registered">
          <Ago atMs={row.registeredMs} />
        </Fact>
        {row.reregisteredMs !== undefined && (
          <Fact name="Re-registered">
            <Ago atMs={row.reregisteredMs} />
          </Fact>
        )}
        {row.unregisteredMs !== undefined && (
          <Fact name="Unregistered">
            <Ago atMs={row.unregisteredMs} />
          </Fact>
        )}
      </dl>
      <TaskTables {...tasks} noneActive="This framework has no active tasks." />
    </>
  )
}
