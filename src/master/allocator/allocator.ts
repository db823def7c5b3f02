// Who is offered what. Pure: told of every change, asked for offers, never waiting for a cycle.
//
// Mesos looks at all agents once a second, so a slot that frees up stays empty for half a second on average. Here a
// change marks the agent it concerns; the next `allocate`, which follows in the same turn of the event loop, looks at
// the marked agents only. What did not change costs nothing.

import type { Random } from '../../base/random.ts'
import {
  addQuantities,
  coversAny,
  type Quantities,
  subtractQuantities,
} from '../../resources/quantities.ts'
import { Resources } from '../../resources/resources.ts'
import { DrfSorter } from './drf-sorter.ts'
import { Expiries } from './expiries.ts'
import { type Alternatives, type Candidate, type Refusal, reasonAgainst } from './filters.ts'

export interface AllocatorOptions {
  readonly random: Random
  readonly minimum: Alternatives
  readonly filterGpus: boolean
  readonly weights: ReadonlyMap<string, number>
  /** What a framework did not use is not offered to it again for at least this long. */
  readonly shortestRefusalMs: number
}

export interface FrameworkTerms {
  readonly roles: ReadonlySet<string>
  readonly suppressed: ReadonlySet<string>
  readonly capabilities: ReadonlySet<string>
  readonly minimum: ReadonlyMap<string, Alternatives>
}

/** Resources of one agent for one role of one framework; taken from the free ones already. */
export interface Grant {
  readonly frameworkId: string
  readonly role: string
  readonly agentId: string
  readonly resources: Resources
}

/** How a framework gave resources back. */
export interface Return {
  /** Undefined means Mesos' default, and so does an impossible value. */
  readonly refuseSeconds: number | undefined
  readonly nowMs: number
  /** It used another part of what it was offered. */
  readonly used?: boolean
}

export interface Explanation {
  readonly frameworkId: string
  readonly role: string
  /** Undefined: nothing is against it. */
  readonly reason: string | undefined
}

interface AgentSlot {
  readonly id: string
  total: Resources
  /** What frameworks were granted or had already; more than `total` when the agent came back smaller. */
  held: Resources
  /** `total` without `held`; undefined: to be reckoned when it is asked for. */
  free: Resources | undefined
  active: boolean
  /** Whether any of it is reserved: if not, every role sees the same, which is the quick case. */
  reserved: boolean
  gpus: boolean
}

interface FrameworkSlot {
  readonly id: string
  terms: FrameworkTerms
  suppressed: Set<string>
  active: boolean
  /** By agent. */
  readonly refusals: Map<string, Refusal[]>
}

const DEFAULT_REFUSE_SECONDS = 5
const LONGEST_REFUSE_SECONDS = 31_536_000

export class Allocator {
  readonly #o: AllocatorOptions
  readonly #agents = new Map<string, AgentSlot>()
  readonly #frameworks = new Map<string, FrameworkSlot>()
  readonly #roles = new DrfSorter()
  readonly #byRole = new Map<string, DrfSorter>()
  #total: Quantities = new Map()
  readonly #dirty = new Set<string>()
  readonly #expiries = new Expiries(() => this.#refusals())
  /** How many frameworks set minima of their own. */
  #choosy = 0
  /** Times `allocate` looked at an agent, for the benchmark's breakdown. */
  looked = 0

  constructor(options: AllocatorOptions) {
    this.#o = options
  }

