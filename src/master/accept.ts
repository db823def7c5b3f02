// ACCEPT: from offers to launched tasks, with what is left going back.

import type { Call } from '../messages/scheduler-api.ts'
import type { OfferOperation } from '../messages/operation.ts'
import type { TaskState, TaskStatusReason } from '../messages/status.ts'
import { Resources } from '../resources/resources.ts'
import type { MasterContext } from './context.ts'
import { launch, launchGroup, refuse } from './launch.ts'
import { forgetOffer } from './offers.ts'
import type { AgentRecord, FrameworkRecord, OfferRecord } from './state.ts'
import { stateFor } from './status.ts'

type Accept = Extract<Call, { type: 'ACCEPT' }>['accept']

/** Operations that this master does not carry out yet. They change nothing, and their framework is told. */
type Unsupported = Exclude<OfferOperation['type'], 'LAUNCH' | 'LAUNCH_GROUP'>

export function accept(m: MasterContext, framework: FrameworkRecord, call: Accept): void {
  const ids = (call.offer_ids ?? []).map(id => id.value)
  const operations = call.operations ?? []
  const chosen = chooseOffers(m, framework, ids)
  // Whatever comes of it, an offer that was answered is used up. Once, though it be named twice.
  const offers = [...new Set(ids)].flatMap(id => framework.offers.get(id) ?? [])
  for (const offer of offers) forgetOffer(m, offer)

  if ('error' in chosen) {
    giveBack(m, framework, offers)
    const message = `Task launched with invalid offers: ${chosen.error}`
    refuseAll(
      m,
      framework,
      operations,
      stateFor(framework, 'TASK_DROPPED'),
      'REASON_INVALID_OFFERS',
      message,
    )
    return
  }
  const { agent, role } = chosen
  if (!agent.connected) {
    giveBack(m, framework, offers)
    refuseAll(
      m,
      framework,
      operations,
      stateFor(framework, 'TASK_DROPPED'),
      'REASON_AGENT_DISCONNECTED',
      'Agent disconnected',
    )
    return
  }
  const offered = Resources.sum(offers.map(offer => offer.resources))
  const left = perform(m, framework, agent, role, offered, operations)
  m.allocator.recover(framework.id, agent.id, role, left, {
    refuseSeconds: call.filters?.refuse_seconds,
    nowMs: m.now(),
    used: left !== offered,
  })
  m.allocateSoon()
}

/** All offers must be this framework's, still good, of one agent and for one role. */
function chooseOffers(
  m: MasterContext,
  framework: FrameworkRecord,
  ids: readonly string[],
): { agent: AgentRecord; role: string } | { error: string } {
  if (ids.length === 0) return { error: 'No offers specified' }
  const seen = new Set<string>()
  let first: OfferRecord | undefined
  for (const id of ids) {
    if (seen.has(id)) return { error: `Duplicate offer ${id} in offer list` }
    seen.add(id)
    const offer = m.state.offers.get(id)
    if (!offer) return { error: `Offer ${id} is no longer valid` }
    if (offer.frameworkId !== framework.id) {
      return {
        error:
          `Offer ${id} has invalid framework ${offer.frameworkId} while framework ` +
          `${framework.id} is expected`,
      }
    }
    first ??= offer
    if (offer.agentId !== first.agentId) {
      return {
        error:
          `Aggregated offers must belong to one single agent. Offer ${id} uses agent ` +
          `${offer.agentId} and agent ${first.agentId}`,
      }
    }
    if (offer.role !== first.role) {
      return { error: `Aggregated offers must be allocated to the same role` }
    }
  }
  const agent = m.state.agents.get(first!.agentId)
  if (!agent) return { error: `Offer ${first!.id} outlived agent ${first!.agentId}` }
  return { agent, role: first!.role }
}

function giveBack(
  m: MasterContext,
  framework: FrameworkRecord,
  offers: readonly OfferRecord[],
): void {
  for (const offer of offers) {
    m.allocator.recover(framework.id, offer.agentId, offer.role, offer.resources)
  }
  m.allocateSoon()
}

/** Carries the operations out in order; returns what they left. */
function perform(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  role: string,
  offered: Resources,
  operations: readonly OfferOperation[],
): Resources {
  let left = offered
  for (const operation of operations) {
    switch (operation.type) {
      case 'LAUNCH':
        for (const task of operation.launch.task_infos ?? []) {
          left = launch(m, framework, agent, role, left, task, operation.id?.value)
        }
        break
      case 'LAUNCH_GROUP':
        left = launchGroup(m, framework, agent, role, left, operation)
        break
      default:
        refuseOperation(m, framework, agent, operation.type, operation.id?.value)
    }
  }
  return left
}

function refuseAll(
  m: MasterContext,
  framework: FrameworkRecord,
  operations: readonly OfferOperation[],
  state: TaskState,
  reason: TaskStatusReason,
  message: string,
): void {
  for (const operation of operations) {
    const tasks =
      operation.type === 'LAUNCH'
        ? operation.launch.task_infos
        : operation.type === 'LAUNCH_GROUP'
          ? operation.launch_group.task_group.tasks
          : []
    for (const task of tasks ?? []) refuse(m, framework, task, state, reason, message)
  }
}

function refuseOperation(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  type: Unsupported,
  id: string | undefined,
): void {
  const message = `Operation ${type} is not supported by this master`
  m.log.warn({ framework_id: framework.id, operation: type }, message)
  if (id === undefined) return
  m.tellFramework(framework, {
    type: 'UPDATE_OPERATION_STATUS',
    update_operation_status: {
      status: {
        operation_id: { value: id },
        state: 'OPERATION_ERROR',
        message,
        agent_id: { value: agent.id },
      },
    },
  })
}
