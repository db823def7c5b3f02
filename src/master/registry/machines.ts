// Machines under maintenance: those of the schedule, each DRAINING until an operator says that it is DOWN. All others are UP.

import type { MaintenanceSchedule, MaintenanceWindow } from '../../messages/agent.ts'
import type { MachineID, Unavailability } from '../../messages/values.ts'
import { RegistryError } from './registry-error.ts'

export interface Machine {
  readonly id: MachineID
  readonly mode: 'DRAINING' | 'DOWN'
  readonly unavailability: Unavailability
}

/** What two ids of the same machine have in common: host names are the same in any case. */
export function machineKey({ hostname = '', ip = '' }: MachineID): string {
  return `${hostname.toLowerCase()} ${ip}`
}

/** As it is quoted in what operators are told. */
export const machineText = (id: MachineID): string => `Machine '${JSON.stringify(id)}'`

export class Machines {
  #windows: readonly MaintenanceWindow[] = []
  readonly #machines = new Map<string, Machine>()

  get schedule(): MaintenanceSchedule {
    return { windows: [...this.#windows] }
  }

  /** All of the schedule, in its order. */
  get byKey(): ReadonlyMap<string, Machine> {
    return this.#machines
  }

  get down(): readonly MachineID[] {
    return [...this.#machines.values()].flatMap(({ id, mode }) => (mode === 'DOWN' ? id : []))
  }

  get size(): number {
    return this.#machines.size
  }

  of(id: MachineID): Machine | undefined {
    return this.#machines.get(machineKey(id))
  }

  /** Takes the place of the schedule before. Machines that are down have to be in it. */
  update({ windows = [] }: MaintenanceSchedule): void {
    const scheduled = windows.flatMap(({ machine_ids: ids = [], unavailability }) =>
      ids.map(id => ({ id, unavailability })),
    )
    const keys = new Set(scheduled.map(({ id }) => machineKey(id)))
    const refusal = this.whyNotRemoved(keys)
    if (refusal !== undefined) throw new RegistryError(refusal)
    const down = new Set(this.down.map(machineKey))
    this.#windows = windows
    this.#machines.clear()
    for (const { id, unavailability } of scheduled) {
      const key = machineKey(id)
      this.#machines.set(key, { id, mode: down.has(key) ? 'DOWN' : 'DRAINING', unavailability })
    }
  }

  /** Why there cannot be a schedule of these machines alone; undefined if there can. */
  whyNotRemoved(left: ReadonlySet<string>): string | undefined {
    const missing = this.down.find(id => !left.has(machineKey(id)))
    return (
      missing && `${machineText(missing)} is deactivated and cannot be removed from the schedule`
    )
  }

  /** They are down. */
  start(ids: readonly MachineID[]): void {
    const refusal = whyNotIn(this, ids, 'DRAINING')
    if (refusal !== undefined) throw new RegistryError(refusal)
    for (const id of ids) {
      const key = machineKey(id)
      this.#machines.set(key, { ...this.#machines.get(key)!, mode: 'DOWN' })
    }
  }

  /** They are up again, and leave the schedule. */
  stop(ids: readonly MachineID[]): void {
    const refusal = whyNotIn(this, ids, 'DOWN')
    if (refusal !== undefined) throw new RegistryError(refusal)
    const keys = new Set(ids.map(machineKey))
    for (const key of keys) this.#machines.delete(key)
    this.#windows = this.#windows.flatMap(window => {
      const left = (window.machine_ids ?? []).filter(id => !keys.has(machineKey(id)))
      return left.length > 0 ? { ...window, machine_ids: left } : []
    })
  }
}

/** Why these machines cannot leave this mode; undefined if they can. */
export function whyNotIn(
  machines: Machines,
  ids: readonly MachineID[],
  mode: Machine['mode'],
): string | undefined {
  for (const id of ids) {
    const machine = machines.of(id)
    if (!machine) return `${machineText(id)} is not part of a maintenance schedule`
    if (machine.mode === mode) continue
    const direction = mode === 'DRAINING' ? 'down' : 'up'
    return `${machineText(id)} is not in ${mode} mode and cannot be brought ${direction}`
  }
  return undefined
}
