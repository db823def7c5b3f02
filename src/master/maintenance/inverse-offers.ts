// Inverse offers: whoever uses a machine that is scheduled for maintenance is asked whether it can do without, and asked
// again when its answer is as old as its filter says. The answers are for operators to see, and nothing depends on them.

import { addressOf, idOf, parseAddress } from '../../actors/pid.ts'
import type { InverseOffer } from '../../messages/offer.ts'
import type { CallOf } from '../../messages/scheduler-api.ts'
import { refusedUntilMs } from '../allocator/refusals.ts'
import type { MasterContext } from '../context.ts'
import type { AgentRecord, FrameworkRecord } from '../state.ts'

/** Who uses what changes all the time; it is looked at this often while anything is scheduled. */
const PAUSE_MS = 100

export function askForMachinesSoon(m: MasterContext): void {
  const { state } = m
  if (state.asksSoon || m.registryView.machines.size === 0) return
  state.asksSoon = true
  m.delay(PAUSE_MS, () => {
    state.asksSoon = false
    askForMachines(m)
  })
}

function askForMachines(m: MasterContext): void {
  const byFramework = new Map<FrameworkRecord, InverseOffer[]>()
  for (const agent of m.state.agents.values()) {
    const machine = m.registryView.machines.byKey.get(agent.machine)
    if (machine?.mode !== 'DRAINING' || !agent.connected) continue
    if (m.registryView.deactivated.has(agent.id)) continue
    for (const framework of m.state.frameworks.values()) {
      if (!framework.active || !uses(framework, agent)) continue
      const asked = agent.asked.get(framework.id)
      if (asked?.offer || (asked && asked.quietUntilMs > m.now())) continue
      const offer = ask(m, agent, framework, machine)
      const list = byFramework.get(framework)
      if (list) list.push(offer)
      else byFramework.set(framework, [offer])
    }
  }
  for (const [framework, offers] of byFramework) {
    m.tellFramework(framework, {
      type: 'INVERSE_OFFERS',
      inverse_offers: { inverse_offers: offers },
    })
  }
}

const uses = (framework: FrameworkRecord, agent: AgentRecord): boolean =>
  agent.tasks.has(framework.id) || framework.executors.has(agent.id)

function ask(
  m: MasterContext,
  agent: AgentRecord,
  framework: FrameworkRecord,
  { unavailability }: Pick<InverseOffer, 'unavailability'>,
): InverseOffer {
  const id = `${m.info.id}-O${m.state.nextOffer++}`
  const { hostname } = agent.info
  const { host, port } = parseAddress(addressOf(agent.pid)) ?? { host: hostname, port: 0 }
  const offer: InverseOffer = {
    id: { value: id },
    framework_id: { value: framework.id },
    agent_id: { value: agent.id },
    url: { scheme: 'http', address: { hostname, ip: host, port }, path: `/${idOf(agent.pid)}` },
    unavailability,
    resources: [],
  }
  const before = agent.asked.get(framework.id)
  agent.asked.set(framework.id, {
    status: before?.status ?? 'UNKNOWN',
    atMs: before?.atMs ?? m.now(),
    quietUntilMs: 0,
    offer: id,
    again: undefined,
  })
  m.state.inverseOffers.set(id, { frameworkId: framework.id, agentId: agent.id })
  return offer
}

/** ACCEPT_INVERSE_OFFERS, DECLINE_INVERSE_OFFERS: those that are not known are passed over, for they may just have been rescinded. */
export function answerInverseOffers(
  m: MasterContext,
  framework: FrameworkRecord,
  status: 'ACCEPT' | 'DECLINE',
  {
    inverse_offer_ids: ids = [],
    filters,
  }: CallOf<'ACCEPT_INVERSE_OFFERS'>['accept_inverse_offers'],
): void {
  for (const { value: id } of ids) {
    const known = m.state.inverseOffers.get(id)
    const agent = known && m.state.agents.get(known.agentId)
    if (!agent || known.frameworkId !== framework.id) {
      m.log.debug({ offer_id: id, framework_id: framework.id }, 'inverse offer no longer valid')
      continue
    }
    m.state.inverseOffers.delete(id)
    const nowMs = m.now()
    const quietUntilMs =
      refusedUntilMs(
        { refuseSeconds: filters?.refuse_seconds, nowMs },
        m.config.allocationIntervalMs,
      ) ?? nowMs
    const again = m.delay(quietUntilMs - nowMs, () => askForMachinesSoon(m))
    agent.asked.set(framework.id, { status, atMs: nowMs, quietUntilMs, offer: undefined, again })
  }
}

/** The agent is away or out of service, or its schedule is another one: nothing is asked for any more, nor was. */
export function rescindInverseOffers(m: MasterContext, agent: AgentRecord): void {
  for (const [frameworkId, { offer, again }] of agent.asked) {
    again?.cancel()
    const framework = m.state.frameworks.get(frameworkId)
    if (offer === undefined) continue
    m.state.inverseOffers.delete(offer)
    if (framework) tellRescinded(m, framework, offer)
  }
  agent.asked.clear()
}

/** Its scheduler is another one, or out of reach: what waits for an answer is asked anew. `rescind`: it may be the same, and is told. */
export function forgetInverseOffers(
  m: MasterContext,
  framework: FrameworkRecord,
  rescind = false,
): void {
  for (const [id, { frameworkId, agentId }] of [...m.state.inverseOffers]) {
    if (frameworkId !== framework.id) continue
    m.state.inverseOffers.delete(id)
    m.state.agents.get(agentId)?.asked.delete(framework.id)
    if (rescind) tellRescinded(m, framework, id)
  }
}

/** The framework is gone, and with it what it answered. */
export function forgetAnswers(m: MasterContext, framework: FrameworkRecord): void {
  forgetInverseOffers(m, framework)
  // Without a schedule nobody was asked.
  if (m.registryView.machines.size === 0) return
  for (const { asked } of m.state.agents.values()) {
    asked.get(framework.id)?.again?.cancel()
    asked.delete(framework.id)
  }
}

function tellRescinded(m: MasterContext, framework: FrameworkRecord, value: string): void {
  m.tellFramework(framework, {
    type: 'RESCIND_INVERSE_OFFER',
    rescind_inverse_offer: { inverse_offer_id: { value } },
  })
}
