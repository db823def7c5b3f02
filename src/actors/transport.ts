// The least that a network must do. Greeting, links, queues and limits are above it (peers.ts), so that the
// simulated network runs the same code as the real one.

import type { CutOff } from './peer-metrics.ts'
import type { Address } from './pid.ts'

/** How the reason of a closed channel begins when nobody listened where it was dialled, in Node's words. */
export const NOBODY_LISTENS = 'connect ECONNREFUSED'

/** One side of an open, ordered, message-preserving connection. */
export interface Channel {
  /** Where the other side is, for log lines: the socket's view, not a claim. */
  readonly remote: string
  /** Bytes accepted by `send` that the network has not taken yet. */
  readonly bufferedBytes: number
  /** Sends one message; `bytes` must not change any more. After the end it does nothing. */
  send(bytes: Uint8Array): void
  /** Stops and resumes reading: what is not read makes the other side's queue grow, not ours. */
  pause(paused: boolean): void
  /** The other side is accepted: what the transport holds against strangers does not apply to it any more. */
  accepted?(): void
  /** Ends the connection after what was sent before, or (`atOnce`) without it; `closed` follows at both sides. */
  close(reason: string, atOnce?: boolean): void
}

/**
 * What a channel tells its user; `closed` comes exactly once and last, also when the connection could not be made, and with
 * `cutOff` if the transport itself cut it for what the other side did.
 */
export interface ChannelEvents {
  opened(channel: Channel): void
  message(bytes: Uint8Array): void
  closed(reason: string, cutOff?: CutOff): void
}

export interface Transport {
  /** Tries to connect. Never throws: a failure is a `closed` without an `opened`, in a later turn. */
  dial(address: Address, events: ChannelEvents): void
  /** Says who takes incoming connections. Called once, before any can come. */
  onChannel(accept: (channel: Channel) => Omit<ChannelEvents, 'opened'>): void
  /** Closes all channels and stops listening. */
  close(): Promise<void>
}
