// What every kind of fault is made of.

import type { Address } from '../actors/pid.ts'
import type { Random } from '../base/random.ts'
import type { Cluster } from './cluster.ts'
import type { Rule } from './message-rules.ts'

/** What a fault may hit, beside the cluster. */
export interface Frameworks {
  /** Where schedulers live now. */
  readonly addresses: readonly Address[]
  /** The scheduler there dies, and after a while another takes over, at `next` or elsewhere; undefined: never. */
  crash(address: Address, successorAfterMs: number | undefined, next?: Address): void
}

export interface FaultContext {
  readonly cluster: Cluster
  readonly frameworks: Frameworks
  readonly random: Random
  readonly note: (text: string) => void
  /** Runs after a time, unless all has been calmed by then. */
  readonly later: (ms: number, run: () => void) => void
  /** Keeps a rule until it is stopped by `end`, or all is calmed. */
  readonly hold: (rule: Rule) => void
  readonly end: (rule: Rule) => void
  readonly pick: <T>(list: readonly T[]) => T
  /** Agents and schedulers. */
  readonly everyone: () => Address[]
}

/** Strikes once. Each strike ends by itself, at once or after a time. */
export type Strike = (f: FaultContext) => void

/** Messages whose passing is a good moment to strike, or which are good to lose. */
export const MESSAGES = [
  'master.agent/register_agent',
  'master.agent/reregister_agent',
  'master.agent/status_update',
  'master.agent/pong',
  'agent.master/registered',
  'agent.master/reregistered',
  'agent.master/ping',
  'agent.master/run_task',
  'agent.master/kill_task',
  'agent.master/status_update_acknowledgement',
  'agent.master/shutdown_framework',
  'master.scheduler/call',
  'scheduler/event',
] as const

/**
 * Messages that their senders repeat by themselves, word for word, whatever has happened since: a network may do so too.
 * Not `kill_task` or `reregister_agent`, for instance: what was true when they were sent first is not said again later.
 */
export const REPEATABLE: ReadonlySet<string> = new Set([
  'master.agent/status_update',
  'master.agent/pong',
  'agent.master/registered',
  'agent.master/ping',
  'agent.master/status_update_acknowledgement',
  'agent.master/shutdown_framework',
])
