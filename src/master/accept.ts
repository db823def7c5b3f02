// ACCEPT: from offers to launched tasks, with what is left going back.

import type { Call } from '../messages/scheduler-api.ts'
import type { OfferOperation } from '../messages/operation.ts'
import type { TaskState, TaskStatusReason } from '../messages/status.ts'
import type { TaskInfo } from '../messages/task.ts'
import { Resources } from '../resources/resources.ts'
import type { MasterContext } from './context.ts'
import { forgetOffer } from './offers.ts'
import type { AgentRecord, FrameworkRecord, OfferRecord } from './state.ts'
import { masterStatus, newTask, stateFor } from './status.ts'
import { addTask } from './tasks.ts'
import { type TaskSetting, validateTask } from './task-validation.ts'

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
        refuseAll(
          m,
          framework,
          [operation],
          'TASK_ERROR',
          'REASON_TASK_GROUP_INVALID',
          'Task groups are not supported by this master; launch the tasks one by one (LAUNCH)',
        )
        break
      default:
        refuseOperation(m, framework, agent, operation.type, operation.id?.value)
    }
  }
  return left
}

function launch(
  m: MasterContext,
  framework: FrameworkRecord,
  agent: AgentRecord,
  role: string,
  available: Resources,
  task: TaskInfo,
  operationId: string | undefined,
): Resources {
  const executors = framework.executors.get(agent.id)
  const checked =
    operationId !== undefined
      ? { ok: false as const, error: "The 'id' field must not be set for LAUNCH operations" }
      : validateTask(task, {
          frameworkId: framework.id,
          agentId: agent.id,
          role,
          available,
          task: id => taskOf(framework, id),
          executor: id => executors?.get(id)?.info,
        })
  if (!checked.ok) {
    refuse(m, framework, task, 'TASK_ERROR', 'REASON_TASK_INVALID', checked.error)
    return available
  }
  const { needs } = checked
  const record = newTask(task, framework, role, needs.resources)
  addTask(m, framework, agent, record)
  if (needs.newExecutor) {
    const { info, resources } = needs.newExecutor
    const known = executors ?? new Map()
    known.set(info.executor_id.value, {
      info,
      role,
      resources,
      launchedFor: task.task_id.value,
    })
    framework.executors.set(agent.id, known)
  }
  const launchedFor =
    task.executor && !needs.newExecutor
      ? executors?.get(task.executor.executor_id.value)?.launchedFor
      : undefined
  const executor = task.executor && {
    executor: {
      ...task.executor,
      framework_id: { value: framework.id },
      ...(task.executor.resources && {
        resources: Resources.of(task.executor.resources).unallocate().allocate(role).list(),
      }),
    },
  }
  m.tellAgent(agent, 'run_task', {
    framework: framework.info,
    task: { ...task, ...executor, resources: record.task.resources ?? [] },
    launch_executor: !task.executor || needs.newExecutor !== undefined,
    ...(launchedFor !== undefined && { launched_for: { value: launchedFor } }),
  })
  return available.subtract(needs.total)
}

function taskOf(framework: FrameworkRecord, id: string): ReturnType<TaskSetting['task']> {
  const known = framework.tasks.get(id)?.task
  if (known) return { state: known.state, known: true }
  const unreachable = framework.unreachableTasks.get(id)
  return unreachable && { state: unreachable.state, known: false }
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

function refuse(
  m: MasterContext,
  framework: FrameworkRecord,
  task: TaskInfo,
  state: TaskState,
  reason: TaskStatusReason,
  message: string,
): void {
  const { task_id, agent_id } = task
  m.log.info(
    { framework_id: framework.id, task_id: task_id.value, reason, message },
    'task refused',
  )
  const status = masterStatus(task_id.value, agent_id.value, state, reason, message, m.nowSeconds())
  m.metrics.ended(status)
  m.tellFramework(framework, { type: 'UPDATE', update: { status } })
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
