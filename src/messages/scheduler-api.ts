// The conversation between a scheduler and the leading master: the v1 scheduler API.
//
// `Call` and `Event` are those of mesos/v1/scheduler/scheduler.proto, the same over an actor link as over HTTP.

import * as v from 'valibot'
import { cast, protocol } from '../actors/protocol.ts'
import { MasterInfo } from './agent.ts'
import { OfferConstraints } from './constraint.ts'
import { FrameworkInfo } from './framework.ts'
import {
  AgentID,
  ExecutorID,
  FrameworkID,
  OfferID,
  OperationID,
  ResourceProviderID,
  TaskID,
} from './ids.ts'
import { Filters, InverseOffer, Offer } from './offer.ts'
import { OfferOperation, OperationStatus } from './operation.ts'
import { Resource } from './resource.ts'
import { bytes, double, integer, message, optional, repeated, text, variant } from './schema.ts'
import { TaskStatus } from './status.ts'
import { KillPolicy } from './task.ts'

const framework_id = optional(FrameworkID)
const Roles = message({ roles: repeated(text) })
const Subscription = message({
  framework_info: FrameworkInfo,
  suppressed_roles: repeated(text),
  offer_constraints: optional(OfferConstraints),
})
const InverseOfferAnswer = message({
  inverse_offer_ids: repeated(OfferID),
  filters: optional(Filters),
})

/**
 * What a scheduler says to the master. All but the first SUBSCRIBE carry `framework_id`.
 * - `SUBSCRIBE`: first of all. With an id (equal in `framework_id` and `framework_info.id`): takes over from an earlier
 *   connection or an earlier instance.
 * - `TEARDOWN`: ends the framework; its tasks are killed.
 * - `ACCEPT`: uses offers of one agent and one role for operations, done in order; what is left goes back under
 *   `filters`. No operations, or none with tasks: as DECLINE.
 * - `DECLINE`: gives offers back under `filters`.
 * - `ACCEPT_INVERSE_OFFERS`, `DECLINE_INVERSE_OFFERS`: answers to planned maintenance.
 * - `REVIVE`: removes all filters, and suppression, of the roles (none named: all). `SUPPRESS`: no offers for them.
 * - `KILL`: a task; unknown ones are answered as by RECONCILE. `SHUTDOWN`: an executor with all its tasks.
 * - `ACKNOWLEDGE`: a status update that has a uuid was received and stored. `ACKNOWLEDGE_OPERATION_STATUS`: likewise.
 * - `RECONCILE`: asks for the latest state of these tasks (none named: of all that are not terminal).
 *   `RECONCILE_OPERATIONS`: likewise.
 * - `MESSAGE`: bytes for an executor; may be lost. `REQUEST`: wishes; no allocator hears them.
 * - `UPDATE_FRAMEWORK`: changes the FrameworkInfo without subscribing anew.
 */
