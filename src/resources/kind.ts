// What makes two amounts of a resource the same kind, so that they may be added.
//
// A kind has a key, computed once: all that tells it from other kinds, as one string. Entries derived from one
// another share their kind, so that most comparisons of keys compare a pointer.

import type { DiskInfo, ReservationInfo, Resource } from '../messages/resource.ts'
import type { ResourceProviderID } from '../messages/ids.ts'
import { reservationsOf } from './reservations.ts'
import { DEFAULT_ROLE } from './roles.ts'

export type KindType = 'SCALAR' | 'RANGES' | 'SET'

/** All of a resource but its amount. */
export class Kind {
  readonly key: string
  readonly name: string
  readonly type: KindType
  /** The role it is offered or allocated to, if it is. */
  readonly allocationRole: string | undefined
  /** Outermost last; empty: unreserved. */
  readonly reservations: readonly ReservationInfo[]
  readonly disk: DiskInfo | undefined
  readonly revocable: boolean
  readonly shared: boolean
  readonly providerId: ResourceProviderID | undefined
  /**
   * For what exists as a whole only (a persistent volume, a mount or block disk, anything shared): its size in milli
   * units, which belongs to what it is. Such things are counted, never added up or split. Undefined for all else.
   */
  readonly wholeMilli: number | undefined
  #allocated: Map<string, Kind> | undefined
  #unallocated: Kind | undefined

  constructor(parts: Omit<Partial<KindParts>, 'name' | 'type'> & Pick<KindParts, 'name' | 'type'>) {
    this.name = parts.name
    this.type = parts.type
    this.allocationRole = parts.allocationRole
    this.reservations = parts.reservations ?? []
    this.disk = parts.disk
    this.revocable = parts.revocable ?? false
    this.shared = parts.shared ?? false
    this.providerId = parts.providerId
    this.wholeMilli = parts.wholeMilli
    this.key = keyOf(this)
  }

  /** The role it is reserved for; `*` if it is not. */
  get reservationRole(): string {
    return this.reservations[this.reservations.length - 1]?.role ?? DEFAULT_ROLE
  }

  get isReserved(): boolean {
    return this.reservations.length > 0
  }

  /** The same, allocated to `role` (undefined: to none). Made once for each role. */
  allocatedTo(role: string | undefined): Kind {
    if (role === this.allocationRole) return this
    if (role === undefined) {
      this.#unallocated ??= new Kind({ ...this.#parts(), allocationRole: undefined })
      return this.#unallocated
    }
    this.#allocated ??= new Map()
    let kind = this.#allocated.get(role)
    if (!kind) {
      kind = new Kind({ ...this.#parts(), allocationRole: role })
      this.#allocated.set(role, kind)
    }
    return kind
  }

  #parts(): KindParts {
    return {
      name: this.name,
      type: this.type,
      allocationRole: this.allocationRole,
      reservations: this.reservations,
      disk: this.disk,
      revocable: this.revocable,
      shared: this.shared,
      providerId: this.providerId,
      wholeMilli: this.wholeMilli,
    }
  }
}

interface KindParts {
  readonly name: string
  readonly type: KindType
  readonly allocationRole: string | undefined
  readonly reservations: readonly ReservationInfo[]
  readonly disk: DiskInfo | undefined
  readonly revocable: boolean
  readonly shared: boolean
  readonly providerId: ResourceProviderID | undefined
  readonly wholeMilli: number | undefined
}

/** Kinds with nothing but a name and an allocation are most of all resources, so they are kept. */
const plain = new Map<string, Kind>()

/** Names come from frameworks, so their number has no bound of its own. Kinds that are dropped here stay valid. */
const MAX_PLAIN = 4096

/** The kind of a v1 resource, which must not be of type TEXT. `milli`: its scalar. */
export function kindOf(resource: Resource, milli: number): Kind {
  const { name, allocation_info, disk, revocable, shared, provider_id } = resource
  const type = resource.type as KindType
  const reservations = reservationsOf(resource)
  const allocationRole = allocation_info?.role
  const isPlain =
    reservations.length === 0 &&
    disk === undefined &&
    revocable === undefined &&
    shared === undefined &&
    provider_id === undefined
  if (!isPlain) {
    return new Kind({
      name,
      type,
      allocationRole,
      reservations,
      disk,
      revocable: revocable !== undefined,
      shared: shared !== undefined,
      providerId: provider_id,
      wholeMilli: isWhole(resource) ? milli : undefined,
    })
  }
  const key = plainKey(name, type, allocationRole)
  let kind = plain.get(key)
  if (!kind) {
    if (plain.size >= MAX_PLAIN) plain.clear()
    kind = new Kind({ name, type, allocationRole })
    plain.set(key, kind)
  }
  return kind
}

function isWhole({ disk, shared }: Resource): boolean {
  if (shared !== undefined || disk?.persistence !== undefined) return true
  const source = disk?.source
  if (!source) return false
  // A raw disk without an id is a pool of storage: parts of it are made into disks.
  return (
    source.type === 'MOUNT' ||
    source.type === 'BLOCK' ||
    (source.type === 'RAW' && source.id !== undefined)
  )
}

function plainKey(name: string, type: KindType, allocationRole: string | undefined): string {
  const start = type === 'SCALAR' ? name : `${name}\0${type}`
  return allocationRole === undefined ? start : `${start}\0\0${allocationRole}`
}

function keyOf(kind: Kind): string {
  let key = plainKey(kind.name, kind.type, kind.allocationRole)
  if (kind.isReserved) key += `\0r${kind.reservations.map(canonical).join()}`
  if (kind.disk) key += `\0d${canonical(kind.disk)}`
  if (kind.revocable) key += '\0v'
  if (kind.shared) key += '\0s'
  if (kind.providerId) key += `\0p${canonical(kind.providerId.value)}`
  if (kind.wholeMilli !== undefined) key += `\0w${kind.wholeMilli}`
  return key
}

/** JSON with sorted keys and sorted labels: equal texts for equal values, whatever order they were written in. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => {
      const text =
        key === 'labels' && Array.isArray(field)
          ? `[${field.map(canonical).sort().join()}]`
          : canonical(field)
      return `${JSON.stringify(key)}:${text}`
    })
  return `{${fields.join()}}`
}
