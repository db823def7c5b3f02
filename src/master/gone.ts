// An operator says that an agent will never return: its tasks are over, and should it come it is told to end.

import type { Answer } from './answer.ts'
import { DONE } from './answer.ts'
import { removeAgent } from './agents.ts'
import type { MasterContext } from './context.ts'
import type { Cause } from './registry/operations.ts'
import { endUnreachable } from './tasks.ts'

export async function markGone(m: MasterContext, id: string, cause: Cause): Promise<Answer> {
  const { registryView: registry } = m
  const { agents, recoveredAgents, registering, registrations } = m.state
  if (registry.gone.has(id)) return DONE
  if (registering.has(id)) {
    return { status: 503, message: `Agent '${id}' is being transitioned to another state` }
  }
  if (!registry.agents.has(id) && !registry.unreachable.has(id)) {
    return { status: 404, message: `Agent '${id}' not found` }
  }
  registering.add(id)
  try {
    const hostname = registry.agents.get(id)?.hostname ?? id
    await m.registry({ type: 'mark_agent_gone', agent_id: { value: id }, time_ms: m.now(), cause })
    const loss = {
      state: 'TASK_GONE_BY_OPERATOR',
      reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
      message: `Agent ${hostname} was marked gone: ${cause.why}`,
    } as const
    recoveredAgents.delete(id)
    const agent = agents.get(id)
    if (agent) {
      m.tellAgent(agent, 'shutdown', { message: 'Agent has been marked gone' })
      removeAgent(m, agent, loss)
    }
    endUnreachable(m, id, loss)
    registrations.delete(id)
    m.log.warn({ agent_id: id, ...cause }, 'agent marked gone')
    m.changed()
    return DONE
  } finally {
    registering.delete(id)
  }
}
