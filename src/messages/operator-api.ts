// The operator API of the master, as JSON: what comes to `POST /api/v1`, one call a request. Calls are added one by one.

import * as v from 'valibot'
import { parseDuration } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import { MaintenanceSchedule } from './agent.ts'
import { AgentID } from './ids.ts'
import { flag, message, optional, repeated, unsigned, variant } from './schema.ts'
import { MachineID } from './values.ts'

/** As `DurationInfo`, as text of Mesos' docs (`10mins`), or in the two forms of protobuf's durations (`600s`, seconds). */
const GracePeriod = v.pipe(
  v.union([
    message({ nanoseconds: unsigned }),
    v.pipe(
      message({ seconds: unsigned }),
      v.transform(({ seconds }) => ({ nanoseconds: seconds * 1e9 })),
    ),
    v.pipe(v.string(), v.rawTransform(durationText)),
  ]),
  v.transform(({ nanoseconds }) => ({ nanoseconds })),
)

function durationText({ dataset, addIssue, NEVER }: v.RawTransformContext<string>): {
  nanoseconds: number
} {
  const { value } = dataset
  try {
    const ms = parseDuration(/^[\d.]+s$/.test(value) ? `${value.slice(0, -1)}secs` : value)
    return { nanoseconds: Math.round(ms * 1e6) }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    addIssue({ message: error.message })
    return NEVER
  }
}

const ofAgent = message({ agent_id: AgentID })
const ofMachines = message({ machines: repeated(MachineID) })

/**
 * - `DRAIN_AGENT`: ends all that runs on an agent, which is offered no more. `mark_gone`: and then the agent itself, for ever.
 * - `DEACTIVATE_AGENT`: it is offered no more; what runs goes on. `REACTIVATE_AGENT`: it is offered again.
 * - `MARK_AGENT_GONE`: it will never return, and what it ran is over.
 * - `GET_MAINTENANCE_SCHEDULE`, `UPDATE_MAINTENANCE_SCHEDULE`, `GET_MAINTENANCE_STATUS`, `START_MAINTENANCE` (machines go down)
 *   and `STOP_MAINTENANCE` (they are up again).
 */
export const OperatorCall = variant('type', [
  message({
    type: v.literal('DRAIN_AGENT'),
    drain_agent: message({
      agent_id: AgentID,
      max_grace_period: optional(GracePeriod),
      mark_gone: optional(flag),
    }),
  }),
  message({ type: v.literal('DEACTIVATE_AGENT'), deactivate_agent: ofAgent }),
  message({ type: v.literal('REACTIVATE_AGENT'), reactivate_agent: ofAgent }),
  message({ type: v.literal('MARK_AGENT_GONE'), mark_agent_gone: ofAgent }),
  message({ type: v.literal('GET_MAINTENANCE_SCHEDULE') }),
  message({ type: v.literal('GET_MAINTENANCE_STATUS') }),
  message({
    type: v.literal('UPDATE_MAINTENANCE_SCHEDULE'),
    update_maintenance_schedule: message({ schedule: MaintenanceSchedule }),
  }),
  message({ type: v.literal('START_MAINTENANCE'), start_maintenance: ofMachines }),
  message({ type: v.literal('STOP_MAINTENANCE'), stop_maintenance: ofMachines }),
])
export type OperatorCall = v.InferOutput<typeof OperatorCall>
