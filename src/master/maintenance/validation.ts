// What is wrong with a schedule, or a list of machines, in Mesos' words; undefined if nothing is. Pure.

import { whyNoIp } from '../../base/server-flags.ts'
import type { MaintenanceSchedule } from '../../messages/agent.ts'
import type { MachineID } from '../../messages/values.ts'
import { machineKey, machineText } from '../registry/machines.ts'

export function whyNoSchedule({ windows = [] }: MaintenanceSchedule): string | undefined {
  const seen = new Set<string>()
  for (const { machine_ids: ids = [], unavailability } of windows) {
    if (ids.length === 0) return 'List of machines in the maintenance window is empty'
    if ((unavailability.duration?.nanoseconds ?? 0) < 0) {
      return "Unavailability 'duration' is negative"
    }
    const why = whyNotEach(ids, seen)
    if (why !== undefined) return why
  }
  return undefined
}

export function whyNoMachines(ids: readonly MachineID[]): string | undefined {
  return ids.length === 0 ? 'List of machines is empty' : whyNotEach(ids, new Set())
}

function whyNotEach(ids: readonly MachineID[], seen: Set<string>): string | undefined {
  for (const id of ids) {
    if (!id.hostname && !id.ip) return "Both 'hostname' and 'ip' for a machine are empty"
    const notIp = id.ip ? whyNoIp(id.ip) : undefined
    if (notIp !== undefined) return `Failed to parse the IP: ${notIp}`
    const key = machineKey(id)
    if (seen.has(key)) return `${machineText(id)} appears more than once in the schedule`
    seen.add(key)
  }
  return undefined
}
