// Resources as agents offer them and tasks take them. Their arithmetic is in src/resources.

import type * as v from 'valibot'
import { ResourceProviderID } from './ids.ts'
import { choice, message, oneOf, optional, repeated, text } from './schema.ts'
import { Labels, Ranges, Scalar, ValueSet, ValueType } from './values.ts'
import { Volume } from './volume.ts'

/** The role whose framework the resource is offered or allocated to. */
export const AllocationInfo = message({ role: optional(text) })
export type AllocationInfo = v.InferOutput<typeof AllocationInfo>

/**
 * One reservation. `STATIC` comes from the agent's `--resources` and stays; `DYNAMIC` from RESERVE and goes by
 * UNRESERVE. In the pre-refinement form (`Resource.reservation`) `type` and `role` are absent.
 */
export const ReservationInfo = message({
  type: choice(['STATIC', 'DYNAMIC']),
  role: optional(text),
  principal: optional(text),
  labels: optional(Labels),
})
export type ReservationInfo = v.InferOutput<typeof ReservationInfo>

/** What a disk resource is made of. Absent: part of the agent's `work_dir` ("ROOT"). `RAW` and `BLOCK` come from CSI. */
export const DiskSource = message({
  type: oneOf(['PATH', 'MOUNT', 'BLOCK', 'RAW', 'UNKNOWN']),
  path: optional(message({ root: optional(text) })),
  mount: optional(message({ root: optional(text) })),
  vendor: optional(text),
  id: optional(text),
  metadata: optional(Labels),
  profile: optional(text),
})
export type DiskSource = v.InferOutput<typeof DiskSource>

export const Persistence = message({ id: text, principal: optional(text) })
export type Persistence = v.InferOutput<typeof Persistence>

/** With `persistence` the disk is a persistent volume; `volume` says where a container sees it. */
export const DiskInfo = message({
  persistence: optional(Persistence),
  volume: optional(Volume),
  source: optional(DiskSource),
})
export type DiskInfo = v.InferOutput<typeof DiskInfo>

/**
 * Some amount of one kind of resource, of which `type` is the kind of value (TEXT is for attributes only).
 * Reserved by `reservations`, the outermost last; empty means unreserved. `role` and `reservation` are the form of
 * before reservation refinement (Mesos 1.4), still used towards frameworks without that capability.
 */
export const Resource = message({
  provider_id: optional(ResourceProviderID),
  name: text,
  type: ValueType,
  scalar: optional(Scalar),
  ranges: optional(Ranges),
  set: optional(ValueSet),
  role: optional(text),
  allocation_info: optional(AllocationInfo),
  reservation: optional(ReservationInfo),
  reservations: repeated(ReservationInfo),
  disk: optional(DiskInfo),
  /** Present: may be taken away at any time. */
  revocable: optional(message({})),
  /** Present: may be used by several tasks at once. */
  shared: optional(message({})),
})
export type Resource = v.InferOutput<typeof Resource>
