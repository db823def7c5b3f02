// Frameworks: they come, come back, lose their scheduler, and end.

import type { Pid } from '../actors/pid.ts'
import { BoundedRing } from '../base/bounded-ring.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { Call } from '../messages/scheduler-api.ts'
import type { FrameworkTerms } from './allocator/allocator.ts'
import { minimumByRole } from './allocator/filters.ts'
import { HEARTBEAT_INTERVAL_MS, MAX_REMOVED_FRAMEWORKS } from './constants.ts'
import type { MasterContext } from './context.ts'
import { forgetAnswers, forgetInverseOffers } from './maintenance/inverse-offers.ts'
import { rescindOffer, returnOffer } from './offers.ts'
import type { AgentRecord, FrameworkRecord } from './state.ts'
import { removeExecutor } from './executors.ts'
import { endTask } from './tasks.ts'
import { rolesOf, validateChange, validateFramework } from './validation.ts'

type Subscription = Extract<Call, { type: 'SUBSCRIBE' }>['subscribe']

/** SUBSCRIBE: a new framework, the same again, one that another scheduler takes over, or one from before a failover. */
export function subscribe(
  m: MasterContext,
  subscription: Subscription,
  frameworkId: string | undefined,
  from: Pid,
): void {
  const info = subscription.framework_info
  const suppressed = subscription.suppressed_roles ?? []
  const inside = info.id?.value === '' ? undefined : info.id?.value
  const refuse = (message: string): void => {
    m.log.warn({ framework: info.name, from, reason: message }, 'subscription refused')
    m.tellScheduler(from, { type: 'ERROR', error: { message } })
  }
  if (inside !== (frameworkId === '' ? undefined : frameworkId)) {
    return refuse("'framework_id' differs from 'subscribe.framework_info.id'")
  }
  const invalid = validateFramework(info, suppressed, m.config)
  if (invalid !== undefined) return refuse(invalid)
  if (inside !== undefined && m.state.removedFrameworks.has(inside)) {
    return refuse('Framework has been removed')
  }
  const existing =
    inside === undefined ? m.state.frameworksByPid.get(from) : m.state.frameworks.get(inside)
  if (existing) {
    const change = validateChange(existing.info, info, { strict: false })
    if (change !== undefined) return refuse(change)
    resubscribe(m, existing, info, suppressed, from)
    return
  }
  const id = inside ?? newId(m)
  const framework = addFramework(m, id, info, suppressed)
  connect(m, framework, from)
  m.log.info(
    { framework_id: id, framework: info.name, roles: [...framework.roles], pid: from },
    inside === undefined ? 'framework subscribed' : 'framework subscribed with an id from before',
  )
}

/** An id that no framework has. Schedulers bring ids of their own, which may look like this master's. */
function newId(m: MasterContext): string {
  const { frameworks, removedFrameworks } = m.state
  for (;;) {
    const id = `${m.info.id}-${String(m.state.nextFramework++).padStart(4, '0')}`
    if (!frameworks.has(id) && !removedFrameworks.has(id)) return id
  }
}

/**
 * A framework that this master knows from an agent only. Its scheduler has as long to come back as agents have, or as
 * it asked for itself, if that is longer; Mesos would keep it for ever (MESOS-4659).
 */
export function recoverFramework(
  m: MasterContext,
  id: string,
  info: FrameworkInfo,
): FrameworkRecord {
  const framework = addFramework(m, id, info)
  awaitScheduler(m, framework, Math.max(failoverTimeoutMs(info), m.config.agentReregisterTimeoutMs))
  return framework
}

/** Puts a framework on the books, without a scheduler. */
function addFramework(
  m: MasterContext,
  id: string,
  given: FrameworkInfo,
  suppressed: readonly string[] = [],
): FrameworkRecord {
  const info: FrameworkInfo = { ...given, id: { value: id } }
  const framework: FrameworkRecord = {
    id,
    info,
    roles: new Set(rolesOf(info)),
    capabilities: capabilitiesOf(info),
    pid: undefined,
    connected: false,
    active: false,
    recovered: true,
    registeredAtMs: m.now(),
    reregisteredAtMs: undefined,
    unregisteredAtMs: undefined,
    failoverTimer: undefined,
    tasks: new Map(),
    unreachableTasks: new Map(),
    completedTasks: new BoundedRing(m.config.maxCompletedTasksPerFramework),
    offers: new Map(),
    executors: new Map(),
  }
  m.state.frameworks.set(id, framework)
  m.allocator.addFramework(id, termsOf(framework, suppressed), false)
  m.changed()
  return framework
}

