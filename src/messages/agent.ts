// What agents and masters say of themselves, and what operators ask of agents.

import type * as v from 'valibot'
import { Capability } from './framework.ts'
import { AgentID } from './ids.ts'
import { Resource } from './resource.ts'
import { flag, integer, message, oneOf, optional, repeated, text, unsigned } from './schema.ts'
import { Address, Attribute, DurationInfo, MachineID, Unavailability } from './values.ts'

/** Where in the world: regions are far apart, zones of a region near each other. */
export const DomainInfo = message({
  fault_domain: optional(
    message({ region: message({ name: text }), zone: message({ name: text }) }),
  ),
})
export type DomainInfo = v.InferOutput<typeof DomainInfo>

/** `ip` is the IPv4 address as an integer in network byte order read little-endian, kept for old readers. */
export const MasterInfo = message({
  id: text,
  ip: unsigned,
  port: unsigned,
  pid: optional(text),
  hostname: optional(text),
  version: optional(text),
  address: optional(Address),
  domain: optional(DomainInfo),
  capabilities: repeated(Capability),
})
export type MasterInfo = v.InferOutput<typeof MasterInfo>

export const AGENT_CAPABILITIES = [
  'MULTI_ROLE',
  'HIERARCHICAL_ROLE',
  'RESERVATION_REFINEMENT',
  'RESOURCE_PROVIDER',
  'RESIZE_VOLUME',
  'AGENT_OPERATION_FEEDBACK',
  'AGENT_DRAINING',
  'TASK_RESOURCE_LIMITS',
] as const
export type AgentCapability = (typeof AGENT_CAPABILITIES)[number]

/** `id` is absent until the master has given one. `port` absent means 5051. */
export const AgentInfo = message({
  hostname: text,
  port: optional(integer),
  resources: repeated(Resource),
  attributes: repeated(Attribute),
  id: optional(AgentID),
  domain: optional(DomainInfo),
})
export type AgentInfo = v.InferOutput<typeof AgentInfo>

export const DrainConfig = message({
  max_grace_period: optional(DurationInfo),
  mark_gone: optional(flag),
})
export type DrainConfig = v.InferOutput<typeof DrainConfig>

/** DRAINING until no task, operation or unacknowledged update is left, then DRAINED. */
export const DrainInfo = message({
  state: oneOf(['UNKNOWN', 'DRAINING', 'DRAINED']),
  config: DrainConfig,
})
export type DrainInfo = v.InferOutput<typeof DrainInfo>

/** Machines, and when they will be unavailable. */
export const MaintenanceWindow = message({
  machine_ids: repeated(MachineID),
  unavailability: Unavailability,
})
export type MaintenanceWindow = v.InferOutput<typeof MaintenanceWindow>

/** All planned maintenance of a cluster. */
export const MaintenanceSchedule = message({ windows: repeated(MaintenanceWindow) })
export type MaintenanceSchedule = v.InferOutput<typeof MaintenanceSchedule>
