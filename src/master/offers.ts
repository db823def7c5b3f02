// Offers: from what the allocator grants to what a scheduler sees, and back.

import { assert } from '../base/assert.ts'
import { addressOf, idOf, parseAddress } from '../actors/pid.ts'
import type { Offer } from '../messages/offer.ts'
import type { Resource } from '../messages/resource.ts'
import { toPreRefinement } from '../resources/reservations.ts'
import type { Resources } from '../resources/resources.ts'
import type { Grant } from './allocator/allocator.ts'
import type { MasterContext } from './context.ts'
import type { AgentRecord, FrameworkRecord, OfferRecord } from './state.ts'

/** In one event: each says all that its agent says of itself, and together they must not be more than one message holds. */
const MOST_OFFERS = 100

/** Offers what the allocator granted, one event for each framework if they are not many. */
export function makeOffers(m: MasterContext, grants: readonly Grant[]): void {
  const byFramework = new Map<FrameworkRecord, Offer[]>()
  for (const grant of grants) {
    const framework = m.state.frameworks.get(grant.frameworkId)
    const agent = m.state.agents.get(grant.agentId)
    if (!framework?.active || !agent?.connected) {
      m.allocator.recover(grant.frameworkId, grant.agentId, grant.role, grant.resources)
      continue
    }
    const record = makeOffer(m, framework, agent, grant)
    const list = byFramework.get(framework)
    if (list) list.push(record.offer)
    else byFramework.set(framework, [record.offer])
  }
  for (const [framework, offers] of byFramework) {
    for (let i = 0; i < offers.length; i += MOST_OFFERS) {
      const some = offers.slice(i, i + MOST_OFFERS)
      m.tellFramework(framework, { type: 'OFFERS', offers: { offers: some } })
    }
  }
  if (byFramework.size > 0) m.changed()
}

function makeOffer(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  { role, resources }: Grant,
): OfferRecord {
  const id = `${m.info.id}-O${m.state.nextOffer++}`
  const { host, port } = parseAddress(addressOf(agent.pid)) ?? {
    host: agent.info.hostname,
    port: 0,
  }
  const executors = framework.executors.get(agent.id)
  const multiRole = framework.capabilities.has('MULTI_ROLE')
  const machine = m.registryView.machines.byKey.get(agent.machine)
  const offer: Offer = {
    id: { value: id },
    framework_id: { value: framework.id },
    agent_id: { value: agent.id },
    hostname: agent.info.hostname,
    url: {
      scheme: 'http',
      address: { hostname: agent.info.hostname, ip: host, port },
      path: `/${idOf(agent.pid)}`,
    },
    ...(agent.info.domain && { domain: agent.info.domain }),
    ...(machine && { unavailability: machine.unavailability }),
    resources: asSeenBy(framework, role, resources),
    attributes: agent.info.attributes ?? [],
    executor_ids: executors ? [...executors.keys()].map(value => ({ value })) : [],
    ...(multiRole && { allocation_info: { role } }),
  }
  const record: OfferRecord = {
    id,
    frameworkId: framework.id,
    agentId: agent.id,
    role,
    resources,
    offer,
    timer: undefined,
  }
  m.state.offers.set(id, record)
  framework.offers.set(id, record)
  agent.offers.set(id, record)
  const { offerTimeoutMs } = m.config
  if (offerTimeoutMs !== undefined) {
    record.timer = m.delay(offerTimeoutMs, () => {
      m.log.info({ offer_id: id, framework_id: framework.id }, 'offer timed out')
      rescindOffer(m, record)
    })
  }
  return record
}

/** Resources in the form this framework's capabilities let it understand. */
function asSeenBy(framework: FrameworkRecord, role: string, resources: Resources): Resource[] {
  const refined = framework.capabilities.has('RESERVATION_REFINEMENT')
  const multiRole = framework.capabilities.has('MULTI_ROLE')
  const list = (multiRole ? resources.allocate(role) : resources).list()
  if (refined) return list
  return list.flatMap(resource => toPreRefinement(resource) ?? [])
}

/** Takes an offer off the books; its resources are the caller's to pass on, once. */
export function forgetOffer(m: MasterContext, offer: OfferRecord): void {
  offer.timer?.cancel()
  const known = m.state.offers.delete(offer.id)
  assert(known, 'an offer is taken off the books once')
  m.state.frameworks.get(offer.frameworkId)?.offers.delete(offer.id)
  m.state.agents.get(offer.agentId)?.offers.delete(offer.id)
  m.changed()
}

/** Gives the resources of an offer back, under a filter if its framework did not want them. */
export function returnOffer(
  m: MasterContext,
  offer: OfferRecord,
  refusal?: { readonly refuseSeconds: number | undefined },
): void {
  forgetOffer(m, offer)
  m.allocator.recover(
    offer.frameworkId,
    offer.agentId,
    offer.role,
    offer.resources,
    refusal && { ...refusal, nowMs: m.now() },
  )
  m.allocateSoon()
}

/** Takes an offer back from a scheduler that has not answered it. */
export function rescindOffer(m: MasterContext, offer: OfferRecord): void {
  const framework = m.state.frameworks.get(offer.frameworkId)
  returnOffer(m, offer)
  if (framework) {
    m.tellFramework(framework, { type: 'RESCIND', rescind: { offer_id: { value: offer.id } } })
  }
}

/** DECLINE: unknown offers are passed over, since they may just have been rescinded. */
export function decline(
  m: MasterContext,
  framework: FrameworkRecord,
  offerIds: readonly { readonly value: string }[],
  refuseSeconds: number | undefined,
): void {
  for (const { value } of offerIds) {
    const offer = framework.offers.get(value)
    if (offer) returnOffer(m, offer, { refuseSeconds })
    else
      m.log.debug(
        { offer_id: value, framework_id: framework.id },
        'decline of an offer no longer valid',
      )
  }
}
