// From the master's state to the rows of the tables. Pure: same state, same rows.

import type { Agent, ClusterState, Framework, Offer, Resources, Task } from './state.ts'
import { isTerminal } from './task-state.ts'

/** Scalars only; what is not there is 0. Memory and disk in MB. */
export interface Amounts {
  readonly cpus: number
  readonly gpus: number
  readonly mem: number
  readonly disk: number
}

export interface TaskRow {
  readonly id: string
  readonly name: string
  readonly frameworkId: string
  readonly frameworkName: string
  readonly agentId: string
  /** Unknown once the agent is gone. */
  readonly host: string | undefined
  readonly role: string
  readonly state: string
  readonly healthy: boolean | undefined
  readonly startedMs: number | undefined
  readonly stoppedMs: number | undefined
  readonly message: string
  readonly task: Task
}

export interface AgentRow {
  readonly id: string
  readonly host: string
  readonly state: 'Active' | 'Draining' | 'Drained' | 'Deactivated' | 'Disconnected'
  readonly tasks: number
  readonly used: Amounts
  readonly offered: Amounts
  readonly total: Amounts
  readonly registeredMs: number | undefined
  readonly reregisteredMs: number | undefined
  readonly agent: Agent
}

export interface FrameworkRow {
  readonly id: string
  readonly name: string
  readonly state: 'Active' | 'Inactive' | 'Disconnected' | 'Recovered' | 'Completed'
  readonly host: string
  /** Only http and https: a framework chooses this text, and a page must not run it. */
  readonly webUrl: string | undefined
  readonly user: string
  readonly principal: string
  readonly roles: string
  readonly tasks: number
  readonly used: Amounts
  /** Largest share of any one resource of the cluster, 0 to 1. */
  readonly maxShare: number
  readonly registeredMs: number | undefined
  readonly reregisteredMs: number | undefined
  readonly unregisteredMs: number | undefined
  readonly framework: Framework
}

export interface OfferRow {
  readonly id: string
  readonly role: string
  readonly frameworkId: string
  readonly frameworkName: string
  readonly agentId: string
  readonly host: string | undefined
  readonly amounts: Amounts
}

/** Everything that the pages show as tables. */
export interface Rows {
  readonly active: readonly TaskRow[]
  readonly unreachable: readonly TaskRow[]
  readonly completed: readonly TaskRow[]
  readonly agents: readonly AgentRow[]
  readonly frameworks: readonly FrameworkRow[]
  readonly completedFrameworks: readonly FrameworkRow[]
  readonly offers: readonly OfferRow[]
  readonly total: Amounts
}

export function rowsOf(state: ClusterState): Rows {
  const hosts = new Map(state.slaves.map(agent => [agent.id, agent.hostname]))
  const tasksByAgent = new Map<string, number>()
  const active: TaskRow[] = []
  const unreachable: TaskRow[] = []
  const completed: TaskRow[] = []
  const offers: OfferRow[] = []
  for (const framework of [...state.frameworks, ...(state.completed_frameworks ?? [])]) {
    for (const task of framework.tasks ?? []) {
      active.push(taskRow(task, framework, hosts))
      tasksByAgent.set(task.slave_id, (tasksByAgent.get(task.slave_id) ?? 0) + 1)
    }
    for (const task of framework.unreachable_tasks ?? []) {
      unreachable.push(taskRow(task, framework, hosts))
    }
    for (const task of framework.completed_tasks ?? []) {
      completed.push(taskRow(task, framework, hosts))
    }
    for (const offer of framework.offers ?? []) offers.push(offerRow(offer, framework, hosts))
  }
  const total = sum(state.slaves.filter(agent => agent.active).map(agent => agent.resources))
  return {
    active,
    unreachable,
    completed,
    agents: state.slaves.map(agent => agentRow(agent, tasksByAgent.get(agent.id) ?? 0)),
    frameworks: state.frameworks.map(framework => frameworkRow(framework, total, false)),
    completedFrameworks: (state.completed_frameworks ?? []).map(framework =>
      frameworkRow(framework, total, true),
    ),
    offers,
    total,
  }
}

