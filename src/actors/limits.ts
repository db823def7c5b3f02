// How much of what a process takes from others, and keeps for them.

import type { Authenticator } from './authenticator.ts'
import type { BacklogLimits } from './backlog.ts'
import type { Clock } from './clock.ts'
import type { Address } from './pid.ts'

export interface Limits extends BacklogLimits {
  /** Largest WebSocket message taken or sent, in bytes. A larger one ends the connection it came by. */
  readonly maxMessageBytes: number
  /**
   * How much memory what waits for one peer may take, in bytes; see `onTheWire`. Beyond it the connection is cut, and
   * its links are told.
   */
  readonly maxQueuedBytes: number
  /** Most bytes that may wait for all peers. Beyond it the one for which most waits is cut. */
  readonly maxTotalQueuedBytes: number
  /** A connection on which nothing was heard for this long is pinged … */
  readonly pingIntervalMs: number
  /** … and given up when it stays silent this long, rounded up to whole intervals. */
  readonly silenceLimitMs: number
  /** From dialling to the other side's greeting. */
  readonly greetingLimitMs: number
  /** Largest message before the other side is accepted, in bytes. */
  readonly maxGreetingBytes: number
  /** Connections of one host, and of all, that have not been accepted yet; more are refused. */
  readonly maxHalfOpenPerHost: number
  readonly maxHalfOpen: number
  /** Malformed frames from one peer in a ping interval; then it is cut. */
  readonly maxMalformed: number
  /** Messages of actors that are taken from one peer, a second on the average; above it, it is read from more slowly. */
  readonly maxMessagesPerSecond: number
}

/**
 * What is said takes more memory while it waits than it will on the wire: buffers that are not collected yet, and a young
 * generation that grows because much survives it. Measured: 1.14 times as much (`actors.stuck_memory`).
 */
const ON_THE_WIRE = 0.85

/** The limits for who counts bytes of the wire rather than memory. */
export function onTheWire(limits: Limits): Limits {
  return { ...limits, maxQueuedBytes: limits.maxQueuedBytes * ON_THE_WIRE }
}

/** What this process brings to a handshake. */
export interface Meeting {
  readonly address: Address
  readonly incarnation: string
  readonly authenticator?: Authenticator
  readonly limits: Limits
  readonly clock: Clock
}

export const DEFAULT_LIMITS: Limits = {
  maxMessageBytes: 64 * 1024 * 1024,
  maxQueuedBytes: 256 * 1024 * 1024,
  // As long as Mesos' pings take to give an agent up: a network that pauses for a minute costs no task. The end of a
  // process is seen at once all the same, by the end of its socket.
  pingIntervalMs: 15_000,
  silenceLimitMs: 75_000,
  greetingLimitMs: 10_000,
  maxGreetingBytes: 16 * 1024,
  // A whole cluster may come back at once, in a test from one host; each waits for two answers at most.
  maxHalfOpenPerHost: 4_096,
  maxHalfOpen: 16_384,
  maxMalformed: 100,
  maxMessagesPerSecond: Number.POSITIVE_INFINITY,
  maxWaitingEvents: 50_000,
  maxWaitingBytes: 128 * 1024 * 1024,
  maxTotalWaitingBytes: 512 * 1024 * 1024,
  maxTotalQueuedBytes: 1024 * 1024 * 1024,
}
