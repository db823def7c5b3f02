// What connections to other processes are made of, and whom they serve.

import type { Logger } from '../base/log.ts'
import type { Authenticator } from './authenticator.ts'
import type { Clock } from './clock.ts'
import type { Complaints } from './complaints.ts'
import type { ActorFrame } from './frames.ts'
import type { MetricsScope } from './metrics.ts'
import type { Limits } from './limits.ts'
import type { Peer } from './peer.ts'
import type { Address } from './pid.ts'
import type { Transport } from './transport.ts'

/** What the runtime does with what comes. */
export interface PeersHost {
  received(peer: Peer, frame: ActorFrame): void
  /** All frames of a message have been handed over. */
  delivered(): void
  /** A peer is gone, or could not be reached: its questions stay unanswered and its links break. */
  lost(peer: Peer, reason: string): void
}

export interface PeersOptions {
  readonly address: Address
  readonly incarnation: string
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
  readonly complaints: Complaints
  readonly limits: Limits
  readonly metrics: MetricsScope
  /** Absent: whatever others say of themselves is believed. */
  readonly authenticator?: Authenticator
  readonly host: PeersHost
}
