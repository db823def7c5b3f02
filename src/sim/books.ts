// Holds a master's books against themselves after every step, agent by agent as they change; and what one master was
// told is written against what the next one reads.

import type { MasterContext } from '../master/context.ts'
import type { Operation } from '../master/registry/operations.ts'
import { Registry } from '../master/registry/registry.ts'
import type { AgentRecord } from '../master/state.ts'
import { Resources } from '../resources/resources.ts'

/** The books of the master that leads, and those of the masters before it as far as they were acknowledged. */
export class BooksCheck {
  #m: MasterContext | undefined
  /** Agents whose resources were touched since they were looked at. */
  readonly #touched = new Set<string>()
  /** What must not be forgotten: the registry after all that was acknowledged. */
  #acknowledged = new Registry()
  /** Written, perhaps; acknowledged to nobody. In the order in which they were asked for. */
  readonly #asked = new Set<Operation>()
  #isCompared = false

  /** For `StartMasterOptions.inspect`: a new master, perhaps of the same cluster. */
  readonly attach = (m: MasterContext): void => {
    this.#m = m
    this.#touched.clear()
    this.#isCompared = false
    this.#watchAllocator(m)
    this.#watchRegistry(m)
  }

  /** For `World.check`. */
  readonly look = (): readonly string[] | undefined => {
    const m = this.#m
    if (!m) return undefined
    const found: string[] = []
    if (!this.#isCompared && m.registryView.master?.id === m.info.id) {
      this.#isCompared = true
      found.push(...this.#forgotten(m))
    }
    if (this.#touched.size > 0) {
      for (const id of this.#touched) {
        const agent = m.state.agents.get(id)
        if (agent) lookAt(m, agent, found)
      }
      this.#touched.clear()
    }
    return found
  }

  /** All agents, also those that nothing was said to have touched. */
  lookAtAll(): readonly string[] {
    for (const id of this.#m?.state.agents.keys() ?? []) this.#touched.add(id)
    return this.look() ?? []
  }

  #watchAllocator({ allocator }: MasterContext): void {
    const touch = (id: string): unknown => this.#touched.add(id)
    const addAgent = allocator.addAgent.bind(allocator)
    const updateAgent = allocator.updateAgent.bind(allocator)
    const adopt = allocator.adopt.bind(allocator)
    const recover = allocator.recover.bind(allocator)
    const allocate = allocator.allocate.bind(allocator)
    allocator.addAgent = (id, total) => {
      touch(id)
      addAgent(id, total)
    }
    allocator.updateAgent = (id, total) => {
      touch(id)
      updateAgent(id, total)
    }
    allocator.adopt = (framework, id, role, resources) => {
      touch(id)
      adopt(framework, id, role, resources)
    }
    allocator.recover = (framework, id, role, resources, returned) => {
      touch(id)
      recover(framework, id, role, resources, returned)
    }
    allocator.allocate = nowMs => {
      const grants = allocate(nowMs)
      for (const { agentId } of grants) touch(agentId)
      return grants
    }
  }

  #watchRegistry(m: MasterContext): void {
    const registry = m.registry.bind(m)
    const watched: MasterContext['registry'] = async operation => {
      this.#asked.add(operation)
      const changed = await registry(operation)
      // The answer of a master that is dead by now counts: somebody may have acted on it.
      this.#asked.delete(operation)
      if (changed) this.#acknowledged.apply(operation)
      return changed
    }
    Object.assign(m, { registry: watched })
  }

  /** What a new master read must be what was acknowledged, and perhaps some of what was asked for after that. */
  #forgotten(m: MasterContext): string[] {
    const read = contents(m.registryView)
    const expected = Registry.of(this.#acknowledged.snapshot())
    const possible = [contents(expected)]
    for (const operation of this.#asked) {
      // What was asked for may have been refused.
      try {
        expected.apply(operation)
      } catch {
        continue
      }
      possible.push(contents(expected))
    }
    const before = this.#acknowledged
    this.#asked.clear()
    this.#acknowledged = Registry.of(m.registryView.snapshot())
    if (possible.includes(read)) return []
    return [`the new master read ${names(m.registryView)}; acknowledged was ${names(before)}`]
  }
}

/** Without the master, which is another one each time. */
function contents(registry: Registry): string {
  const { master: _, ...rest } = registry.snapshot()
  return JSON.stringify(rest)
}

function names({ agents, unreachable, gone }: Registry): string {
  const lists = { agents, unreachable, gone }
  return Object.entries(lists)
    .map(([name, list]) => `${name} [${[...list.keys()].join(', ')}]`)
    .join(' ')
}

function lookAt(m: MasterContext, agent: AgentRecord, found: string[]): void {
  const held: Resources[] = []
  for (const offer of agent.offers.values()) {
    held.push(offer.resources)
    if (m.state.offers.get(offer.id) !== offer) found.push(`${offer.id} is on one list only`)
  }
  for (const [frameworkId, tasks] of agent.tasks) {
    const framework = m.state.frameworks.get(frameworkId)
    for (const [id, record] of tasks) {
      if (record.holding) held.push(record.resources)
      if (framework?.tasks.get(id) === record) continue
      found.push(`task ${id} of ${frameworkId} is on ${agent.id}, and its framework has another`)
    }
  }
  for (const { executors } of m.state.frameworks.values()) {
    for (const { resources } of executors.get(agent.id)?.values() ?? []) held.push(resources)
  }
  const sum = Resources.sum(held)
  const free = m.allocator.free(agent.id)
  if (!agent.total.contains(sum)) {
    found.push(`agent ${agent.id}: of ${text(agent.total)} it holds ${text(sum)}`)
  } else if (!agent.total.subtract(sum).equals(free)) {
    found.push(
      `agent ${agent.id}: of ${text(agent.total)} it holds ${text(sum)}, and ${text(free)} is free`,
    )
  }
}

function text(resources: Resources): string {
  return JSON.stringify(Object.fromEntries(resources.scalars()))
}
