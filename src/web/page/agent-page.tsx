// One agent: what it has, how full it is, what runs on it.

import { useMemo } from 'preact/hooks'
import { attributesOf } from './agent-table.tsx'
import { formatCpus, formatMegabytes } from './format.ts'
import { Fact } from './header.tsx'
import { Id } from './id.tsx'
import { Ago } from './now.tsx'
import type { Rows, TaskRow } from './rows.ts'
import { MemberBadge } from './state-badge.tsx'
import { usageOf } from './summary.ts'
import { TaskTables } from './task-table.tsx'
import { UsageBar } from './usage-bar.tsx'
import { WhyOffers } from './why-offers.tsx'
import type { World } from './world.ts'

export interface AgentPageProps {
  readonly rows: Rows
  readonly agentId: string
  readonly world: World
}

export function AgentPage({ rows, agentId, world }: AgentPageProps) {
  const tasks = useMemo(() => {
    const here = (row: TaskRow) => row.agentId === agentId
    return {
      active: rows.active.filter(here),
      unreachable: rows.unreachable.filter(here),
      completed: rows.completed.filter(here),
    }
  }, [rows, agentId])
  const row = rows.agents.find(one => one.id === agentId)
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href="#/agents">Agents</a>
      </nav>
      {row ? (
        <>
          <h1>
            {row.host} <MemberBadge state={row.state} />
          </h1>
          <dl class="facts boxed">
            <Fact name="ID">
              <Id id={row.id} what="agent id" />
            </Fact>
            {row.agent.pid && <Fact name="Address">{row.agent.pid}</Fact>}
            {row.agent.version && <Fact name="Version">{row.agent.version}</Fact>}
            {attributesOf(row) && <Fact name="Attributes">{attributesOf(row)}</Fact>}
            {row.agent.resources.ports && <Fact name="Ports">{row.agent.resources.ports}</Fact>}
            <Fact name="Registered">
              <Ago atMs={row.registeredMs} />
            </Fact>
            {row.reregisteredMs !== undefined && (
              <Fact name="Re-registered">
                <Ago atMs={row.reregisteredMs} />
              </Fact>
            )}
          </dl>
          <section class="usages boxed" aria-label="Resources">
            <UsageBar
              title="CPUs"
              usage={usageOf(row.used.cpus, row.offered.cpus, row.total.cpus)}
              format={formatCpus}
            />
            <UsageBar
              title="Memory"
              usage={usageOf(row.used.mem, row.offered.mem, row.total.mem)}
              format={formatMegabytes}
            />
            <UsageBar
              title="Disk"
              usage={usageOf(row.used.disk, row.offered.disk, row.total.disk)}
              format={formatMegabytes}
              small
            />
          </section>
        </>
      ) : (
        <>
          <h1>Agent offline</h1>
          <p class="note">
            The master has no agent {agentId} at the moment: it is unreachable, or gone. What it ran
            is below, as far as the master remembers.
          </p>
        </>
      )}
      <TaskTables {...tasks} noneActive="Nothing runs on this agent." />
      {row && <WhyOffers world={world} rows={rows} agentId={agentId} />}
    </>
  )
}
