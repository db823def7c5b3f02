// Operators take agents out of service, and put them back. The registry remembers it; the agent is told with every answer
// to its registrations; the allocator offers nothing of it meanwhile.
//
//   deactivated ──▶ nothing is offered, what runs goes on
//   DRAINING ─────▶ the agent ends its tasks ──▶ DRAINED, or gone, when the last of their ends is acknowledged

import type { DrainConfig } from '../messages/agent.ts'
import { type Answer, conflict, DONE, invalid } from './answer.ts'
import type { MasterContext } from './context.ts'
import { markGone } from './gone.ts'
import { machineText } from './registry/machines.ts'
import type { Cause } from './registry/operations.ts'
import { deactivationOf, drainOf, followService, machineOf } from './service.ts'
import type { AgentRecord } from './state.ts'

const UNKNOWN = invalid('Unknown agent')
const REMOVED = conflict('Agent removed while processing the call')

const isKnown = ({ registryView }: MasterContext, id: string): boolean =>
  registryView.agents.has(id) || registryView.unreachable.has(id)

export async function drainAgent(
  m: MasterContext,
  id: string,
  config: DrainConfig,
  cause: Cause,
): Promise<Answer> {
  if (!isKnown(m, id)) return UNKNOWN
  const refusal = whyNotDrained(m, id)
  if (refusal !== undefined) return invalid(refusal)
  const agent_id = { value: id }
  await m.registry({ type: 'drain_agent', agent_id, config, time_ms: m.now(), cause })
  if (deactivationOf(m, id)?.drain_info === undefined) return REMOVED
  m.log.info({ agent_id: id, ...config }, 'agent is being drained')
  m.changed()
  const agent = m.state.agents.get(id)
  if (!agent) return DONE
  followService(m, agent)
  if (agent.connected) m.tellAgent(agent, 'drain', drainOf(m, id))
  m.mayBeDrained(agent)
  return DONE
}

/** Of one that is away what it can do, and where it is, are not known; when it is back it is drained in any case. */
function whyNotDrained(m: MasterContext, id: string): string | undefined {
  const agent = m.state.agents.get(id)
  if (!agent) return undefined
  const machine = m.registryView.machines.of(machineOf(agent.info, agent.pid))
  if (machine)
    return `Agent ${id} is part of a maintenance schedule under ${machineText(machine.id)}`
  if (agent.capabilities.some(({ type }) => type === 'AGENT_DRAINING')) return undefined
  return `Agent ${id} is not capable of draining`
}

export async function deactivateAgent(m: MasterContext, id: string, cause: Cause): Promise<Answer> {
  if (!isKnown(m, id)) return UNKNOWN
  await m.registry({ type: 'deactivate_agent', agent_id: { value: id }, cause })
  if (!deactivationOf(m, id)) return REMOVED
  m.log.info({ agent_id: id }, 'agent deactivated')
  m.changed()
  const agent = m.state.agents.get(id)
  if (agent) followService(m, agent)
  return DONE
}

export async function reactivateAgent(m: MasterContext, id: string, cause: Cause): Promise<Answer> {
  const before = deactivationOf(m, id)
  if (!before) return invalid('Agent is not deactivated')
  if (before.drain_info?.state === 'DRAINING') {
    return invalid('Agent is still in the DRAINING state')
  }
  await m.registry({ type: 'reactivate_agent', agent_id: { value: id }, cause })
  // It may be gone by now, or be drained again.
  if (!isKnown(m, id) || deactivationOf(m, id)) return REMOVED
  m.log.info({ agent_id: id }, 'agent reactivated')
  m.changed()
  const agent = m.state.agents.get(id)
  if (!agent) return DONE
  if (agent.connected && before.drain_info) m.tellAgent(agent, 'drain', {})
  followService(m, agent)
  return DONE
}

const DRAINED: Cause = { why: 'drained' }

/**
 * Its last task may have left the books, which a task does when its scheduler has acknowledged its end. What an agent that is away runs
 * nobody knows, so it is looked at again when it is back; and so it is when something else is being written about it.
 */
export async function settleDrained(m: MasterContext, agent: AgentRecord): Promise<void> {
  const { agents, registering, settling } = m.state
  const { id } = agent
  const drain = deactivationOf(m, id)?.drain_info
  if (drain?.state !== 'DRAINING' || !agent.connected || agent.tasks.size > 0) return
  if (agents.get(id) !== agent || registering.has(id) || settling.has(id)) return
  if (drain.config.mark_gone) return void (await markGone(m, id, DRAINED))
  settling.add(id)
  try {
    await m.registry({ type: 'mark_agent_drained', agent_id: { value: id }, cause: DRAINED })
  } finally {
    settling.delete(id)
  }
  m.log.info({ agent_id: id }, 'agent drained')
  m.changed()
  if (agents.get(id) === agent) followService(m, agent)
}
