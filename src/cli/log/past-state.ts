// A registry of the past in the form of the master's `/state`, so that the dashboard can show it. Pure.

import { VERSION } from '../../base/version.ts'
import type { AgentInfo } from '../../messages/agent.ts'
import { stateAttributes, stateReservations, stateResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'
import { changeText } from './changes.ts'
import type { History, Past } from './history.ts'
import { whatText, whoText } from './steps.ts'

/** So many operations of one position, and changes of one operation, are shown; there may be thousands. */
const MOST_SHOWN = 50

/**
 * What `/state` says, as far as a registry knows it: no frameworks, no tasks, no offers, nothing of who was connected. Beside it
 * `past`: which moment this is, and what was written then.
 */
export function pastState(past: Past, history: History, directory: string): object {
  const { registry, position, writtenAt, timeMs, steps } = past
  const { master, agents, unreachable, gone } = registry
  const departed = (list: ReadonlyMap<string, number>): readonly object[] =>
    [...list].map(([id, time_ms]) => ({ id, time_ms }))
  return {
    version: master?.version ?? VERSION,
    start_time: 0,
    elected_time: 0,
    id: master?.id ?? '',
    ...(master && {
      leader: master.pid,
      leader_info: {
        id: master.id,
        pid: master.pid,
        port: master.port,
        hostname: master.hostname ?? '',
      },
    }),
    activated_slaves: agents.size,
    deactivated_slaves: 0,
    unreachable_slaves: unreachable.size,
    slaves: [...agents].map(([id, info]) => agentJson(id, info)),
    recovered_slaves: [],
    frameworks: [],
    completed_frameworks: [],
    orphan_tasks: [],
    unregistered_frameworks: [],
    past: {
      directory,
      ...{ first: history.first, last: history.last, position },
      ...{ written_at: writtenAt, time_ms: timeMs },
      operations: steps.slice(0, MOST_SHOWN).map(step => ({
        what: whatText(step),
        who: whoText(step),
        learned: step.learned,
        changes: step.changes.slice(0, MOST_SHOWN).map(changeText),
        more_changes: Math.max(0, step.changes.length - MOST_SHOWN),
      })),
      more_operations: Math.max(0, steps.length - MOST_SHOWN),
      unreachable: departed(unreachable),
      gone: departed(gone),
    },
  }
}

function agentJson(id: string, info: AgentInfo): object {
  const total = Resources.of(info.resources)
  return {
    id,
    hostname: info.hostname,
    port: info.port ?? 5051,
    attributes: stateAttributes(info.attributes ?? []),
    resources: stateResources(total),
    reserved_resources: stateReservations(total),
    unreserved_resources: stateResources(total.unreserved()),
    active: true,
  }
}
