// What each container uses: `/monitor/statistics` in the form of Mesos' endpoint, and the call GET_CONTAINERS. Read when asked,
// nothing is kept.

import { type HttpResponse, jsonText } from '../actors/http.ts'
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
  const entries: string[] = []
  for (const used of running(state, processes)) {
    const { head, tail } = textOf(used)
    entries.push(head + String(nowMs / 1000) + tail)
  }
  return jsonText(`[${entries.join(',')}]`)
}

interface EntryText {
  readonly head: string
  readonly tail: string
}

/** What is as it was when it was asked for last is the same object, and need not be made text again. */
const texts = new WeakMap<ContainerStatistics, EntryText>()

/** What is before the time, and behind it. */
function textOf({ executor, containerId, statistics }: Used): EntryText {
  const known = texts.get(statistics)
  if (known) return known
  const { id, info, framework } = executor
  const before = JSON.stringify({
    executor_id: id,
    executor_name: info.name ?? '',
    framework_id: framework.id,
    source: info.source ?? '',
    container_id: containerId,
  })
  const after = JSON.stringify(statistics).slice(1)
  const made = {
    head: `${before.slice(0, -1)},"statistics":{"timestamp":`,
    tail: `${after === '}' ? '' : ','}${after}}`,
  }
  texts.set(statistics, made)
  return made
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
