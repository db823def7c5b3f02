// The numbers at the top of the overview: who is there, what runs, how full the cluster is.

import { type Amounts, type Rows, sum } from './rows.ts'
import type { ClusterState } from './state.ts'

/** One resource of all active agents, cut in three; `used + offered + free` is `total`. */
export interface Usage {
  readonly used: number
  readonly offered: number
  readonly free: number
  readonly total: number
}

export interface Summary {
  readonly agents: {
    readonly active: number
    readonly inactive: number
    readonly unreachable: number
  }
  /** Tasks by state, the usual states always present (0), others only when there are such tasks. */
  readonly tasks: readonly { readonly state: string; readonly count: number }[]
  readonly usage: Readonly<Record<keyof Amounts, Usage>>
}

const usualStates = [
  'TASK_STAGING',
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_UNREACHABLE',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_KILLED',
  'TASK_FAILED',
  'TASK_LOST',
]

export function summaryOf(state: ClusterState, rows: Rows): Summary {
  const counts = new Map(usualStates.map(name => [name, 0]))
  for (const list of [rows.active, rows.unreachable, rows.completed]) {
    for (const row of list) counts.set(row.state, (counts.get(row.state) ?? 0) + 1)
  }
  const active = state.slaves.filter(agent => agent.active)
  const used = sum(active.map(agent => agent.used_resources))
  const offered = sum(active.map(agent => agent.offered_resources))
  const usage = (name: keyof Amounts) => usageOf(used[name], offered[name], rows.total[name])
  return {
    agents: {
      active: active.length,
      inactive: state.slaves.length - active.length,
      unreachable: state.unreachable_slaves ?? 0,
    },
    tasks: [...counts].map(([name, count]) => ({ state: name, count })),
    usage: {
      cpus: usage('cpus'),
      gpus: usage('gpus'),
      mem: usage('mem'),
      disk: usage('disk'),
    },
  }
}

/**
 * Rounds away what adding floats leaves behind, so that a full cluster shows 0 free and not -1e-15.
 */
export function usageOf(used: number, offered: number, total: number): Usage {
  const free = Math.max(0, Math.round((total - used - offered) * 1e6) / 1e6)
  return { used, offered, free, total }
}
