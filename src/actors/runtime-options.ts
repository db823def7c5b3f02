// What a runtime is made of: the world, by argument.

import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Authenticator } from './authenticator.ts'
import type { Profiler, SystemStats } from './builtins.ts'
import type { Clock } from './clock.ts'
import type { Limits } from './limits.ts'
import type { Address, Pid } from './pid.ts'
import type { Recorder } from './recorder.ts'
import type { Transport } from './transport.ts'

export interface RuntimeOptions {
  /** `host:port` by which other processes know this one; port 0 when it does not listen. */
  readonly address: Address
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly log: Logger
  readonly limits?: Partial<Limits>
  /** Proves this process to others, and wants a proof of them. Absent: what they say of themselves is believed. */
  readonly authenticator?: Authenticator
  /** Sends local messages through codec and schemas too, so that no two actors can share an object. For tests. */
  readonly isolate?: boolean
  /** An actor without which the process is useless has failed. */
  readonly fatal?: Fatal
  /** For `/profiler`; absent: not enabled. */
  readonly profiler?: () => Promise<Profiler>
  /** Asked for each actor that starts, with its id: who is to be recorded. */
  readonly record?: (id: string) => Recorder | undefined
  /** For `system/…` among the metrics. */
  readonly system?: SystemStats
}

export interface SpawnOptions {
  readonly record?: Recorder
}

/**
 * Told of the actor, of what it threw, and of the events it was served last, a line each, oldest first.
 */
export type Fatal = (actor: Pid, error: unknown, lastEvents: readonly string[]) => void
