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
import { AgentSlot } from './agent-slot.ts'
import { DrfSorter } from './drf-sorter.ts'
import { Expiries } from './expiries.ts'
import {
  type Alternatives,
  type Candidate,
  inWords,
  type Reason,
  reasonAgainst,
} from './filters.ts'
import { Refusals, refusedUntilMs, type Return } from './refusals.ts'

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

export interface Explanation {
  readonly frameworkId: string
  readonly role: string
  /** Undefined: nothing is against it. */
  readonly reason: string | undefined
}

interface FrameworkSlot {
  readonly id: string
  terms: FrameworkTerms
  suppressed: Set<string>
  active: boolean
  readonly refusals: Refusals
}

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
    this.#agents.set(id, new AgentSlot(id, total))
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
    for (const framework of this.#frameworks.values()) framework.refusals.forgetAgent(id)
  }

  /** The agent came back with other resources or attributes: what was refused of it may be wanted now. */
  updateAgent(id: string, total: Resources): void {
    const agent = this.#agents.get(id)
    if (!agent) return
    if (!total.equals(agent.total)) {
      this.#changeTotal(agent.total, 'removeTotal')
      this.#changeTotal(total, 'addTotal')
      agent.total = total
    }
    for (const framework of this.#frameworks.values()) framework.refusals.forgetAgent(id)
    this.#dirty.add(id)
  }

  /** `why`, in words: an agent that is not active is not offered. */
  setAgentActive(id: string, active: boolean, why = 'the agent is not connected'): void {
    const agent = this.#agents.get(id)
    if (!agent) return
    agent.withheld = active ? undefined : why
    if (active) this.#dirty.add(id)
  }

  addFramework(id: string, terms: FrameworkTerms, active: boolean): void {
    const suppressed = new Set(terms.suppressed)
    this.#frameworks.set(id, { id, terms, suppressed, active, refusals: new Refusals() })
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
    if (wanted.length > 0) framework.refusals.forgetRoles(new Set(wanted))
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
    agent.giveBack(resources)
    this.#dirty.add(agentId)
    if (!framework || !returned) return
    const untilMs = refusedUntilMs(returned, this.#o.shortestRefusalMs)
    if (untilMs === undefined) return
    if (framework.refusals.add(agentId, { role, resources, untilMs }, returned.nowMs)) {
      this.#expiries.add(untilMs, agentId)
    }
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
    framework.refusals.forgetRoles(revived)
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
    return this.#agents.get(agentId)?.free ?? Resources.empty
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
      if (!agent || agent.withheld !== undefined) continue
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
        const resources = agent.offerable(role)
        const reason =
          agent.withheld ??
          (resources.isEmpty
            ? 'nothing is free on the agent'
            : this.#against(candidate, agent, resources, nowMs))
        const words = reason === undefined ? undefined : inWords(reason, nowMs)
        rows.push({ frameworkId, role, reason: words })
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
    const { free } = agent
    if (free.isEmpty) return undefined
    // Most often an agent is simply full; then nobody need be asked.
    if (this.#choosy === 0 && !coversAny(free.scalars(), this.#o.minimum)) return undefined
    for (const role of this.#roles.sorted()) {
      const resources = agent.offerable(role)
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
  ): Reason | undefined {
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
      refusals: framework.refusals.of(agentId),
    }
  }

  *#refusals(): IterableIterator<{ untilMs: number; agentId: string }> {
    for (const { refusals } of this.#frameworks.values()) yield* refusals.expiries()
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
    agent.take(resources)
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
