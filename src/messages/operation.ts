// What a framework does with an offer, and what became of it.

import * as v from 'valibot'
import { AgentID, FrameworkID, OperationID, ResourceProviderID } from './ids.ts'
import { Resource } from './resource.ts'
import { message, oneOf, optional, repeated, text, variant } from './schema.ts'
import { ExecutorInfo, TaskGroupInfo, TaskInfo } from './task.ts'
import { Scalar, UUID } from './values.ts'

const id = optional(OperationID)
const Resources = message({ resources: repeated(Resource) })
const Volumes = message({ volumes: repeated(Resource) })

/**
 * One operation of an ACCEPT; they are applied in order (Mesos: `Offer.Operation`).
 * `id` asks for feedback by UPDATE_OPERATION_STATUS; on LAUNCH and LAUNCH_GROUP it is an error.
 * `reserve.source` (what is re-reserved) is for operators only.
 */
export const OfferOperation = variant('type', [
  message({
    type: v.literal('LAUNCH'),
    id,
    launch: message({ task_infos: repeated(TaskInfo) }),
  }),
  message({
    type: v.literal('LAUNCH_GROUP'),
    id,
    launch_group: message({ executor: ExecutorInfo, task_group: TaskGroupInfo }),
  }),
  message({
    type: v.literal('RESERVE'),
    id,
    reserve: message({ source: repeated(Resource), resources: repeated(Resource) }),
  }),
  message({ type: v.literal('UNRESERVE'), id, unreserve: Resources }),
  message({ type: v.literal('CREATE'), id, create: Volumes }),
  message({ type: v.literal('DESTROY'), id, destroy: Volumes }),
  message({
    type: v.literal('GROW_VOLUME'),
    id,
    grow_volume: message({ volume: Resource, addition: Resource }),
  }),
  message({
    type: v.literal('SHRINK_VOLUME'),
    id,
    shrink_volume: message({ volume: Resource, subtract: Scalar }),
  }),
  message({
    type: v.literal('CREATE_DISK'),
    id,
    create_disk: message({
      source: Resource,
      target_type: oneOf(['PATH', 'MOUNT', 'BLOCK', 'RAW', 'UNKNOWN']),
      target_profile: optional(text),
    }),
  }),
  message({
    type: v.literal('DESTROY_DISK'),
    id,
    destroy_disk: message({ source: Resource }),
  }),
])
export type OfferOperation = v.InferOutput<typeof OfferOperation>

/** FINISHED, FAILED, ERROR, DROPPED and GONE_BY_OPERATOR are final. */
export const OPERATION_STATES = [
  'OPERATION_UNSUPPORTED',
  'OPERATION_PENDING',
  'OPERATION_FINISHED',
  'OPERATION_FAILED',
  'OPERATION_ERROR',
  'OPERATION_DROPPED',
  'OPERATION_UNREACHABLE',
  'OPERATION_GONE_BY_OPERATOR',
  'OPERATION_RECOVERING',
  'OPERATION_UNKNOWN',
] as const
export const OperationState = oneOf(OPERATION_STATES)
export type OperationState = v.InferOutput<typeof OperationState>

/** `uuid` present: the update must be acknowledged. `converted_resources`: what the operation made. */
export const OperationStatus = message({
  operation_id: optional(OperationID),
  state: OperationState,
  message: optional(text),
  converted_resources: repeated(Resource),
  uuid: optional(UUID),
  agent_id: optional(AgentID),
  resource_provider_id: optional(ResourceProviderID),
})
export type OperationStatus = v.InferOutput<typeof OperationStatus>

/** The record of an operation. `framework_id` is absent for an operator's. */
export const Operation = message({
  framework_id: optional(FrameworkID),
  agent_id: optional(AgentID),
  info: OfferOperation,
  latest_status: OperationStatus,
  statuses: repeated(OperationStatus),
  uuid: UUID,
})
export type Operation = v.InferOutput<typeof Operation>
