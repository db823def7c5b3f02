// What the master's conversations share: the state, and the few ways in which they act on the world.

import type { Timer } from '../actors/clock.ts'
import type { Pid } from '../actors/pid.ts'
import type { CastNames, RequestOf } from '../actors/protocol.ts'
import type { Logger } from '../base/log.ts'
import type { AgentMaster } from '../messages/agent-registration.ts'
import type { MasterInfo } from '../messages/agent.ts'
import type { Event } from '../messages/scheduler-api.ts'
import type { Allocator } from './allocator/allocator.ts'
import type { MasterConfig } from './config.ts'
import type { MasterMetrics } from './metrics.ts'
import type { Operation } from './registry/operations.ts'
import type { Registry } from './registry/registry.ts'
import type { AgentRecord, FrameworkRecord, MasterState } from './state.ts'

export type ToAgent = (typeof AgentMaster)['entries']

export interface MasterContext {
  readonly state: MasterState
  readonly config: MasterConfig
  readonly info: MasterInfo
  readonly allocator: Allocator
  readonly log: Logger
  readonly metrics: MasterMetrics
  /** Milliseconds since the epoch. */
  now(): number
  /** A floating-point number of seconds, as the v1 API's timestamps are. */
  nowSeconds(): number
  delay(ms: number, run: () => unknown): Timer
  /** Sends an event to a framework's scheduler; nothing happens if it is not connected. */
  tellFramework(framework: FrameworkRecord, event: Event): void
  /** Sends an event to a scheduler that is not, or no longer, a framework's. */
  tellScheduler(pid: Pid, event: Event): void
  tellAgent<K extends CastNames<ToAgent>>(
    agent: AgentRecord | Pid,
    name: K,
    message: RequestOf<ToAgent[K]>,
  ): void
  link(pid: Pid): void
  unlink(pid: Pid): void
  /** Writes to the registry; resolves when a quorum has it on disk: true if it changed anything. */
  registry(operation: Operation): Promise<boolean>
  /** The registry as far as this master has applied it. */
  readonly registryView: Registry
  /** Something that the operator can see has changed. */
  changed(): void
  /** If this agent is being drained, that may be done: it is looked at in a turn of its own. */
  mayBeDrained(agent: AgentRecord): void
  /** Resources may have become free: offers are made at the end of this turn of the loop. */
  allocateSoon(): void
}
