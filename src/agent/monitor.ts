// What each container uses: `/monitor/statistics` in the form of Mesos' endpoint, and the call GET_CONTAINERS. Read when asked,
// nothing is kept.

import { type HttpResponse, json } from '../actors/http.ts'
import type { ContainerID } from '../messages/ids.ts'
import type { AgentExecutor, AgentState } from './agent-state.ts'
import type { ContainerStatistics } from './containerizer/container.ts'
import { containersOf, namedOf } from './nested.ts'
import type { Processes } from './processes.ts'

interface Used {
  readonly executor: AgentExecutor
  readonly containerId: string
  readonly statistics: ContainerStatistics
}

/** Answers with the statistics of all containers that run. `nowMs`: the time they are of. */
export function statisticsResponse(
  state: AgentState,
  processes: Processes,
  nowMs: number,
): HttpResponse {
  const entries: Record<string, unknown>[] = []
  for (const { executor, containerId, statistics } of running(state, processes)) {
    const { id, info, framework } = executor
    entries.push({
      executor_id: id,
      executor_name: info.name ?? '',
      framework_id: framework.id,
      source: info.source ?? '',
      container_id: containerId,
      statistics: { timestamp: nowMs / 1000, ...statistics },
    })
  }
  return json(entries)
}

/** The same as the call answers it. Those of a task group are nested in their executor's. */
export function listContainers(
  state: AgentState,
  processes: Processes,
  { nowMs, isNestedShown }: { readonly nowMs: number; readonly isNestedShown: boolean },
): readonly object[] {
  const entries: object[] = []
  for (const { executor, containerId, statistics } of running(state, processes)) {
    const { id, info, framework } = executor
    const named: ContainerID = namedOf(containerId)
    if (named.parent && !isNestedShown) continue
    entries.push({
      framework_id: { value: framework.id },
      executor_id: { value: id },
      executor_name: info.name ?? '',
      container_id: named,
      container_status: { container_id: named },
      resource_statistics: { timestamp: nowMs / 1000, ...statistics },
    })
  }
  return entries
}

function* running(state: AgentState, processes: Processes): IterableIterator<Used> {
  for (const executor of state.executors()) {
    // Those of a default executor one by one: there is nothing that they have in common.
    for (const containerId of containersOf(executor)) {
      const statistics = processes.usage?.(containerId)
      if (statistics) yield { executor, containerId, statistics }
    }
  }
}