function capabilitiesOf(info: FrameworkInfo): ReadonlySet<string> {
  return new Set((info.capabilities ?? []).flatMap(({ type }) => type ?? []))
}

function termsOf(framework: FrameworkRecord, suppressed: readonly string[]): FrameworkTerms {
  return {
    roles: framework.roles,
    suppressed: new Set(suppressed),
    capabilities: framework.capabilities,
    minimum: minimumByRole(framework.info),
  }
}

function connect(m: MasterContext, framework: FrameworkRecord, pid: Pid): void {
  // A scheduler is one framework's. If it had another one, it has left that.
  const other = m.state.frameworksByPid.get(pid)
  if (other && other !== framework) disconnectFramework(m, other)
  framework.failoverTimer?.cancel()
  framework.failoverTimer = undefined
  framework.pid = pid
  framework.connected = true
  framework.active = true
  framework.recovered = false
  m.state.frameworksByPid.set(pid, framework)
  m.link(pid)
  m.tellFramework(framework, {
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: framework.id },
      heartbeat_interval_seconds: HEARTBEAT_INTERVAL_MS / 1000,
      master_info: m.info,
    },
  })
  m.tellFramework(framework, { type: 'HEARTBEAT' })
  m.allocator.setFrameworkActive(framework.id, true)
  m.allocateSoon()
  m.changed()
}

function resubscribe(
  m: MasterContext,
  framework: FrameworkRecord,
  info: FrameworkInfo,
  suppressed: readonly string[],
  from: Pid,
): void {
  const { pid: before } = framework
  if (before !== undefined && before !== from) {
    // Offers went to a scheduler that is told to stop: the new one never saw them, so nothing is rescinded.
    for (const offer of [...framework.offers.values()]) returnOffer(m, offer)
    forgetInverseOffers(m, framework)
    m.tellScheduler(before, { type: 'ERROR', error: { message: 'Framework failed over' } })
    m.state.frameworksByPid.delete(before)
    m.unlink(before)
  }
  if (framework.reregisteredAtMs !== undefined || !framework.recovered) {
    framework.reregisteredAtMs = m.now()
  } else {
    framework.registeredAtMs = m.now()
  }
  // A repeated SUBSCRIBE of the same scheduler: it starts afresh, or it repeated itself before the answer came and has these
  // offers at hand. It is told in any case.
  if (before === from) {
    for (const offer of [...framework.offers.values()]) rescindOffer(m, offer)
    forgetInverseOffers(m, framework, true)
  }
  updateFramework(m, framework, info, suppressed)
  connect(m, framework, from)
  m.log.info(
    { framework_id: framework.id, framework: info.name, pid: from },
    'framework subscribed again',
  )
}

/** Takes a new FrameworkInfo over, but for what cannot change: id, user, checkpoint. */
function updateFramework(
  m: MasterContext,
  framework: FrameworkRecord,
  given: FrameworkInfo,
  suppressed: readonly string[],
): void {
  const { user, checkpoint } = framework.info
  const { checkpoint: _, ...rest } = given
  framework.info = {
    ...rest,
    id: { value: framework.id },
    user,
    ...(checkpoint !== undefined && { checkpoint }),
  }
  framework.roles = new Set(rolesOf(framework.info))
  framework.capabilities = capabilitiesOf(framework.info)
  for (const offer of [...framework.offers.values()]) {
    if (!framework.roles.has(offer.role)) rescindOffer(m, offer)
  }
  m.allocator.updateFramework(framework.id, termsOf(framework, suppressed))
  for (const agent of agentsOf(m, framework)) {
    m.tellAgent(agent, 'update_framework', { framework: framework.info })
  }
  m.allocateSoon()
  m.changed()
}

/** Agents that can be reached and run something of a framework. */
function agentsOf(m: MasterContext, framework: FrameworkRecord): AgentRecord[] {
  return [...m.state.agents.values()].filter(
    ({ id, connected, tasks }) =>
      connected && (tasks.has(framework.id) || framework.executors.has(id)),
  )
}