function taskRow(task: Task, framework: Framework, hosts: ReadonlyMap<string, string>): TaskRow {
  const statuses = task.statuses ?? []
  const first = statuses[0]
  const last = statuses.at(-1)
  return {
    id: task.id,
    name: task.name,
    frameworkId: framework.id,
    frameworkName: framework.name,
    agentId: task.slave_id,
    host: hosts.get(task.slave_id),
    role: task.role ?? framework.role ?? '',
    state: task.state,
    healthy: last?.healthy,
    startedMs: first && !isTerminal(first.state) ? first.timestamp * 1000 : undefined,
    stoppedMs: last && isTerminal(last.state) ? last.timestamp * 1000 : undefined,
    message: last?.message ?? '',
    task,
  }
}

function agentRow(agent: Agent, tasks: number): AgentRow {
  return {
    id: agent.id,
    host: agent.hostname,
    state: agentState(agent),
    tasks,
    used: amounts(agent.used_resources),
    offered: amounts(agent.offered_resources),
    total: amounts(agent.resources),
    registeredMs: timeMs(agent.registered_time),
    reregisteredMs: timeMs(agent.reregistered_time),
    agent,
  }
}

function agentState(agent: Agent): AgentRow['state'] {
  if (agent.drain_info?.state === 'DRAINED') return 'Drained'
  if (agent.drain_info) return 'Draining'
  if (agent.deactivated) return 'Deactivated'
  return agent.active ? 'Active' : 'Disconnected'
}

function frameworkRow(framework: Framework, total: Amounts, completed: boolean): FrameworkRow {
  const used = amounts(framework.used_resources)
  return {
    id: framework.id,
    name: framework.name,
    state: completed ? 'Completed' : frameworkState(framework),
    host: framework.hostname ?? '',
    webUrl: /^https?:\/\//i.test(framework.webui_url ?? '') ? framework.webui_url : undefined,
    user: framework.user ?? '',
    principal: framework.principal ?? '',
    roles: (framework.roles ?? (framework.role ? [framework.role] : [])).join(', '),
    tasks: framework.tasks?.length ?? 0,
    used,
    maxShare: Math.max(
      share(used.cpus, total.cpus),
      share(used.gpus, total.gpus),
      share(used.mem, total.mem),
      share(used.disk, total.disk),
    ),
    registeredMs: timeMs(framework.registered_time),
    reregisteredMs: timeMs(framework.reregistered_time),
    unregisteredMs: timeMs(framework.unregistered_time),
    framework,
  }
}

function frameworkState(framework: Framework): FrameworkRow['state'] {
  if (framework.recovered) return 'Recovered'
  if (framework.connected === false) return 'Disconnected'
  return framework.active ? 'Active' : 'Inactive'
}

function offerRow(
  offer: Offer,
  framework: Framework,
  hosts: ReadonlyMap<string, string>,
): OfferRow {
  return {
    id: offer.id,
    role: offer.allocation_info?.role ?? '',
    frameworkId: framework.id,
    frameworkName: framework.name,
    agentId: offer.slave_id,
    host: hosts.get(offer.slave_id),
    amounts: amounts(offer.resources),
  }
}

export function amounts(resources: Resources | undefined): Amounts {
  return {
    cpus: resources?.cpus ?? 0,
    gpus: resources?.gpus ?? 0,
    mem: resources?.mem ?? 0,
    disk: resources?.disk ?? 0,
  }
}

/** Sum of scalars, name by name. */
export function sum(all: readonly (Resources | undefined)[]): Amounts {
  const total = { cpus: 0, gpus: 0, mem: 0, disk: 0 }
  for (const resources of all) {
    const one = amounts(resources)
    total.cpus += one.cpus
    total.gpus += one.gpus
    total.mem += one.mem
    total.disk += one.disk
  }
  return total
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0
}

/** Mesos writes 0 for "never". */
function timeMs(seconds: number | undefined): number | undefined {
  return seconds ? seconds * 1000 : undefined
}