export const Call = variant('type', [
  message({ type: v.literal('SUBSCRIBE'), framework_id, subscribe: Subscription }),
  message({ type: v.literal('TEARDOWN'), framework_id }),
  message({
    type: v.literal('ACCEPT'),
    framework_id,
    accept: message({
      offer_ids: repeated(OfferID),
      operations: repeated(OfferOperation),
      filters: optional(Filters),
    }),
  }),
  message({
    type: v.literal('DECLINE'),
    framework_id,
    decline: message({ offer_ids: repeated(OfferID), filters: optional(Filters) }),
  }),
  message({
    type: v.literal('ACCEPT_INVERSE_OFFERS'),
    framework_id,
    accept_inverse_offers: InverseOfferAnswer,
  }),
  message({
    type: v.literal('DECLINE_INVERSE_OFFERS'),
    framework_id,
    decline_inverse_offers: InverseOfferAnswer,
  }),
  message({ type: v.literal('REVIVE'), framework_id, revive: optional(Roles) }),
  message({
    type: v.literal('KILL'),
    framework_id,
    kill: message({
      task_id: TaskID,
      agent_id: optional(AgentID),
      kill_policy: optional(KillPolicy),
    }),
  }),
  message({
    type: v.literal('SHUTDOWN'),
    framework_id,
    shutdown: message({ executor_id: ExecutorID, agent_id: AgentID }),
  }),
  message({
    type: v.literal('ACKNOWLEDGE'),
    framework_id,
    acknowledge: message({ agent_id: AgentID, task_id: TaskID, uuid: bytes }),
  }),
  message({
    type: v.literal('ACKNOWLEDGE_OPERATION_STATUS'),
    framework_id,
    acknowledge_operation_status: message({
      agent_id: optional(AgentID),
      resource_provider_id: optional(ResourceProviderID),
      uuid: bytes,
      operation_id: OperationID,
    }),
  }),
  message({
    type: v.literal('RECONCILE'),
    framework_id,
    reconcile: message({
      tasks: repeated(message({ task_id: TaskID, agent_id: optional(AgentID) })),
    }),
  }),
  message({
    type: v.literal('RECONCILE_OPERATIONS'),
    framework_id,
    reconcile_operations: message({
      operations: repeated(
        message({
          operation_id: OperationID,
          agent_id: optional(AgentID),
          resource_provider_id: optional(ResourceProviderID),
        }),
      ),
    }),
  }),
  message({
    type: v.literal('MESSAGE'),
    framework_id,
    message: message({ agent_id: AgentID, executor_id: ExecutorID, data: bytes }),
  }),
  message({
    type: v.literal('REQUEST'),
    framework_id,
    request: message({
      requests: repeated(message({ agent_id: optional(AgentID), resources: repeated(Resource) })),
    }),
  }),
  message({ type: v.literal('SUPPRESS'), framework_id, suppress: optional(Roles) }),
  message({ type: v.literal('UPDATE_FRAMEWORK'), framework_id, update_framework: Subscription }),
])
export type Call = v.InferOutput<typeof Call>
/** The call of one type. */
export type CallOf<T extends Call['type']> = Extract<Call, { type: T }>

/**
 * What the master says to a subscribed scheduler.
 * - `SUBSCRIBED`: the answer to SUBSCRIBE, and the first event. `framework_id` is to be kept for later subscriptions.
 * - `OFFERS`: resources to use; to be accepted or declined. `RESCIND`: an offer is void.
 * - `INVERSE_OFFERS`: resources wanted back because of maintenance. `RESCIND_INVERSE_OFFER`: void.
 * - `UPDATE`: a task's status; with a uuid it is sent again until acknowledged.
 * - `UPDATE_OPERATION_STATUS`: likewise for an operation with an id.
 * - `MESSAGE`: bytes from an executor; may be lost.
 * - `FAILURE`: an agent is gone (`agent_id` alone), or an executor ended (`status`: its wait(2) status).
 * - `ERROR`: the subscription is refused or ended; nothing follows.
 * - `HEARTBEAT`: at the promised interval, so that silence means a broken connection.
 */
export const Event = variant('type', [
  message({
    type: v.literal('SUBSCRIBED'),
    subscribed: message({
      framework_id: FrameworkID,
      heartbeat_interval_seconds: optional(double),
      master_info: optional(MasterInfo),
    }),
  }),
  message({ type: v.literal('OFFERS'), offers: message({ offers: repeated(Offer) }) }),
  message({
    type: v.literal('INVERSE_OFFERS'),
    inverse_offers: message({ inverse_offers: repeated(InverseOffer) }),
  }),
  message({ type: v.literal('RESCIND'), rescind: message({ offer_id: OfferID }) }),
  message({
    type: v.literal('RESCIND_INVERSE_OFFER'),
    rescind_inverse_offer: message({ inverse_offer_id: OfferID }),
  }),
  message({ type: v.literal('UPDATE'), update: message({ status: TaskStatus }) }),
  message({
    type: v.literal('UPDATE_OPERATION_STATUS'),
    update_operation_status: message({ status: OperationStatus }),
  }),
  message({
    type: v.literal('MESSAGE'),
    message: message({ agent_id: AgentID, executor_id: ExecutorID, data: bytes }),
  }),
  message({
    type: v.literal('FAILURE'),
    failure: message({
      agent_id: optional(AgentID),
      executor_id: optional(ExecutorID),
      status: optional(integer),
    }),
  }),
  message({ type: v.literal('ERROR'), error: message({ message: text }) }),
  message({ type: v.literal('HEARTBEAT') }),
])
export type Event = v.InferOutput<typeof Event>

/** Served by the master. Sent by schedulers to `master`. */
export const MasterScheduler = protocol('master.scheduler', { call: cast(Call) })

/** Served by a scheduler. Sent by the master to whoever subscribed. */
export const SchedulerEvents = protocol('scheduler', { event: cast(Event) })
