// The master's records as the unversioned endpoints print them: names and shapes of Mesos' `/state`.

import type { Task } from '../../messages/task.ts'
import { stateAttributes, stateReservations, stateResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'
import { taskJson } from '../../resources/task-json.ts'
import type { MasterContext } from '../context.ts'
import type { AgentRecord, ExecutorRecord, FrameworkRecord, OfferRecord } from '../state.ts'

const seconds = (ms: number): number => ms / 1000

/** What custom executors hold, by agent. Made once an answer, for agents and frameworks are many. */
type ExecutorsByAgent = ReadonlyMap<string, readonly ExecutorRecord[]>

export function executorsByAgent(m: MasterContext): ExecutorsByAgent {
  const byAgent = new Map<string, ExecutorRecord[]>()
  for (const framework of m.state.frameworks.values()) {
    for (const [agentId, executors] of framework.executors) {
      const list = byAgent.get(agentId) ?? []
      list.push(...executors.values())
      byAgent.set(agentId, list)
    }
  }
  return byAgent
}

/** What runs on an agent, by the role it was offered for. */
function used(m: MasterContext, agent: AgentRecord, executors: ExecutorsByAgent): Resources {
  const holding = m.state.tasksOf(agent).filter(record => record.holding)
  return Resources.sum(
    [...holding, ...(executors.get(agent.id) ?? [])].map(({ role, resources }) =>
      resources.allocate(role),
    ),
  )
}

/** As in `/slaves`: with resources in full, as v1 objects. */
export function agentDetailsJson(
  m: MasterContext,
  agent: AgentRecord,
  executors: ExecutorsByAgent,
): object {
  const { total } = agent
  const byRole = (list: Resources): object =>
    Object.fromEntries([...list.reservations()].map(([role, part]) => [role, part.list()]))
  const inUse = used(m, agent, executors)
  return {
    ...agentJson(m, agent, executors),
    reserved_resources_full: byRole(total),
    unreserved_resources_full: total.unreserved().list(),
    used_resources_full: inUse.list(),
    offered_resources_full: sumOffers(agent.offers.values()).list(),
    reserved_resources_allocated: stateReservations(inUse.unallocate()),
    unreserved_resources_allocated: stateResources(inUse.unreserved()),
  }
}

export function agentJson(
  m: MasterContext,
  agent: AgentRecord,
  executors: ExecutorsByAgent,
): object {
  const deactivation = m.registryView.deactivated.get(agent.id)
  const { drain_info: drain, since_ms: since } = deactivation ?? {}
  return {
    id: agent.id,
    hostname: agent.info.hostname,
    port: agent.info.port ?? 5051,
    attributes: stateAttributes(agent.info.attributes ?? []),
    pid: agent.pid,
    registered_time: seconds(agent.registeredAtMs),
    ...(agent.reregisteredAtMs !== undefined && {
      reregistered_time: seconds(agent.reregisteredAtMs),
    }),
    resources: stateResources(agent.total),
    used_resources: stateResources(used(m, agent, executors)),
    offered_resources: stateResources(sumOffers(agent.offers.values())),
    reserved_resources: stateReservations(agent.total),
    unreserved_resources: stateResources(agent.total.unreserved()),
    active: agent.connected && !deactivation,
    deactivated: deactivation !== undefined,
    version: agent.version,
    capabilities: agent.capabilities.map(c => c.type),
    ...(drain && { drain_info: drain }),
    ...(since !== undefined && { estimated_drain_start_time_seconds: seconds(since) }),
  }
}

const sumOffers = (offers: Iterable<OfferRecord>): Resources =>
  Resources.sum([...offers].map(offer => offer.resources))

/** What a completed task looks like does not change any more, and of these there are the most. */
const completedTexts = new WeakMap<Task, string>()

function completedText(task: Task): string {
  let known = completedTexts.get(task)
  if (known === undefined) {
    known = JSON.stringify(taskJson(task))
    completedTexts.set(task, known)
  }
  return known
}

/** As JSON text. */
function frameworkText(framework: FrameworkRecord): string {
  const completed = Array.from(framework.completedTasks, completedText).join(',')
  return withFields(frameworkFields(framework), `"completed_tasks":[${completed}]`)
}

/** The JSON text of an object that is not empty, with more fields, which are text already. */
function withFields(object: object, fields: string): string {
  return `${JSON.stringify(object).slice(0, -1)},${fields}}`
}

function frameworkFields(framework: FrameworkRecord): object {
  const { info } = framework
  const held = [...framework.tasks.values()].filter(r => r.holding).map(r => r.resources)
  const executors = [...framework.executors].flatMap(([agentId, byId]) =>
    [...byId.values()].map(executor => ({ agentId, ...executor })),
  )
  const inUse = Resources.sum([...held, ...executors.map(e => e.resources)])
  const offered = sumOffers(framework.offers.values())
  const multiRole = framework.capabilities.has('MULTI_ROLE')
  return {
    id: framework.id,
    name: info.name,
    ...(framework.pid !== undefined && { pid: framework.pid }),
    used_resources: stateResources(inUse),
    offered_resources: stateResources(offered),
    capabilities: [...framework.capabilities],
    hostname: info.hostname ?? '',
    webui_url: info.webui_url ?? '',
    active: framework.active,
    connected: framework.connected,
    recovered: framework.recovered,
    user: info.user,
    failover_timeout: info.failover_timeout ?? 0,
    checkpoint: info.checkpoint ?? false,
    registered_time: seconds(framework.registeredAtMs),
    unregistered_time: seconds(framework.unregisteredAtMs ?? 0),
    ...(framework.reregisteredAtMs !== undefined && {
      reregistered_time: seconds(framework.reregisteredAtMs),
    }),
    ...(info.principal !== undefined && { principal: info.principal }),
    resources: stateResources(inUse.add(offered)),
    ...(multiRole ? { roles: [...framework.roles] } : { role: info.role ?? '*' }),
    tasks: [...framework.tasks.values()].map(({ task }) => taskJson(task)),
    unreachable_tasks: [...framework.unreachableTasks.values()].map(taskJson),
    offers: [...framework.offers.values()].map(offerJson),
    executors: executors.map(({ agentId, info: executor, resources, role }) => ({
      executor_id: executor.executor_id.value,
      name: executor.name ?? '',
      framework_id: framework.id,
      source: executor.source ?? '',
      slave_id: agentId,
      role,
      resources: stateResources(resources),
    })),
    offer_constraints: {},
    ...(info.labels && { labels: info.labels.labels ?? [] }),
  }
}

function offerJson(offer: OfferRecord): object {
  return {
    id: offer.id,
    framework_id: offer.frameworkId,
    allocation_info: { role: offer.role },
    slave_id: offer.agentId,
    resources: stateResources(offer.resources),
  }
}

interface Process {
  readonly version: string
  readonly startedAtMs: number
  readonly electedAtMs: number
}

/** Admitted according to the registry, but not back since this master was elected. */
export function recoveredAgentsJson(m: MasterContext): { readonly id: string }[] {
  return [...m.state.recoveredAgents].map(([id, agent]) => ({
    id,
    hostname: agent.hostname,
    port: agent.port ?? 5051,
    attributes: stateAttributes(agent.attributes ?? []),
    resources: stateResources(Resources.of(agent.resources)),
  }))
}

/** The whole of `/state`, as JSON text: it is large, and asked for again and again. */
export function stateText(m: MasterContext, process: Process): string {
  return withFields(
    stateFields(m, process),
    frameworksText(m, () => true),
  )
}

/** Two fields of an object, as JSON text. */
export function frameworksText(
  { state }: MasterContext,
  wanted: (framework: FrameworkRecord) => boolean,
): string {
  const texts = (of: Iterable<FrameworkRecord>): string =>
    [...of].filter(wanted).map(frameworkText).join(',')
  const [active, completed] = [texts(state.frameworks.values()), texts(state.completedFrameworks)]
  return `"frameworks":[${active}],"completed_frameworks":[${completed}]`
}

function stateFields(m: MasterContext, { version, startedAtMs, electedAtMs }: Process): object {
  const { state, info } = m
  const executors = executorsByAgent(m)
  const agents = [...state.agents.values()]
  const { deactivated } = m.registryView
  const activated = agents.filter(({ id, connected }) => connected && !deactivated.has(id)).length
  return {
    version,
    start_time: seconds(startedAtMs),
    elected_time: seconds(electedAtMs),
    id: info.id,
    pid: info.pid,
    hostname: info.hostname,
    capabilities: (info.capabilities ?? []).map(c => c.type),
    activated_slaves: activated,
    deactivated_slaves: agents.length - activated,
    unreachable_slaves: m.registryView.unreachable.size,
    leader: info.pid,
    leader_info: { id: info.id, pid: info.pid, port: info.port, hostname: info.hostname },
    ...(m.config.cluster !== undefined && { cluster: m.config.cluster }),
    flags: m.config.printable,
    slaves: agents.map(agent => agentJson(m, agent, executors)),
    recovered_slaves: recoveredAgentsJson(m),
    orphan_tasks: [],
    unregistered_frameworks: [],
  }
}

/** All tasks that the master remembers, newest first within each framework. */
export function allTasks(m: MasterContext): Task[] {
  const of = (framework: FrameworkRecord): Task[] => [
    ...[...framework.tasks.values()].map(record => record.task),
    ...framework.unreachableTasks.values(),
    ...framework.completedTasks,
  ]
  return [...m.state.frameworks.values(), ...m.state.completedFrameworks].flatMap(of)
}
