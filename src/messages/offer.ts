// Offers: what a framework may have of one agent, and what it is asked to give back.

import type * as v from 'valibot'
import { DomainInfo } from './agent.ts'
import { AgentID, ExecutorID, FrameworkID, OfferID } from './ids.ts'
import { AllocationInfo, Resource } from './resource.ts'
import { double, message, optional, repeated, text } from './schema.ts'
import { Attribute, Unavailability, URL } from './values.ts'

/**
 * Resources of exactly one agent, for exactly one role of one framework. `executor_ids`: this framework's executors
 * that already run there. `unavailability`: planned maintenance.
 */
export const Offer = message({
  id: OfferID,
  framework_id: FrameworkID,
  agent_id: AgentID,
  hostname: text,
  url: optional(URL),
  domain: optional(DomainInfo),
  resources: repeated(Resource),
  attributes: repeated(Attribute),
  executor_ids: repeated(ExecutorID),
  unavailability: optional(Unavailability),
  allocation_info: optional(AllocationInfo),
})
export type Offer = v.InferOutput<typeof Offer>

/** Asks for resources back because of planned maintenance. */
export const InverseOffer = message({
  id: OfferID,
  url: optional(URL),
  framework_id: FrameworkID,
  agent_id: optional(AgentID),
  unavailability: Unavailability,
  resources: repeated(Resource),
})
export type InverseOffer = v.InferOutput<typeof InverseOffer>

/** For how many seconds what was not used shall not be offered again (absent: 5; 0: no filter). */
export const Filters = message({ refuse_seconds: optional(double) })
export type Filters = v.InferOutput<typeof Filters>