  /** Adds an agent; what runs on it already is told by `adopt`. */
  addAgent(id: string, total: Resources): void {
    this.removeAgent(id)
    this.#agents.set(id, {
      id,
      total,
      held: Resources.empty,
      free: total,
      active: true,
      reserved: isReserved(total),
      gpus: total.get('gpus') > 0,
    })
    this.#changeTotal(total, 'addTotal')
    this.#dirty.add(id)
  }

  /** Forgets an agent, from which everything must have been recovered before. */
  removeAgent(id: string): void {
    const agent = this.#agents.get(id)
    if (!agent) return
    this.#agents.delete(id)
    this.#dirty.delete(id)
    this.#changeTotal(agent.total, 'removeTotal')
    for (const framework of this.#frameworks.values()) framework.refusals.delete(id)
  }

  /** The agent came back with other resources or attributes: what was refused of it may be wanted now. */
  updateAgent(id: string, total: Resources): void {
    const agent = this.#agents.get(id)
    if (!agent) return
    if (!total.equals(agent.total)) {
      this.#changeTotal(agent.total, 'removeTotal')
      this.#changeTotal(total, 'addTotal')
      agent.total = total
      agent.free = undefined
      agent.reserved = isReserved(total)
      agent.gpus = total.get('gpus') > 0
    }
    for (const framework of this.#frameworks.values()) framework.refusals.delete(id)
    this.#dirty.add(id)
  }

  setAgentActive(id: string, active: boolean): void {
    const agent = this.#agents.get(id)
    if (!agent) return
    agent.active = active
    if (active) this.#dirty.add(id)
  }

  addFramework(id: string, terms: FrameworkTerms, active: boolean): void {
    const suppressed = new Set(terms.suppressed)
    this.#frameworks.set(id, { id, terms, suppressed, active, refusals: new Map() })
    if (terms.minimum.size > 0) this.#choosy++
    for (const role of terms.roles) this.#enter(role, id, active)
    if (active) this.#allDirty()
  }

  /** Forgets a framework, from which everything must have been recovered before. */
  removeFramework(id: string): void {
    const framework = this.#frameworks.get(id)
    if (!framework) return
    this.#frameworks.delete(id)
    if (framework.terms.minimum.size > 0) this.#choosy--
    for (const role of [...this.#byRole.keys()]) this.#leave(role, id)
  }

  updateFramework(id: string, terms: FrameworkTerms): void {
    const framework = this.#frameworks.get(id)
    if (!framework) return
    const before = framework.terms
    this.#choosy += Number(terms.minimum.size > 0) - Number(before.minimum.size > 0)
    framework.terms = terms
    const wanted = [...framework.suppressed].filter(role => !terms.suppressed.has(role))
    if (wanted.length > 0) forget(framework, new Set(wanted))
    framework.suppressed = new Set(terms.suppressed)
    for (const role of terms.roles) this.#enter(role, id, framework.active)
    for (const role of before.roles) this.#leaveIfIdle(role, framework)
    this.#allDirty()
  }

  setFrameworkActive(id: string, active: boolean): void {
    const framework = this.#frameworks.get(id)
    if (!framework) return
    framework.active = active
    // A scheduler that comes back may want what the one before it refused.
    framework.refusals.clear()
    for (const sorter of this.#byRole.values()) sorter.setActive(id, active)
    if (active) this.#allDirty()
  }

  /** Counts resources as the framework's that it has already: tasks of an agent that came back. */
  adopt(frameworkId: string, agentId: string, role: string, resources: Resources): void {
    const agent = this.#agents.get(agentId)
    if (!agent) return
    this.#enter(role, frameworkId, this.#frameworks.get(frameworkId)?.active ?? false)
    this.#charge(agent, role, frameworkId, resources)
  }

  /** Takes resources back from a framework. `returned`: it did not want them, and is not offered them for a while. */
  recover(
    frameworkId: string,
    agentId: string,
    role: string,
    resources: Resources,
    returned?: Return,
  ): void {
    if (resources.isEmpty) return
    const scalars = resources.scalars()
    this.#roles.recovered(role, scalars)
    this.#byRole.get(role)?.recovered(frameworkId, scalars)
    const framework = this.#frameworks.get(frameworkId)
    if (framework) this.#leaveIfIdle(role, framework)
    const agent = this.#agents.get(agentId)
    if (!agent) return
    agent.held = agent.held.subtract(resources)
    agent.free = undefined
    this.#dirty.add(agentId)
    if (!framework || !returned) return
    const untilMs = this.#refusedUntilMs(returned)
    if (untilMs !== undefined)
      this.#refuse(framework, agentId, { role, resources, untilMs }, returned.nowMs)
  }

  /** No more offers for these roles (none named: all of the framework's). */
  suppress(frameworkId: string, roles: readonly string[]): void {
    const framework = this.#frameworks.get(frameworkId)
    if (!framework) return
    for (const role of roles.length > 0 ? roles : framework.terms.roles)
      framework.suppressed.add(role)
  }

  /** Offers again for these roles (none named: all), whatever was refused before. */
  revive(frameworkId: string, roles: readonly string[]): void {
    const framework = this.#frameworks.get(frameworkId)
    if (!framework) return
    const revived = new Set(roles.length > 0 ? roles : framework.terms.roles)
    for (const role of revived) framework.suppressed.delete(role)
    forget(framework, revived)
    this.#allDirty()
  }

  /** When the next refusal runs out, in ms; undefined if none is in force. */
  get nextExpiryMs(): number | undefined {
    return this.#expiries.nextMs
  }

  /** Dominant share of a role, divided by its weight. */
  share(role: string): number {
    return this.#roles.share(role)
  }

  free(agentId: string): Resources {
    const agent = this.#agents.get(agentId)
    return agent ? freeOf(agent) : Resources.empty
  }

  /** Roles that have, or had lately, frameworks or allocations. */
  get roles(): readonly string[] {
    return [...this.#byRole.keys()]
  }

  /** Gives what is free on the agents that changed, each to whoever is furthest below its fair share. */
  allocate(nowMs: number): Grant[] {
    for (const agentId of this.#expiries.take(nowMs)) {
      if (this.#agents.has(agentId)) this.#dirty.add(agentId)
    }
    if (this.#dirty.size === 0) return []
    const marked = this.#o.random.shuffle([...this.#dirty])
    this.#dirty.clear()
    const grants: Grant[] = []
    for (const id of marked) {
      const agent = this.#agents.get(id)
      if (!agent?.active) continue
      this.looked++
      for (let grant = this.#next(agent, nowMs); grant; grant = this.#next(agent, nowMs)) {
        this.#charge(agent, grant.role, grant.frameworkId, grant.resources)
        grants.push(grant)
      }
    }
    return grants
  }

  /** Why each framework would, or would not, be offered what is free on an agent; who comes first is in front. */
  explain(agentId: string, nowMs: number): Explanation[] {
    const agent = this.#agents.get(agentId)
    if (!agent) return []
    const rows: Explanation[] = []
    for (const role of this.#roles.sorted()) {
      for (const frameworkId of this.#byRole.get(role)!.sorted()) {
        const candidate = this.#candidate(frameworkId, role, agentId)
        if (!candidate) continue
        const resources = offerable(agent, role)
        const reason = !agent.active
          ? 'the agent is not connected'
          : resources.isEmpty
            ? 'nothing is free on the agent'
            : this.#against(candidate, agent, resources, nowMs)
        rows.push({ frameworkId, role, reason })
      }
    }
    for (const framework of this.#frameworks.values()) {
      if (framework.active) continue
      for (const role of framework.terms.roles) {
        rows.push({ frameworkId: framework.id, role, reason: 'its scheduler is not connected' })
      }
    }
    return rows
  }

  #next(agent: AgentSlot, nowMs: number): Grant | undefined {
    const free = freeOf(agent)
    if (free.isEmpty) return undefined
    // Most often an agent is simply full; then nobody need be asked.
    if (this.#choosy === 0 && !coversAny(free.scalars(), this.#o.minimum)) return undefined
    for (const role of this.#roles.sorted()) {
      const resources = offerable(agent, role)
      if (resources.isEmpty) continue
      for (const frameworkId of this.#byRole.get(role)!.sorted()) {
        const candidate = this.#candidate(frameworkId, role, agent.id)
        if (!candidate || this.#against(candidate, agent, resources, nowMs) !== undefined) continue
        return { frameworkId, role, agentId: agent.id, resources }
      }
    }
    return undefined
  }

  #against(
    candidate: Candidate,
    agent: AgentSlot,
    resources: Resources,
    nowMs: number,
  ): string | undefined {
    const { minimum, filterGpus } = this.#o
    return reasonAgainst(candidate, {
      resources,
      minimum,
      filterGpus,
      agentHasGpus: agent.gpus,
      nowMs,
    })
  }

  #candidate(frameworkId: string, role: string, agentId: string): Candidate | undefined {
    const framework = this.#frameworks.get(frameworkId)
    // One that left the role keeps what it has there, but is offered nothing more.
    if (!framework?.active || !framework.terms.roles.has(role)) return undefined
    return {
      frameworkId,
      role,
      suppressed: framework.suppressed,
      capabilities: framework.terms.capabilities,
      minimum: framework.terms.minimum,
      refusals: framework.refusals.get(agentId) ?? NO_REFUSALS,
    }
  }

  /** Until when it is not offered again; undefined: it may be offered at once. */
  #refusedUntilMs({ refuseSeconds, nowMs, used }: Return): number | undefined {
    const given = refuseSeconds ?? DEFAULT_REFUSE_SECONDS
    // One that used a part and refuses nothing gets on. One that only ever declines would be asked without end.
    if (given === 0 && used) return undefined
    const seconds = given >= 0 ? Math.min(given, LONGEST_REFUSE_SECONDS) : DEFAULT_REFUSE_SECONDS
    return nowMs + Math.max(seconds * 1000, this.#o.shortestRefusalMs)
  }

  #refuse(framework: FrameworkSlot, agentId: string, refusal: Refusal, nowMs: number): void {
    if (refusal.untilMs <= nowMs) return
    // A refusal that says no more than another one is dropped: they do not pile up, however long they last.
    const others = (framework.refusals.get(agentId) ?? NO_REFUSALS).filter(
      other => other.untilMs > nowMs && !says(refusal, other),
    )
    framework.refusals.set(agentId, others)
    if (others.some(other => says(other, refusal))) return
    others.push(refusal)
    this.#expiries.add(refusal.untilMs, agentId)
  }

  *#refusals(): IterableIterator<{ untilMs: number; agentId: string }> {
    for (const framework of this.#frameworks.values()) {
      for (const [agentId, refusals] of framework.refusals) {
        for (const { untilMs } of refusals) yield { untilMs, agentId }
      }
    }
  }

  #enter(role: string, frameworkId: string, active: boolean): void {
    let sorter = this.#byRole.get(role)
    if (!sorter) {
      sorter = new DrfSorter()
      sorter.addTotal(this.#total)
      this.#byRole.set(role, sorter)
      this.#roles.add(role, this.#o.weights.get(role) ?? 1)
    }
    sorter.add(frameworkId)
    sorter.setActive(frameworkId, active)
  }

  /** A role without frameworks is forgotten: nobody knows how many names will be used in a year. */
  #leave(role: string, frameworkId: string): void {
    const sorter = this.#byRole.get(role)
    if (!sorter) return
    sorter.remove(frameworkId)
    if (sorter.size > 0) return
    this.#byRole.delete(role)
    this.#roles.remove(role)
  }

  /** A framework that left a role is counted there for as long as it has something of it. */
  #leaveIfIdle(role: string, framework: FrameworkSlot): void {
    if (framework.terms.roles.has(role)) return
    if (this.#byRole.get(role)?.isIdle(framework.id)) this.#leave(role, framework.id)
  }

  #charge(agent: AgentSlot, role: string, frameworkId: string, resources: Resources): void {
    agent.held = agent.held.add(resources)
    agent.free = undefined
    const scalars = resources.scalars()
    this.#roles.allocated(role, scalars)
    this.#byRole.get(role)!.allocated(frameworkId, scalars)
  }

  #changeTotal(resources: Resources, change: 'addTotal' | 'removeTotal'): void {
    const scalars = resources.scalars()
    this.#total =
      change === 'addTotal'
        ? addQuantities(this.#total, scalars)
        : subtractQuantities(this.#total, scalars)
    this.#roles[change](scalars)
    for (const sorter of this.#byRole.values()) sorter[change](scalars)
  }

  #allDirty(): void {
    for (const id of this.#agents.keys()) this.#dirty.add(id)
  }
}

const NO_REFUSALS: readonly Refusal[] = []

function freeOf(agent: AgentSlot): Resources {
  return (agent.free ??= agent.total.subtract(agent.held))
}

function isReserved(total: Resources): boolean {
  return !total.unreserved().equals(total)
}

/** What of an agent's free resources a role may have: those of nobody, and its own. */
function offerable(agent: AgentSlot, role: string): Resources {
  const free = freeOf(agent)
  if (!agent.reserved) return free
  return free.unreserved().add(free.reserved(role))
}

/** Whether all that `b` keeps from its framework is kept from it by `a` as well, and as long. */
function says(a: Refusal, b: Refusal): boolean {
  return a.role === b.role && a.untilMs >= b.untilMs && a.resources.contains(b.resources)
}

/** Drops what was refused for these roles. */
function forget(framework: FrameworkSlot, roles: ReadonlySet<string>): void {
  for (const [agentId, refusals] of framework.refusals) {
    const rest = refusals.filter(refusal => !roles.has(refusal.role))
    if (rest.length > 0) framework.refusals.set(agentId, rest)
    else framework.refusals.delete(agentId)
  }
}
