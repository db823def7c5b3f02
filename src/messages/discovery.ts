// How others may find a task: for service discovery, which the cluster itself does not do.

import type * as v from 'valibot'
import { choice, message, oneOf, optional, repeated, text, unsigned } from './schema.ts'
import { Labels } from './values.ts'

const VISIBILITIES = ['FRAMEWORK', 'CLUSTER', 'EXTERNAL'] as const

export const Port = message({
  number: unsigned,
  name: optional(text),
  protocol: optional(text),
  visibility: choice(VISIBILITIES),
  labels: optional(Labels),
})
export type Port = v.InferOutput<typeof Port>

export const DiscoveryInfo = message({
  visibility: oneOf(VISIBILITIES),
  name: optional(text),
  environment: optional(text),
  location: optional(text),
  version: optional(text),
  ports: optional(message({ ports: repeated(Port) })),
  labels: optional(Labels),
})
export type DiscoveryInfo = v.InferOutput<typeof DiscoveryInfo>
