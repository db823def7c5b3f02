// What a framework says of itself.

import type * as v from 'valibot'
import { FrameworkID } from './ids.ts'
import { double, flag, mapOf, message, optional, repeated, text } from './schema.ts'
import { Labels, Scalar } from './values.ts'

/** Capabilities this program acts upon. Unknown ones are kept, for the sake of newer frameworks. */
export const FRAMEWORK_CAPABILITIES = [
  'REVOCABLE_RESOURCES',
  'TASK_KILLING_STATE',
  'GPU_RESOURCES',
  'SHARED_RESOURCES',
  'PARTITION_AWARE',
  'MULTI_ROLE',
  'RESERVATION_REFINEMENT',
  'REGION_AWARE',
] as const
export type FrameworkCapability = (typeof FRAMEWORK_CAPABILITIES)[number]

/** A capability by name, of a framework, an agent or a master. */
export const Capability = message({ type: optional(text) })
export type Capability = v.InferOutput<typeof Capability>

/** Only offers that hold one of these alternatives, in full, are wanted. */
export const OfferFilters = message({
  min_allocatable_resources: optional(
    message({ quantities: repeated(message({ quantities: mapOf(Scalar) })) }),
  ),
})
export type OfferFilters = v.InferOutput<typeof OfferFilters>

/**
 * A framework. `roles` with the capability MULTI_ROLE, else `role` (absent: `*`). `failover_timeout` in seconds:
 * how long its tasks live on after its scheduler is gone (absent: 0). `offer_filters` by role.
 */
export const FrameworkInfo = message({
  user: text,
  name: text,
  id: optional(FrameworkID),
  failover_timeout: optional(double),
  checkpoint: optional(flag),
  role: optional(text),
  roles: repeated(text),
  hostname: optional(text),
  principal: optional(text),
  webui_url: optional(text),
  capabilities: repeated(Capability),
  labels: optional(Labels),
  offer_filters: mapOf(OfferFilters),
})
export type FrameworkInfo = v.InferOutput<typeof FrameworkInfo>
