// Planned maintenance: operators say when machines will be unavailable, take them down, and bring them up again. Offers of
// such machines say so, and frameworks on them are asked back what they use.

import type { MaintenanceSchedule } from '../../messages/agent.ts'
import { whyTooLarge } from '../../messages/size.ts'
import type { MachineID } from '../../messages/values.ts'
import { endOnDownMachine } from '../agents.ts'
import { type Answer, conflict, DONE, invalid } from '../answer.ts'
import type { MasterContext } from '../context.ts'
import { rescindOffer } from '../offers.ts'
import { machineKey, whyNotIn } from '../registry/machines.ts'
import type { Cause, Operation } from '../registry/operations.ts'
import { sameJson } from '../task-validation.ts'
import { askForMachinesSoon, rescindInverseOffers } from './inverse-offers.ts'
import { whyNoMachines, whyNoSchedule } from './validation.ts'

const OVERTAKEN = conflict('The maintenance schedule was changed meanwhile')

export async function updateSchedule(
  m: MasterContext,
  schedule: MaintenanceSchedule,
  cause: Cause,
): Promise<Answer> {
  const { machines } = m.registryView
  const keys = new Set(
    (schedule.windows ?? []).flatMap(({ machine_ids: ids = [] }) => ids.map(machineKey)),
  )
  const tooLarge = whyTooLarge('schedule', schedule)
  const why =
    (tooLarge && `The schedule ${tooLarge}`) ??
    whyNoSchedule(schedule) ??
    machines.whyNotRemoved(keys)
  if (why !== undefined) return invalid(why)
  return change(m, { type: 'update_maintenance_schedule', schedule, cause })
}

/** Agents on these machines are told to end, and what they ran is over. */
export async function startMaintenance(
  m: MasterContext,
  ids: readonly MachineID[],
  cause: Cause,
): Promise<Answer> {
  const why = whyNoMachines(ids) ?? whyNotIn(m.registryView.machines, ids, 'DRAINING')
  if (why !== undefined) return invalid(why)
  const answer = await change(m, { type: 'start_maintenance', machine_ids: [...ids], cause })
  if (answer !== DONE) return answer
  const keys = new Set(ids.map(machineKey))
  const agents = [...m.state.agents.values()].filter(({ machine }) => keys.has(machine))
  await Promise.all(agents.map(agent => endOnDownMachine(m, agent)))
  return DONE
}

export async function stopMaintenance(
  m: MasterContext,
  ids: readonly MachineID[],
  cause: Cause,
): Promise<Answer> {
  const why = whyNoMachines(ids) ?? whyNotIn(m.registryView.machines, ids, 'DOWN')
  if (why !== undefined) return invalid(why)
  return change(m, { type: 'stop_maintenance', machine_ids: [...ids], cause })
}

/** Frameworks see at once what is new about the machines that they are offered, or use. */
async function change(m: MasterContext, operation: Operation): Promise<Answer> {
  const before = new Map(m.registryView.machines.byKey)
  if (!(await m.registry(operation))) return OVERTAKEN
  const after = m.registryView.machines.byKey
  for (const agent of m.state.agents.values()) {
    const [was, is] = [before.get(agent.machine), after.get(agent.machine)]
    if (was?.mode === is?.mode && sameJson(was?.unavailability, is?.unavailability)) continue
    for (const offer of [...agent.offers.values()]) rescindOffer(m, offer)
    rescindInverseOffers(m, agent)
  }
  m.log.info({ operation: operation.type, machines: after.size }, 'maintenance changed')
  askForMachinesSoon(m)
  m.changed()
  return DONE
}

/** As in Mesos' `maintenance::ClusterStatus`. What frameworks answered is known since this master was elected. */
export function maintenanceStatus(m: MasterContext): object {
  const { machines } = m.registryView
  const statuses = new Map<string, object[]>()
  for (const [key, { mode }] of machines.byKey) if (mode === 'DRAINING') statuses.set(key, [])
  for (const { machine, asked } of m.state.agents.values()) {
    for (const [framework, { status, atMs }] of asked) {
      if (status === 'UNKNOWN') continue
      const timestamp = { nanoseconds: Math.round(atMs) * 1_000_000 }
      statuses.get(machine)?.push({ framework_id: { value: framework }, status, timestamp })
    }
  }
  return {
    draining_machines: [...statuses].map(([key, list]) => ({
      id: machines.byKey.get(key)!.id,
      statuses: list,
    })),
    down_machines: [...machines.down],
  }
}
