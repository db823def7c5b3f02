// Is a v1 resource well-formed? The reasons are Mesos' own texts, for frameworks and operators search for them.

import type { ReservationInfo, Resource } from '../messages/resource.ts'
import { describeResource } from './format.ts'
import { toMilli } from './milli.ts'
import { DEFAULT_ROLE, isStrictSubrole, validateRole } from './roles.ts'

/** Why this resource cannot be reckoned with; undefined if it can. */
export function validateResource(resource: Resource): string | undefined {
  if (resource.name === '') return 'Empty resource name'
  return (
    validateAmount(resource) ??
    validateDisk(resource) ??
    (resource.reservations === undefined || resource.reservations.length === 0
      ? validateOldReservation(resource)
      : validateReservations(resource, resource.reservations)) ??
    validateShared(resource)
  )
}

/** The first reason found in a list, with the resource it is about. */
export function validateResources(resources: readonly Resource[]): string | undefined {
  for (const resource of resources) {
    const reason = validateResource(resource)
    if (reason !== undefined) {
      return `Resource '${describeResource(resource)}' is invalid: ${reason}`
    }
  }
  return undefined
}

/** Why this list cannot be an agent's `--resources`; each resource is valid by itself. */
export function validateAgentResources(resources: readonly Resource[]): string | undefined {
  const types = new Map<string, string>()
  for (const resource of resources) {
    const { name, type } = resource
    if (resource.disk?.persistence) {
      return 'Persistent volumes cannot be specified at the command line'
    }
    if (resource.revocable) {
      return "Revocable resources cannot be specified at the command line; do not include a 'revocable' key in the resources JSON"
    }
    if (resource.reservation || resource.reservations?.some(r => r.type === 'DYNAMIC')) {
      return 'Dynamic reservations cannot be specified at the command line; do not include a reservation with DYNAMIC type in the resources JSON'
    }
    if ((types.get(name) ?? type) !== type) {
      return `Resources with the same name ('${name}') but different types are not allowed`
    }
    types.set(name, type)
  }
  return undefined
}

function validateAmount({ name, type, scalar, ranges, set }: Resource): string | undefined {
  switch (type) {
    case 'SCALAR': {
      if (!scalar || ranges || set) return 'Invalid scalar resource'
      const { value } = scalar
      if (!Number.isFinite(value)) return 'Invalid scalar resource: value is not finite'
      // A value that is not zero but would count as zero is refused as well.
      if (value !== 0 && toMilli(value) <= 0) return 'Invalid scalar resource: value <= 0'
      if (!Number.isSafeInteger(toMilli(value))) return 'Invalid scalar resource: value too large'
      if (name === 'gpus' && !Number.isInteger(value)) {
        return "The 'gpus' resource must be an unsigned integer"
      }
      return undefined
    }
    case 'RANGES': {
      if (scalar || !ranges || set) return 'Invalid ranges resource'
      const sorted = [...(ranges.range ?? [])].sort((a, b) => a.begin - b.begin)
      let end = -1
      for (const range of sorted) {
        if (range.begin > range.end) return 'Invalid ranges resource: begin > end'
        if (range.begin <= end) return 'Invalid ranges resource: overlapping ranges'
        end = range.end
      }
      return undefined
    }
    case 'SET': {
      if (scalar || ranges || !set) return 'Invalid set resource'
      const items = set.item ?? []
      return new Set(items).size === items.length
        ? undefined
        : 'Invalid set resource: duplicated elements'
    }
    default:
      return 'Unsupported resource type'
  }
}

function validateDisk({ name, disk }: Resource): string | undefined {
  if (!disk) return undefined
  if (name !== 'disk') return `DiskInfo should not be set for ${name} resource`
  const { source } = disk
  if (!source) return undefined
  if (source.type === 'UNKNOWN') return "Unsupported 'DiskInfo.Source.Type' in 'UNKNOWN'"
  if (source.mount && source.type !== 'MOUNT') {
    return `Mount should not be set for ${source.type} disk source`
  }
  if (source.path && source.type !== 'PATH') {
    return `Path should not be set for ${source.type} disk source`
  }
  return undefined
}

function validateOldReservation({ role, reservation }: Resource): string | undefined {
  const reason = validateRole(role ?? DEFAULT_ROLE)
  if (reason !== undefined || !reservation) return reason
  if (reservation.type !== undefined) {
    return "'Resource.ReservationInfo.type' must not be set for the 'Resource.reservation' field"
  }
  if (reservation.role !== undefined) {
    return "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field"
  }
  if (role === undefined || role === DEFAULT_ROLE) {
    return 'Invalid reservation: role "*" cannot be dynamically reserved'
  }
  return undefined
}

function validateReservations(
  resource: Resource,
  stack: readonly ReservationInfo[],
): string | undefined {
  let ancestor: string | undefined
  for (const { type, role } of stack) {
    if (type === undefined) {
      return "Invalid reservation: 'Resource.ReservationInfo.type' field must be set."
    }
    if (role === undefined) {
      return "Invalid reservation: 'Resource.ReservationInfo.role' field must be set."
    }
    const reason = validateRole(role)
    if (reason !== undefined) return reason
    if (role === DEFAULT_ROLE) return 'Invalid reservation: role "*" cannot be reserved'
    if (ancestor !== undefined) {
      if (type === 'STATIC') {
        return 'Invalid refined reservation: A refined reservation cannot be STATIC'
      }
      if (!isStrictSubrole(role, ancestor)) {
        return `Invalid refined reservation: role '${role}' is not a refinement of '${ancestor}'`
      }
    }
    ancestor = role
  }
  return validateBothForms(resource, stack)
}

/** The old form may stand beside a single reservation if it says the same. */
function validateBothForms(
  { role, reservation }: Resource,
  stack: readonly ReservationInfo[],
): string | undefined {
  const [only] = stack
  if (stack.length !== 1 || !only) {
    const field =
      role !== undefined ? 'role' : reservation !== undefined ? 'reservation' : undefined
    return field === undefined
      ? undefined
      : `Invalid resource format: 'Resource.${field}' must not be set if there is more than one reservation in 'Resource.reservations'`
  }
  if (role !== undefined && role !== only.role) {
    return `Invalid resource format: 'Resource.role' field with '${role}' does not match the role '${only.role}' in 'Resource.reservations'`
  }
  if (only.type === 'STATIC') {
    return reservation === undefined
      ? undefined
      : "Invalid resource format: 'Resource.reservation' must not be set if the single reservation in 'Resource.reservations' is STATIC"
  }
  if ((role === undefined) !== (reservation === undefined)) {
    return "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not set if the single reservation in 'Resource.reservations' is DYNAMIC"
  }
  if (reservation && (reservation.principal ?? '') !== (only.principal ?? '')) {
    return `Invalid resource format: 'Resource.reservation.principal' field with '${reservation.principal ?? ''}' does not match the principal '${only.principal ?? ''}' in 'Resource.reservations'`
  }
  return undefined
}

function validateShared({ name, disk, shared }: Resource): string | undefined {
  if (!shared) return undefined
  if (name !== 'disk') return `Resource ${name} cannot be shared`
  return disk?.persistence ? undefined : 'Only persistent volumes can be shared'
}
