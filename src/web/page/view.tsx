// From the address to the view that it names.

import { AgentPage } from './agent-page.tsx'
import { AgentTable } from './agent-table.tsx'
import { FrameworkPage } from './framework-page.tsx'
import { FrameworkTables } from './framework-table.tsx'
import { OfferTable } from './offer-table.tsx'
import { Overview } from './overview.tsx'
import { PastView } from './past-view.tsx'
import type { Route } from './routes.ts'
import type { Rows } from './rows.ts'
import { type ClusterState, leaderAddress } from './state.ts'
import { TaskPage } from './task-page.tsx'
import type { World } from './world.ts'

export interface ViewProps {
  readonly route: Route
  readonly state: ClusterState
  readonly rows: Rows
  readonly world: World
  readonly host: string
}

export function View({ route, state, rows, world, host }: ViewProps) {
  if (state.past) return <PastView route={route} state={state} past={state.past} rows={rows} />
  const address = leaderAddress(state, host)
  switch (route.page) {
    case 'overview':
      return <Overview state={state} rows={rows} address={address} />
    case 'frameworks':
      return <FrameworkTables rows={rows} address={address} />
    case 'framework':
      return <FrameworkPage key={route.frameworkId} rows={rows} frameworkId={route.frameworkId} />
    case 'agents':
      return (
        <AgentTable
          rows={rows.agents}
          unreachable={state.unreachable_slaves ?? 0}
          awaited={state.recovered_slaves?.length ?? 0}
          address={address}
        />
      )
    case 'agent':
      return <AgentPage key={route.agentId} rows={rows} agentId={route.agentId} world={world} />
    case 'offers':
      return <OfferTable rows={rows} />
    case 'task':
      return <TaskPage route={route} rows={rows} world={world} />
    case 'unknown':
      return (
        <p class="empty">
          There is no view “{route.hash}”. <a href="#/">Back to the overview</a>
        </p>
      )
  }
}
