// Whether an agent is in service: connected, and not taken out of it by an operator. Only then is it offered.

import { addressOf, parseAddress, type Pid } from '../actors/pid.ts'
import type { AgentInfo, DrainConfig } from '../messages/agent.ts'
import type { MachineID } from '../messages/values.ts'
import type { MasterContext } from './context.ts'
import { rescindInverseOffers } from './maintenance/inverse-offers.ts'
import { rescindOffer } from './offers.ts'
import type { Deactivation } from './registry/operations.ts'
import type { AgentRecord } from './state.ts'

export const deactivationOf = ({ registryView }: MasterContext, id: string) =>
  registryView.deactivated.get(id)

/** Has the allocator offer what is free on the agent, or not; then what is out is taken back. */
export function followService(m: MasterContext, agent: AgentRecord): void {
  const why = whyNotInService(agent, deactivationOf(m, agent.id))
  m.allocator.setAgentActive(agent.id, why === undefined, why)
  if (why === undefined) return m.allocateSoon()
  for (const offer of [...agent.offers.values()]) rescindOffer(m, offer)
  rescindInverseOffers(m, agent)
}

function whyNotInService(
  { connected }: AgentRecord,
  deactivation: Deactivation | undefined,
): string | undefined {
  if (!connected) return 'the agent is not connected'
  const { drain_info: drain } = deactivation ?? {}
  if (drain)
    return drain.state === 'DRAINED' ? 'the agent is drained' : 'the agent is being drained'
  return deactivation && 'the agent is deactivated'
}

/** For an answer to an agent: whether, and how, it is to be empty. */
export function drainOf(m: MasterContext, id: string): { readonly drain?: DrainConfig } {
  const drain = deactivationOf(m, id)?.drain_info
  return drain ? { drain: drain.config } : {}
}

/** Where an agent is, as a schedule would name it. */
export function machineOf({ hostname }: AgentInfo, agent: Pid): MachineID {
  return { hostname, ip: parseAddress(addressOf(agent))?.host ?? '' }
}

/** What agents are told whose machine an operator declared to be down. */
export const MACHINE_IS_DOWN = 'Machine is `DOWN`'

export function isOnDownMachine(m: MasterContext, info: AgentInfo, agent: Pid): boolean {
  return m.registryView.machines.of(machineOf(info, agent))?.mode === 'DOWN'
}
