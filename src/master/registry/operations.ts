// What can be done to the registry: each a record in the replicated log, and a row in what `mesos-log replay` prints.

import * as v from 'valibot'
import {
  AgentInfo,
  DrainConfig,
  DrainInfo,
  MaintenanceSchedule,
  MasterInfo,
} from '../../messages/agent.ts'
import { AgentID } from '../../messages/ids.ts'
import { message, oneOf, optional, unsigned, variant } from '../../messages/schema.ts'
import { MachineID } from '../../messages/values.ts'

/** Nanoseconds since the epoch would not fit a safe integer; milliseconds do. */
const timeMs = v.number()

/**
 * Who had a change made, and why: for people who look back, and no decision depends on it. `by`: the pid of whoever asked
 * for it; absent, the master did it of itself. When, and which master wrote it, the entry says.
 */
export const Cause = message({ by: v.optional(v.string()), why: v.string() })
export type Cause = v.InferOutput<typeof Cause>

/** Absent in what was written before there were causes. */
const caused = { cause: v.optional(Cause) }

/**
 * - `recover`: a master was elected and writes itself in; what it read is what the log held then.
 * - `admit_agent`: a new agent, before it is told that it is registered.
 * - `update_agent`: an admitted agent came back with other resources or attributes.
 * - `mark_agent_unreachable`: it did not answer pings, or did not come back after a failover.
 * - `mark_agent_reachable`: it came back. An id that is not known is admitted: the list of unreachable agents is pruned
 *   by age, and an agent must not be lost because it was away for long.
 * - `remove_agent`: it unregistered, or another one registered in its place.
 * - `mark_agent_gone`: an operator says that it will never return.
 * - `prune`: forgets old unreachable and gone agents.
 * - `drain_agent`, `mark_agent_drained`: an operator wants an agent empty, and it is. `deactivate_agent`: it is to be offered no
 *   more. `reactivate_agent`: neither holds any longer.
 * - `update_maintenance_schedule`: another schedule in place of the one that was. `start_maintenance`: machines of it are down.
 *   `stop_maintenance`: they are up again, and no part of the schedule any more.
 */
export const Operation = v.variant('type', [
  message({ type: v.literal('recover'), master: MasterInfo, ...caused }),
  message({ type: v.literal('admit_agent'), info: AgentInfo, ...caused }),
  message({ type: v.literal('update_agent'), info: AgentInfo, ...caused }),
  message({
    type: v.literal('mark_agent_unreachable'),
    agent_id: AgentID,
    time_ms: timeMs,
    ...caused,
  }),
  message({ type: v.literal('mark_agent_reachable'), info: AgentInfo, ...caused }),
  message({ type: v.literal('remove_agent'), agent_id: AgentID, ...caused }),
  message({
    type: v.literal('mark_agent_gone'),
    agent_id: AgentID,
    time_ms: timeMs,
    ...caused,
  }),
  message({
    type: v.literal('prune'),
    unreachable: v.array(AgentID),
    gone: v.array(AgentID),
    ...caused,
  }),
  message({
    type: v.literal('drain_agent'),
    agent_id: AgentID,
    config: DrainConfig,
    time_ms: timeMs,
    ...caused,
  }),
  message({ type: v.literal('mark_agent_drained'), agent_id: AgentID, ...caused }),
  message({ type: v.literal('deactivate_agent'), agent_id: AgentID, ...caused }),
  message({ type: v.literal('reactivate_agent'), agent_id: AgentID, ...caused }),
  message({
    type: v.literal('update_maintenance_schedule'),
    schedule: MaintenanceSchedule,
    ...caused,
  }),
  message({ type: v.literal('start_maintenance'), machine_ids: v.array(MachineID), ...caused }),
  message({ type: v.literal('stop_maintenance'), machine_ids: v.array(MachineID), ...caused }),
])
export type Operation = v.InferOutput<typeof Operation>

const Departed = message({ id: AgentID, time_ms: timeMs })

/** How an agent is out of service. `since_ms`: when an operator had it drained. */
const deactivation = { drain_info: optional(DrainInfo), since_ms: optional(timeMs) }
const Deactivation = message(deactivation)
export type Deactivation = v.InferOutput<typeof Deactivation>

/** What operators have set; each is absent if there is none. Small beside the agents. */
const byOperators = {
  deactivated: optional(v.array(message({ id: AgentID, ...deactivation }))),
  schedule: optional(MaintenanceSchedule),
  down: optional(v.array(MachineID)),
}

/** The whole registry, as a snapshot record and as JSON. Lists are in order of admission or departure. */
export const RegistrySnapshot = message({
  master: v.optional(MasterInfo),
  agents: v.array(AgentInfo),
  unreachable: v.array(Departed),
  gone: v.array(Departed),
  ...byOperators,
})
export type RegistrySnapshot = v.InferOutput<typeof RegistrySnapshot>

const envelope = {
  time_ms: timeMs,
  master_id: v.string(),
  operations: v.optional(v.array(Operation)),
  /** How many operations the registry has seen before this entry, for a reader to count on. */
  sequence: unsigned,
}

/** One APPEND entry of the log: when, by which master, and either operations or all that came before. */
const Entry = message({
  ...envelope,
  version: oneOf([1, 2]),
  snapshot: v.optional(RegistrySnapshot),
})
export type Entry = v.InferOutput<typeof Entry>

/** What is in the pieces of a snapshot's lists. */
export const SnapshotItems = { agents: v.array(AgentInfo), departed: v.array(Departed) }

const pieces = v.array(v.instance(Uint8Array))
const PackedSnapshot = message({
  master: v.optional(MasterInfo),
  agents: pieces,
  unreachable: pieces,
  gone: pieces,
  ...byOperators,
})

/** The entry as it is in the log. In version 2 a snapshot's lists are in pieces, each packed by itself. */
export const PackedEntry = variant('version', [
  message({
    ...envelope,
    version: v.literal(1),
    snapshot: v.optional(RegistrySnapshot),
  }),
  message({ ...envelope, version: v.literal(2), snapshot: v.optional(PackedSnapshot) }),
])
export type PackedEntry = v.InferOutput<typeof PackedEntry>
