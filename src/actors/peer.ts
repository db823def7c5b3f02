// One other process, as this one sees it: its names, its connection, and what waits to be sent.

import type { Timer } from './clock.ts'
import { encode } from './codec.ts'
import { FRAME, type Frame, type Hello } from './frames.ts'
import type { Address } from './pid.ts'
import type { Channel } from './transport.ts'

export interface Limits {
  /** Largest WebSocket message taken or sent, in bytes. A larger one ends the connection it came by. */
  readonly maxMessageBytes: number
  /** Most bytes that may wait for one peer. Beyond it the connection is cut, and its links are told. */
  readonly maxQueuedBytes: number
  /** A connection on which nothing was heard for this long is pinged … */
  readonly pingIntervalMs: number
  /** … and given up when it stays silent this long. */
  readonly silenceLimitMs: number
  /** From dialling to the other side's greeting. */
  readonly greetingLimitMs: number
}

export const DEFAULT_LIMITS: Limits = {
  maxMessageBytes: 64 * 1024 * 1024,
  maxQueuedBytes: 256 * 1024 * 1024,
  pingIntervalMs: 5_000,
  silenceLimitMs: 15_000,
  greetingLimitMs: 10_000,
}

/**
 * - `dialling`: no socket yet; frames are held.
 * - `greeting`: a socket, but the other side has not said who it is; frames are held.
 * - `awaited`: our dial crossed theirs and gave way; frames are held for theirs.
 * - `open`: frames are sent.
 * - `ended`: nothing more comes of it; a new connection is a new peer.
 */
export type PeerState = 'dialling' | 'greeting' | 'awaited' | 'open' | 'ended'

/** Why frames could not be taken. */
export type Overflow = 'message too large' | 'queue full'

export class Peer {
  state: PeerState
  channel: Channel | undefined
  /** Every address under which it is known here: those that were dialled, and the one it claims. */
  readonly addresses = new Set<Address>()
  hello: Hello | undefined
  /** Connections established with this incarnation, this one included; see `peers.ts`. */
  generation = 0
  heardAtMs: number
  /** Questions of ours that it has not answered. */
  readonly asks = new Set<number>()
  /** Ids of our actors whose end it wants to hear of. */
  readonly watches = new Set<string>()
  /** Whether a malformed message of its was logged already; further ones are only counted. */
  complained = false
  greetingLimit: Timer | undefined
  readonly outgoing: boolean

  #gathered: Frame[] = []
  #held: Uint8Array[] = []
  #heldBytes = 0

  constructor(outgoing: boolean, nowMs: number) {
    this.outgoing = outgoing
    this.state = outgoing ? 'dialling' : 'greeting'
    this.heardAtMs = nowMs
  }

  /** What it is called in log lines. */
  get label(): string {
    return this.hello?.address ?? [...this.addresses][0] ?? this.channel?.remote ?? 'unknown'
  }

  /** The address that its pids carry. */
  get address(): Address {
    return this.hello!.address
  }

  /** Adds a frame to this turn's message; true if it is the first one, so that a flush is due. */
  gather(frame: Frame): boolean {
    return this.#gathered.push(frame) === 1
  }

  /** Sends, or holds, what was gathered. */
  flush(limits: Limits): Overflow | undefined {
    if (this.#gathered.length === 0 || this.state === 'ended') return undefined
    const frames = this.#gathered
    this.#gathered = []
    return this.#encodeAndSend(frames, limits)
  }

  #encodeAndSend(frames: readonly Frame[], limits: Limits): Overflow | undefined {
    const bytes = encode(frames)
    if (bytes.length > limits.maxMessageBytes) {
      if (frames.length === 1) return 'message too large'
      const half = frames.length >> 1
      return (
        this.#encodeAndSend(frames.slice(0, half), limits) ??
        this.#encodeAndSend(frames.slice(half), limits)
      )
    }
    if (this.state === 'open' && this.channel) {
      if (this.channel.bufferedBytes + bytes.length > limits.maxQueuedBytes) return 'queue full'
      this.channel.send(bytes)
      return undefined
    }
    if (this.#heldBytes + bytes.length > limits.maxQueuedBytes) return 'queue full'
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    return undefined
  }

  /** Sends what was held, in order. Called once, on opening. */
  release(): void {
    for (const bytes of this.#held) this.channel!.send(bytes)
    this.#held = []
    this.#heldBytes = 0
  }

  /** Takes over what another peer object of the same process still held: names, frames and open questions. */
  inherit(from: Peer): void {
    for (const address of from.addresses) this.addresses.add(address)
    for (const bytes of from.#held) {
      if (this.state === 'open') this.channel!.send(bytes)
      else {
        this.#held.push(bytes)
        this.#heldBytes += bytes.length
      }
    }
    this.#gathered.push(...from.#gathered)
    for (const ask of from.asks) this.asks.add(ask)
    from.#held = []
    from.#gathered = []
    from.asks.clear()
  }

  /** Greets; the only message that is sent before `open`. */
  greet(hello: Hello): void {
    this.channel!.send(encode([[FRAME.hello, hello]]))
  }
}