/** UPDATE_FRAMEWORK: as in a new subscription, without the loss of a connection. */
export function updateFrameworkCall(
  m: MasterContext,
  framework: FrameworkRecord,
  subscription: Subscription,
): void {
  const info = subscription.framework_info
  const suppressed = subscription.suppressed_roles ?? []
  const invalid =
    info.id?.value !== framework.id
      ? "'framework_id' differs from 'update_framework.framework_info.id'"
      : (validateFramework(info, suppressed, m.config) ??
        validateChange(framework.info, info, { strict: true }))
  if (invalid !== undefined) {
    m.log.warn({ framework_id: framework.id, reason: invalid }, 'UPDATE_FRAMEWORK refused')
    return
  }
  updateFramework(m, framework, info, suppressed)
}

/** The scheduler is out of reach. Its tasks go on for `failover_timeout` seconds. */
export function disconnectFramework(m: MasterContext, framework: FrameworkRecord): void {
  if (!framework.connected) return
  if (framework.pid !== undefined) {
    m.state.frameworksByPid.delete(framework.pid)
    m.unlink(framework.pid)
  }
  framework.pid = undefined
  framework.connected = false
  framework.active = false
  m.allocator.setFrameworkActive(framework.id, false)
  for (const offer of [...framework.offers.values()]) returnOffer(m, offer)
  forgetInverseOffers(m, framework)
  const failoverMs = failoverTimeoutMs(framework.info)
  m.log.info(
    { framework_id: framework.id, framework: framework.info.name, failover_timeout_ms: failoverMs },
    'framework disconnected',
  )
  awaitScheduler(m, framework, failoverMs)
  m.changed()
}

const failoverTimeoutMs = (info: FrameworkInfo): number =>
  Math.max(0, info.failover_timeout ?? 0) * 1000

function awaitScheduler(m: MasterContext, framework: FrameworkRecord, ms: number): void {
  framework.failoverTimer = m.delay(ms, () => {
    m.log.info({ framework_id: framework.id }, 'failover timeout, removing the framework')
    removeFramework(m, framework)
  })
}

/** Ends a framework for good: its tasks are killed, its resources return, its id cannot come back. */
export function removeFramework(m: MasterContext, framework: FrameworkRecord): void {
  framework.failoverTimer?.cancel()
  framework.failoverTimer = undefined
  if (framework.active) m.allocator.setFrameworkActive(framework.id, false)
  framework.active = false
  for (const agent of agentsOf(m, framework)) {
    m.tellAgent(agent, 'shutdown_framework', { framework_id: { value: framework.id } })
  }
  for (const offer of [...framework.offers.values()]) returnOffer(m, offer)
  forgetAnswers(m, framework)
  // The scheduler is gone or asked for this: it is not told of each task.
  framework.connected = false
  for (const record of [...framework.tasks.values()]) {
    endTask(m, framework, record, {
      state: 'TASK_KILLED',
      reason: 'REASON_FRAMEWORK_REMOVED',
      message: `Framework ${framework.id} removed`,
    })
  }
  for (const [agentId, executors] of [...framework.executors]) {
    for (const executorId of [...executors.keys()]) {
      removeExecutor(m, framework, agentId, executorId)
    }
  }
  if (framework.pid !== undefined) {
    m.state.frameworksByPid.delete(framework.pid)
    m.unlink(framework.pid)
    framework.pid = undefined
  }
  framework.unregisteredAtMs = m.now()
  m.state.frameworks.delete(framework.id)
  remember(m.state.removedFrameworks, framework.id)
  m.state.completedFrameworks.push(framework)
  m.allocator.removeFramework(framework.id)
  m.allocateSoon()
  m.changed()
  m.log.info({ framework_id: framework.id, framework: framework.info.name }, 'framework removed')
}

function remember(removed: Set<string>, id: string): void {
  removed.add(id)
  if (removed.size <= MAX_REMOVED_FRAMEWORKS) return
  for (const oldest of removed) {
    removed.delete(oldest)
    return
  }
}

/** Roles of REVIVE and SUPPRESS; undefined (the whole call is dropped) if one is not the framework's. */
export function ownRoles(
  m: MasterContext,
  framework: FrameworkRecord,
  roles: readonly string[] | undefined,
): readonly string[] | undefined {
  const foreign = roles?.find(role => !framework.roles.has(role))
  if (foreign === undefined) return roles ?? []
  m.log.warn(
    { framework_id: framework.id, role: foreign },
    'call names a role that is not its own, dropped',
  )
  return undefined
}
