// Why a framework is not offered an agent's resources. Each filter answers with the reason, not with a boolean, so
// that what decided can be shown.

import type { FrameworkInfo, OfferFilters } from '../../messages/framework.ts'
import type { Resources } from '../../resources/resources.ts'
import { coversAny, type Quantities, quantitiesOf } from '../../resources/quantities.ts'
import type { Refusal } from './refusals.ts'

/** Alternatives, of which an offer must hold one in full. None at all: anything will do. */
export type Alternatives = readonly Quantities[]

export interface Candidate {
  readonly frameworkId: string
  readonly role: string
  readonly suppressed: ReadonlySet<string>
  readonly capabilities: ReadonlySet<string>
  /** What this framework asked for itself, by role; else the master's flag holds. */
  readonly minimum: ReadonlyMap<string, Alternatives>
  /** Refusals still in force on this agent. */
  readonly refusals: readonly Refusal[]
}

export interface Offerable {
  readonly resources: Resources
  readonly minimum: Alternatives
  readonly filterGpus: boolean
  readonly agentHasGpus: boolean
  readonly nowMs: number
}

/** What is against an offer: a sentence, or the refusal in force, which is put into words only if somebody asks. */
export type Reason = string | Refusal

type Filter = (candidate: Candidate, offer: Offerable) => Reason | undefined

const suppressed: Filter = ({ suppressed: roles, role }) =>
  roles.has(role) ? `the framework suppressed offers for role '${role}'` : undefined

const gpus: Filter = ({ capabilities }, { filterGpus, agentHasGpus }) =>
  filterGpus && agentHasGpus && !capabilities.has('GPU_RESOURCES')
    ? 'the agent has GPUs and the framework lacks the capability GPU_RESOURCES'
    : undefined

const allocatable: Filter = (candidate, offer) => {
  const minimum = candidate.minimum.get(candidate.role) ?? offer.minimum
  if (minimum.length === 0) return undefined
  const enough = coversAny(offer.resources.scalars(), minimum)
  return enough ? undefined : 'what is free is less than the least that is offered'
}

const refused: Filter = ({ refusals, role }, { resources, nowMs }) => {
  for (const refusal of refusals) {
    if (refusal.role !== role || refusal.untilMs <= nowMs) continue
    if (!refusal.resources.contains(resources)) continue
    return refusal
  }
  return undefined
}

/** In order of cost. */
const FILTERS: readonly Filter[] = [suppressed, gpus, allocatable, refused]

/** The first reason against this offer; undefined if there is none. */
export function reasonAgainst(candidate: Candidate, offer: Offerable): Reason | undefined {
  for (const filter of FILTERS) {
    const reason = filter(candidate, offer)
    if (reason !== undefined) return reason
  }
  return undefined
}

export function inWords(reason: Reason, nowMs: number): string {
  if (typeof reason === 'string') return reason
  const leftSeconds = Math.ceil((reason.untilMs - nowMs) / 1000)
  return `the framework refused these resources for another ${leftSeconds} s`
}

/** A framework's own minima by role, from `FrameworkInfo.offer_filters`. */
export function minimumByRole(info: FrameworkInfo): ReadonlyMap<string, Alternatives> {
  const byRole = new Map<string, Alternatives>()
  for (const [role, filters] of Object.entries<OfferFilters>(info.offer_filters ?? {})) {
    const list = filters.min_allocatable_resources?.quantities
    if (!list) continue
    byRole.set(
      role,
      list.map(({ quantities }) => quantitiesOf(quantities)),
    )
  }
  return byRole
}
