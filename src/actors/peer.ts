// One other process, as this one sees it: its names, its connection, and what waits to be sent.

import { Load, type Charge } from './backlog.ts'
import type { Timer } from './clock.ts'
import type { Frame, Hello } from './frames.ts'
import { Handshake } from './handshake.ts'
import type { Limits, Meeting } from './limits.ts'
import { Outbox, type Overflow, type SharedFrame } from './outbox.ts'
import { isWriting } from './packing.ts'
import { type Address, type Pid, pid } from './pid.ts'
import { TokenBucket } from './token-bucket.ts'
import type { Channel } from './transport.ts'

/**
 * - `dialling`: no socket yet; frames are held.
 * - `greeting`: a socket, but the other side has not said who it is, or its greeting waits for our dial's outcome.
 * - `awaited`: nothing to be dialled any more, but the other side's dial is on its way; frames are held for it.
 * - `open`: frames are sent.
 * - `ended`: nothing more comes of it; a new connection is a new peer.
 */
export type PeerState = 'dialling' | 'greeting' | 'awaited' | 'open' | 'ended'

/** A message of this size has little to gain from growing further. */
const EARLY_BYTES = 64 * 1024

/** Ids of one peer's actors that are remembered at a time. */
const MOST_SENDERS = 256

export class Peer {
  state: PeerState
  channel: Channel | undefined
  /** Every address under which it is known here: those that were dialled, and the one it claims. */
  readonly addresses = new Set<Address>()
  /** What it says of itself, once it is accepted as that. */
  hello: Hello | undefined
  /** Who it has proved to be; undefined where nobody has to prove anything. */
  principal: string | undefined
  handshake: Handshake | undefined
  /** What it has waiting here. */
  readonly load = new Load(() => this.applyPause())
  /** Of the message that is being handed out. */
  charge: Charge | undefined
  /** Frames that were malformed since the last round of pings. */
  malformed = 0
  bucket: TokenBucket | undefined
  /** Until it may go on, if it said too much. */
  throttle: Timer | undefined
  /** Whether this process reads from nobody. */
  allPaused = false
  #channelPaused = false
  /** Gives back its place among the half-open ones. */
  leave: (() => void) | undefined
  /** Connections established with this incarnation, this one included; see `peers.ts`. */
  generation = 0
  /** The other side's dial, which crossed this one and waits for its outcome. */
  crossing: Peer | undefined
  /** Questions of ours that it has not answered. */
  readonly asks = new Set<number>()
  /** Ids of our actors whose end it wants to hear of. */
  readonly watches = new Set<string>()
  /** Whether anything came since the last round of pings, and for how many rounds nothing did. */
  heard = true
  silentRounds = 0
  greetingLimit: Timer | undefined
  /** Runs while somebody doubts that it is there, until anything is heard. */
  doubt: Timer | undefined
  /** Whether it stands in the list of those to be flushed. */
  dirty = false
  readonly outgoing: boolean

  readonly #senders = new Map<string, Pid>()
  readonly #outbox = new Outbox()
  /** Why nothing is kept for it. */
  #shunned: string | undefined
  #overflow: string | undefined

  constructor(outgoing: boolean) {
    this.outgoing = outgoing
    this.state = outgoing ? 'dialling' : 'greeting'
  }

