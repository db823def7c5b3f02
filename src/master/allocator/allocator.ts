// Who is offered what. Pure: told of every change, asked for offers, never waiting for a cycle.
//
// Mesos looks at all agents once a second, so a slot that frees up stays empty for half a second on average. Here a
// change marks the agent it concerns; the next `allocate`, which follows in the same turn of the event loop, looks at
// the marked agents only. What did not change costs nothing.

import type { Random } from '../../base/random.ts'
import { Heap } from '../../base/heap.ts'
import { Resources } from '../../resources/resources.ts'
import { DrfSorter } from './drf-sorter.ts'
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

interface AgentSlot {
  readonly id: string
  total: Resources
  free: Resources
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
  #total = Resources.of([])
  readonly #dirty = new Set<string>()
  readonly #expiries = new Heap<{ readonly untilMs: number; readonly agentId: string }>(
    (a, b) => a.untilMs - b.untilMs,
  )
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

  /** The agent came back with other resources: filters on it are void. */
  updateAgent(id: string, total: Resources): void {
    const agent = this.#agents.get(id)
    if (!agent || agent.total.equals(total)) return
    this.#changeTotal(agent.total, 'removeTotal')
    this.#changeTotal(total, 'addTotal')
    agent.free = agent.free.add(total).subtract(agent.total)
    agent.total = total
    agent.reserved = isReserved(total)
    agent.gpus = total.get('gpus') > 0
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
    for (const role of terms.roles) this.#enter(role, id, active)
    if (active) this.#allDirty()
  }

  /** Forgets a framework, from which everything must have been recovered before. */
  removeFramework(id: string): void {
    if (!this.#frameworks.delete(id)) return
    for (const role of [...this.#byRole.keys()]) this.#leave(role, id)
  }

  updateFramework(id: string, terms: FrameworkTerms): void {
    const framework = this.#frameworks.get(id)
    if (!framework) return
    framework.terms = terms
    framework.suppressed = new Set(terms.suppressed)
    for (const role of terms.roles) this.#enter(role, id, framework.active)
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
    agent.free = agent.free.subtract(resources)
    this.#charge(role, frameworkId, resources)
  }

  /**
   * Takes resources back from a framework. `refuseSeconds` given: it did not want them; undefined inside means
   * Mesos' default, and an impossible value as well.
   */
  recover(
    frameworkId: string,
    agentId: string,
    role: string,
    resources: Resources,
    refusal?: { readonly refuseSeconds: number | undefined; readonly nowMs: number },
  ): void {
    if (resources.isEmpty) return
    const scalars = resources.scalars()
    this.#roles.recovered(role, scalars)
    this.#byRole.get(role)?.recovered(frameworkId, scalars)
    const agent = this.#agents.get(agentId)
    if (!agent) return
    agent.free = agent.free.add(resources)
    this.#dirty.add(agentId)
    const framework = this.#frameworks.get(frameworkId)
    if (!refusal || !framework) return
    const untilMs = refusal.nowMs + this.#refusalMs(refusal.refuseSeconds)
    const refusals = framework.refusals.get(agentId) ?? []
    const inForce = refusals.filter(r => r.untilMs > refusal.nowMs)
    inForce.push({ role, resources, untilMs })
    framework.refusals.set(agentId, inForce)
    this.#expiries.push({ untilMs, agentId })
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
    for (const [agentId, refusals] of framework.refusals) {
      const rest = refusals.filter(r => !revived.has(r.role))
      if (rest.length > 0) framework.refusals.set(agentId, rest)
      else framework.refusals.delete(agentId)
    }
    this.#allDirty()
  }

  suppressedRoles(frameworkId: string): readonly string[] {
    return [...(this.#frameworks.get(frameworkId)?.suppressed ?? [])]
  }

  /** When the next refusal runs out, in ms; undefined if none is in force. */
  get nextExpiryMs(): number | undefined {
    return this.#expiries.peek()?.untilMs
  }

  get hasWork(): boolean {
    return this.#dirty.size > 0
  }

  share(role: string): number {
    return this.#roles.share(role)
  }

  free(agentId: string): Resources {
    return this.#agents.get(agentId)?.free ?? Resources.of([])
  }

  /** Gives what is free on the agents that changed, each to whoever is furthest below its fair share. */
  allocate(nowMs: number): Grant[] {
    for (
      let next = this.#expiries.peek();
      next && next.untilMs <= nowMs;
      next = this.#expiries.peek()
    ) {
      this.#expiries.pop()
      if (this.#agents.has(next.agentId)) this.#dirty.add(next.agentId)
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
        agent.free = agent.free.subtract(grant.resources)
        this.#charge(grant.role, grant.frameworkId, grant.resources)
        grants.push(grant)
      }
    }
    return grants
  }

  /** Why each framework would, or would not, be offered what is free on an agent. */
  explain(
    agentId: string,
    nowMs: number,
  ): { frameworkId: string; role: string; reason: string | undefined }[] {
    const agent = this.#agents.get(agentId)
    if (!agent) return []
    const rows = []
    for (const [role, sorter] of this.#byRole) {
      for (const frameworkId of sorter.sorted()) {
        const resources = offerable(agent, role)
        const candidate = this.#candidate(frameworkId, role, agentId)
        if (!candidate) continue
        const reason = agent.active
          ? this.#against(candidate, agent, resources, nowMs)
          : 'the agent is not active'
        rows.push({ frameworkId, role, reason })
      }
    }
    return rows
  }

  #next(agent: AgentSlot, nowMs: number): Grant | undefined {
    if (agent.free.isEmpty) return undefined
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
      refusals: framework.refusals.get(agentId) ?? [],
    }
  }

  #refusalMs(refuseSeconds: number | undefined): number {
    const given = refuseSeconds ?? DEFAULT_REFUSE_SECONDS
    const seconds = given >= 0 ? Math.min(given, LONGEST_REFUSE_SECONDS) : DEFAULT_REFUSE_SECONDS
    return Math.max(seconds * 1000, this.#o.shortestRefusalMs)
  }

  #enter(role: string, frameworkId: string, active: boolean): void {
    let sorter = this.#byRole.get(role)
    if (!sorter) {
      sorter = new DrfSorter()
      sorter.addTotal(this.#total.scalars())
      this.#byRole.set(role, sorter)
      this.#roles.add(role, this.#o.weights.get(role) ?? 1)
    }
    sorter.add(frameworkId)
    sorter.setActive(frameworkId, active)
  }

  #leave(role: string, frameworkId: string): void {
    this.#byRole.get(role)?.remove(frameworkId)
  }

  #charge(role: string, frameworkId: string, resources: Resources): void {
    const scalars = resources.scalars()
    this.#roles.allocated(role, scalars)
    this.#byRole.get(role)!.allocated(frameworkId, scalars)
  }

  #changeTotal(resources: Resources, change: 'addTotal' | 'removeTotal'): void {
    const scalars = resources.scalars()
    this.#total =
      change === 'addTotal' ? this.#total.add(resources) : this.#total.subtract(resources)
    this.#roles[change](scalars)
    for (const sorter of this.#byRole.values()) sorter[change](scalars)
  }

  #allDirty(): void {
    for (const id of this.#agents.keys()) this.#dirty.add(id)
  }
}

function isReserved(total: Resources): boolean {
  return !total.unreserved().equals(total)
}

/** What of an agent's free resources a role may have: those of nobody, and its own. */
function offerable(agent: AgentSlot, role: string): Resources {
  if (!agent.reserved) return agent.free
  return agent.free.unreserved().add(agent.free.reserved(role))
}
