// The registry: what a master must not forget. Frameworks, tasks and offers are not in it; agents and schedulers
// bring those back by themselves.

import type { AgentInfo, MasterInfo } from '../../messages/agent.ts'
import { Machines } from './machines.ts'
import type { Deactivation, Operation, RegistrySnapshot } from './operations.ts'
import { RegistryError } from './registry-error.ts'

export { RegistryError }

/** The state after a prefix of the log. Only `apply` changes it, and the same operations always give the same state. */
export class Registry {
  master: MasterInfo | undefined
  readonly agents = new Map<string, AgentInfo>()
  /** Time (ms since the epoch) at which each was given up, oldest first. */
  readonly unreachable = new Map<string, number>()
  readonly gone = new Map<string, number>()
  /** Agents, admitted or unreachable, that an operator took out of service. */
  readonly deactivated = new Map<string, Deactivation>()
  readonly machines = new Machines()

  static of(snapshot: RegistrySnapshot): Registry {
    const registry = new Registry()
    registry.master = snapshot.master
    for (const info of snapshot.agents) registry.agents.set(idOf(info), info)
    for (const { id, time_ms } of snapshot.unreachable) registry.unreachable.set(id.value, time_ms)
    for (const { id, time_ms } of snapshot.gone) registry.gone.set(id.value, time_ms)
    for (const { id, ...how } of snapshot.deactivated ?? []) registry.deactivated.set(id.value, how)
    if (snapshot.schedule) registry.machines.update(snapshot.schedule)
    if (snapshot.down) registry.machines.start(snapshot.down)
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
      ...(this.deactivated.size > 0 && {
        deactivated: [...this.deactivated].map(([value, how]) => ({ id: { value }, ...how })),
      }),
      ...(this.machines.size > 0 && { schedule: this.machines.schedule }),
      ...(this.machines.down.length > 0 && { down: [...this.machines.down] }),
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
        this.deactivated.delete(id)
        return true
      }
      case 'mark_agent_gone': {
        const id = operation.agent_id.value
        if (this.gone.has(id)) return false
        if (!this.agents.delete(id) && !this.unreachable.delete(id)) {
          throw new RegistryError(`Agent ${id} is not known`)
        }
        this.deactivated.delete(id)
        this.gone.set(id, operation.time_ms)
        return true
      }
      case 'prune': {
        let changed = false
        for (const { value } of operation.unreachable) {
          if (!this.unreachable.delete(value)) continue
          this.deactivated.delete(value)
          changed = true
        }
        for (const { value } of operation.gone) changed = this.gone.delete(value) || changed
        return changed
      }
      case 'drain_agent': {
        const id = this.#known(operation.agent_id.value)
        const drain_info = { state: 'DRAINING' as const, config: operation.config }
        this.deactivated.set(id, { drain_info, since_ms: operation.time_ms })
        return true
      }
      case 'mark_agent_drained': {
        const id = this.#known(operation.agent_id.value)
        const how = this.deactivated.get(id)
        if (how?.drain_info?.state !== 'DRAINING') {
          throw new RegistryError(`Agent ${id} is not DRAINING`)
        }
        this.deactivated.set(id, { ...how, drain_info: { ...how.drain_info, state: 'DRAINED' } })
        return true
      }
      case 'deactivate_agent': {
        const id = this.#known(operation.agent_id.value)
        if (this.deactivated.has(id)) return false
        this.deactivated.set(id, {})
        return true
      }
      case 'reactivate_agent': {
        const id = this.#known(operation.agent_id.value)
        if (this.deactivated.get(id)?.drain_info?.state === 'DRAINING') {
          throw new RegistryError(`Agent ${id} is still in the DRAINING state`)
        }
        return this.deactivated.delete(id)
      }
      case 'update_maintenance_schedule':
        this.machines.update(operation.schedule)
        return true
      case 'start_maintenance':
        this.machines.start(operation.machine_ids)
        return true
      case 'stop_maintenance':
        this.machines.stop(operation.machine_ids)
        return true
    }
  }

  /** Admitted, or to be admitted again when it comes back. */
  #known(id: string): string {
    if (this.agents.has(id) || this.unreachable.has(id)) return id
    throw new RegistryError(`Agent ${id} is not known`)
  }
}

function idOf(info: AgentInfo): string {
  const id = info.id?.value
  if (!id) throw new RegistryError('An agent in the registry must have an id')
  return id
}
