// `/monitor/statistics`: what each container uses, in the form of Mesos' endpoint. Read when asked, nothing is kept.

import { type HttpResponse, json } from '../actors/http.ts'
import type { AgentState } from './agent-state.ts'
import { containersOf } from './nested.ts'
import type { Processes } from './processes.ts'

/** Answers with the statistics of all containers that run. `nowMs`: the time they are of. */
export function statisticsResponse(
  state: AgentState,
  processes: Processes,
  nowMs: number,
): HttpResponse {
  const entries: Record<string, unknown>[] = []
  for (const executor of state.executors()) {
    const { id, info, framework } = executor
    // Those of a default executor one by one: there is nothing that they have in common.
    for (const containerId of containersOf(executor)) {
      const statistics = processes.usage?.(containerId)
      if (!statistics) continue
      entries.push({
        executor_id: id,
        executor_name: info.name ?? '',
        framework_id: framework.id,
        source: info.source ?? '',
        container_id: containerId,
        statistics: { timestamp: nowMs / 1000, ...statistics },
      })
    }
  }
  return json(entries)
}
