// What an operator should look at first, in words, each with the place to look.

import { formatDuration, plural, stateName } from './format.ts'
import { agentHref, frameworkHref, taskHref } from './routes.ts'
import type { Rows, TaskRow } from './rows.ts'
import type { ClusterState } from './state.ts'
import { toneOf } from './task-state.ts'

export interface Concern {
  readonly tone: 'bad' | 'unsure'
  readonly text: string
  readonly href?: string
}

/** Failures older than this are history, not news. */
export const recentMs = 15 * 60_000

/** The worst first; empty when all is well. `nowMs` by the master's clock. */
export function concernsOf(state: ClusterState, rows: Rows, nowMs: number): Concern[] {
  return [
    ...failedTasks(rows, nowMs),
    ...unreachableAgents(state, rows),
    ...disconnectedAgents(rows),
    ...awaitedAgents(state),
    ...disconnectedFrameworks(rows),
  ]
}

function failedTasks(rows: Rows, nowMs: number): Concern[] {
  let count = 0
  let latest: TaskRow | undefined
  for (const row of rows.completed) {
    if (toneOf(row.state) !== 'bad' || (row.stoppedMs ?? 0) < nowMs - recentMs) continue
    count++
    if (!latest || (row.stoppedMs ?? 0) > (latest.stoppedMs ?? 0)) latest = row
  }
  if (!latest) return []
  const why = latest.message || stateName(latest.state)
  return [
    {
      tone: 'bad',
      text: `${plural(count, 'task')} failed in the last ${formatDuration(recentMs)}; the latest, “${latest.name}”: ${why}`,
      href: taskHref(latest.frameworkId, latest.id, { view: 'read', path: 'stderr' }),
    },
  ]
}

function unreachableAgents(state: ClusterState, rows: Rows): Concern[] {
  const agents = state.unreachable_slaves ?? 0
  const tasks = rows.unreachable.length
  if (agents === 0 && tasks === 0) return []
  const are = agents === 1 ? 'is' : 'are'
  const text =
    tasks === 0
      ? `${plural(agents, 'agent')} ${are} unreachable`
      : `${plural(agents, 'agent')} ${are} unreachable, and with that ${plural(tasks, 'task')}`
  return [{ tone: 'bad', text, href: '#/agents' }]
}

function disconnectedAgents(rows: Rows): Concern[] {
  const agents = rows.agents.filter(row => row.state === 'Disconnected')
  const first = agents[0]
  if (!first) return []
  const names = agents.slice(0, 3).map(row => row.host)
  const more = agents.length > 3 ? ` and ${agents.length - 3} more` : ''
  return [
    {
      tone: 'unsure',
      text: `${plural(agents.length, 'agent')} disconnected: ${names.join(', ')}${more}`,
      href: agents.length === 1 ? agentHref(first.id) : '#/agents',
    },
  ]
}

function awaitedAgents(state: ClusterState): Concern[] {
  const agents = state.recovered_slaves?.length ?? 0
  if (agents === 0) return []
  const have = agents === 1 ? 'has' : 'have'
  const text = `${plural(agents, 'agent')} ${have} not come back yet since the master started`
  return [{ tone: 'unsure', text, href: '#/agents' }]
}

function disconnectedFrameworks(rows: Rows): Concern[] {
  return rows.frameworks
    .filter(row => row.state === 'Disconnected')
    .slice(0, 5)
    .map(row => {
      const graceMs = (row.framework.failover_timeout ?? 0) * 1000
      const fate =
        row.tasks > 0
          ? `: ${plural(row.tasks, 'task')} will be killed unless it returns within ${formatDuration(graceMs)} of leaving`
          : ''
      return {
        tone: 'unsure',
        text: `Framework “${row.name}” is disconnected${fate}`,
        href: frameworkHref(row.id),
      }
    })
}
