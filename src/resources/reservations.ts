// The two forms of a reservation. Before refinement (Mesos 1.4) a resource had one: `role`, and `reservation` if it
// was dynamic. Since then it has a stack, `reservations`. Inside this program only the stack is used.

import type { ReservationInfo, Resource } from '../messages/resource.ts'
import { DEFAULT_ROLE } from './roles.ts'

const NONE: readonly ReservationInfo[] = Object.freeze([])

/** The stack of reservations, whichever form the resource has. Empty: unreserved. */
export function reservationsOf(resource: Resource): readonly ReservationInfo[] {
  if (resource.reservations !== undefined && resource.reservations.length > 0) {
    return resource.reservations
  }
  const { role, reservation } = resource
  if (role === undefined || role === DEFAULT_ROLE) return NONE
  return reservation
    ? [{ type: 'DYNAMIC', role, ...withoutUndefined(reservation) }]
    : [{ type: 'STATIC', role }]
}

function withoutUndefined(reservation: ReservationInfo): ReservationInfo {
  const { principal, labels } = reservation
  return {
    ...(principal === undefined ? undefined : { principal }),
    ...(labels === undefined ? undefined : { labels }),
  }
}

/**
 * The form for a framework without RESERVATION_REFINEMENT: `role` always, `reservation` if dynamic. Undefined if the
 * resource has refined reservations, which that form cannot say: such a resource is not offered to it.
 */
export function toPreRefinement(resource: Resource): Resource | undefined {
  const stack = reservationsOf(resource)
  if (stack.length > 1) return undefined
  const { reservations: _stack, reservation: _old, role: _role, ...rest } = resource
  const top = stack[0]
  if (!top) return { ...rest, role: DEFAULT_ROLE }
  const role = top.role ?? DEFAULT_ROLE
  return top.type === 'DYNAMIC'
    ? { ...rest, role, reservation: withoutUndefined(top) }
    : { ...rest, role }
}

/** The form with the stack, without `role` and `reservation`; the resource itself if it has that form already. */
export function toRefinement(resource: Resource): Resource {
  if (resource.role === undefined && resource.reservation === undefined) return resource
  const stack = reservationsOf(resource)
  const { reservations: _stack, reservation: _old, role: _role, ...rest } = resource
  return stack.length === 0 ? rest : { ...rest, reservations: [...stack] }
}