  /**
   * The pid of an actor of its. One text for each, and a copy: an actor's flight recorder remembers it, and a part of a
   * message would keep the whole of it in memory.
   */
  sender(id: string): Pid {
    let known = this.#senders.get(id)
    if (known === undefined) {
      if (this.#senders.size >= MOST_SENDERS) this.#senders.clear()
      const own = Buffer.from(id).toString()
      known = pid(own, this.address)
      this.#senders.set(own, known)
    }
    return known
  }

  /** Something came from it. */
  hear(): void {
    this.heard = true
    if (!this.doubt) return
    this.doubt.cancel()
    this.doubt = undefined
  }

  cancelTimers(): void {
    this.greetingLimit?.cancel()
    this.doubt?.cancel()
    this.throttle?.cancel()
  }

  /** Who is to blame: a stranger's port is another one each time, its host is not. */
  get culprit(): string {
    return this.hello || this.outgoing ? this.label : this.label.replace(/:\d+$/, '')
  }

  /** There is a socket now; the handshake begins. */
  attach(channel: Channel, options: Meeting): void {
    const { address, incarnation, authenticator, limits, clock } = options
    const { outgoing } = this
    this.handshake = new Handshake({ address, incarnation, authenticator, outgoing })
    this.channel = channel
    const rate = limits.maxMessagesPerSecond
    if (rate !== Number.POSITIVE_INFINITY) this.bucket = new TokenBucket(rate, rate, clock.now())
    this.applyPause()
  }

  /** Whether nothing is read from it, for whatever reason. */
  get paused(): boolean {
    return this.load.paused || this.allPaused || this.throttle !== undefined
  }

  /** Tells the channel, after a reason has come or gone. */
  applyPause(): void {
    const { channel, paused } = this
    if (!channel || paused === this.#channelPaused) return
    this.#channelPaused = paused
    channel.pause(paused)
  }

  /** Bytes that wait to be taken by the network. */
  get queuedBytes(): number {
    return this.#outbox.length + (this.channel?.bufferedBytes ?? 0)
  }

  /** What it is called in log lines. */
  get label(): string {
    return this.hello?.address ?? [...this.addresses][0] ?? this.channel?.remote ?? 'unknown'
  }

  /** The address that its pids carry. */
  get address(): Address {
    return this.hello!.address
  }

  /**
   * Adds a frame to this turn's message. It is encoded here and now: what the sender does to its objects later in the
   * turn does not change what it said, and what cannot be encoded throws in the turn that said it. False if this frame
   * alone is larger than a message may be: it is dropped, and what others say to the same process is not.
   */
  gather(frame: Frame, limits: Limits): boolean {
    return !this.#takes() || this.#added(this.#outbox.add(frame, limits))
  }

  /** The same for a frame of which the beginning is encoded already. */
  gatherParts(head: Uint8Array, body: unknown, tail: number | undefined, limits: Limits): boolean {
    return !this.#takes() || this.#added(this.#outbox.addParts(head, body, tail, limits))
  }

  /** The same for one that is encoded already, since others get it, too. */
  gatherShared(frame: SharedFrame, limits: Limits): boolean {
    return !this.#takes() || this.#added(this.#outbox.addShared(frame, limits))
  }

  #added(overflow: Overflow | undefined): boolean {
    if (overflow === 'message too large') return false
    this.#overflow = overflow
    return true
  }

  /** Keeps nothing for it, and gives it up at the next `flush`, unless it comes by itself before that. */
  shun(): this {
    this.state = 'awaited'
    this.#shunned = 'it did not read what was sent to it before'
    return this
  }

  #takes(): boolean {
    return this.#overflow === undefined && this.#shunned === undefined && this.state !== 'ended'
  }

  /**
   * Sends what was gathered so far, if it is much: the other side then works on it while this turn goes on. What
   * is against a limit stays where it is, for `flush` to deal with.
   */
  flushEarly(limits: Limits): number {
    const sizeBytes = this.#outbox.length
    if (sizeBytes < EARLY_BYTES || this.state !== 'open' || this.#overflow !== undefined) return 0
    // What is being encoded may be for here.
    if (isWriting() || this.channel!.bufferedBytes + sizeBytes > limits.maxQueuedBytes) return 0
    this.#send()
    return sizeBytes
  }

  /** Sends what was gathered, if the connection is open. Returns why the peer must be given up, if so. */
  flush(limits: Limits): string | undefined {
    const hopeless = this.#overflow ?? this.#shunned
    if (hopeless !== undefined) return hopeless
    const sizeBytes = this.#outbox.length
    if (this.state !== 'open' || sizeBytes === 0) return undefined
    if (this.channel!.bufferedBytes + sizeBytes > limits.maxQueuedBytes) return 'queue full'
    this.#send()
    return undefined
  }

  #send(): void {
    for (const message of this.#outbox.take()) this.channel!.send(message)
  }

  /** Takes over what another peer object of the same process still held: names, frames and open questions. */
  inherit(from: Peer): void {
    for (const address of from.addresses) this.addresses.add(address)
    this.#outbox.append(from.#outbox)
    this.#overflow ??= from.#overflow
    for (const ask of from.asks) this.asks.add(ask)
    from.asks.clear()
  }
}
