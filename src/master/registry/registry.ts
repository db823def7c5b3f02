// The registry: what a master must not forget. Frameworks, tasks and offers are not in it; agents and schedulers
// bring those back by themselves.

import type { AgentInfo, MasterInfo } from '../../messages/agent.ts'
import type { Operation, RegistrySnapshot } from './operations.ts'

/** Why an operation does not apply to the registry as it is. Nothing was changed. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
}

/** The state after a prefix of the log. Only `apply` changes it, and the same operations always give the same state. */
export class Registry {
  master: MasterInfo | undefined
  readonly agents = new Map<string, AgentInfo>()
  /** Time (ms since the epoch) at which each was given up, oldest first. */
  readonly unreachable = new Map<string, number>()
  readonly gone = new Map<string, number>()

  static of(snapshot: RegistrySnapshot): Registry {
    const registry = new Registry()
    registry.master = snapshot.master
    for (const info of snapshot.agents) registry.agents.set(idOf(info), info)
    for (const { id, time_ms } of snapshot.unreachable) registry.unreachable.set(id.value, time_ms)
    for (const { id, time_ms } of snapshot.gone) registry.gone.set(id.value, time_ms)
    return registry
  }

  snapshot(): RegistrySnapshot {
    const departed = (list: ReadonlyMap<string, number>) =>
      [...list].map(([value, time_ms]) => ({ id: { value }, time_ms }))
    return {
      ...(this.master && { master: this.master }),
      agents: [...this.agents.values()],
      unreachable: departed(this.unreachable),
      gone: departed(this.gone),
    }
  }

  /** Applies an operation; false if it changes nothing. Throws `RegistryError` if it does not fit. */
  apply(operation: Operation): boolean {
    switch (operation.type) {
      case 'recover':
        this.master = operation.master
        return true
      case 'admit_agent': {
        const id = idOf(operation.info)
        if (this.agents.has(id)) throw new RegistryError(`Agent ${id} is already admitted`)
        if (this.gone.has(id)) throw new RegistryError(`Agent ${id} has been marked gone`)
        this.unreachable.delete(id)
        this.agents.set(id, operation.info)
        return true
      }
      case 'update_agent': {
        const id = idOf(operation.info)
        if (!this.agents.has(id)) throw new RegistryError(`Agent ${id} is not admitted`)
        this.agents.set(id, operation.info)
        return true
      }
      case 'mark_agent_unreachable': {
        const id = operation.agent_id.value
        if (!this.agents.delete(id)) throw new RegistryError(`Agent ${id} is not admitted`)
        this.unreachable.set(id, operation.time_ms)
        return true
      }
      case 'mark_agent_reachable': {
        const id = idOf(operation.info)
        if (this.gone.has(id)) throw new RegistryError(`Agent ${id} has been marked gone`)
        if (this.agents.has(id)) return false
        this.unreachable.delete(id)
        this.agents.set(id, operation.info)
        return true
      }
      case 'remove_agent': {
        const id = operation.agent_id.value
        if (!this.agents.delete(id) && !this.unreachable.delete(id)) {
          throw new RegistryError(`Agent ${id} is not known`)
        }
        return true
      }
      case 'mark_agent_gone': {
        const id = operation.agent_id.value
        if (this.gone.has(id)) return false
        if (!this.agents.delete(id) && !this.unreachable.delete(id)) {
          throw new RegistryError(`Agent ${id} is not known`)
        }
        this.gone.set(id, operation.time_ms)
        return true
      }
      case 'prune': {
        let changed = false
        for (const { value } of operation.unreachable) {
          changed = this.unreachable.delete(value) || changed
        }
        for (const { value } of operation.gone) changed = this.gone.delete(value) || changed
        return changed
      }
    }
  }
}

function idOf(info: AgentInfo): string {
  const id = info.id?.value
  if (!id) throw new RegistryError('An agent in the registry must have an id')
  return id
}
