// One connection per pair of processes, used both ways, whoever dialled it.
//
// Whoever needs the other first dials and greets; the other answers with its greeting, and from then on both
// send over that socket, so that a process which cannot be dialled (behind NAT, or without a port) is reached
// by the connection it made. Two rules keep it at one connection:
//
// - Crossing: both dialled at once. The side with the smaller address decides, by what it has done when the other's
//   greeting comes: if it has greeted itself it refuses, otherwise it accepts. The side with the greater address lets
//   the other's greeting wait until it has that answer. One side decides alone, so they cannot disagree, not even
//   when one has dialled the other by another name.
// - Redialling: a greeting arrives although the connection looks open here. Each greeting carries the number of
//   connections its sender has seen established (`generation`). If that counts ours in, the sender has seen it
//   end and we have not: the new one replaces it. If not, the two crossed and the new one is refused.
//
// Whoever is refused finds the connection that serves instead, and moves to it what it still held.

import type { Logger } from '../base/log.ts'
import type { Clock, Timer } from './clock.ts'
import { decodeFrames, encode, MalformedError } from './codec.ts'
import type { Complaints } from './complaints.ts'
import {
  checkMessage,
  FRAME,
  type Frame,
  type Hello,
  isActorFrame,
  WIRE_VERSION,
} from './frames.ts'
import { Generations, nextGeneration } from './generations.ts'
import { type Limits, Peer, type PeersHost } from './peer.ts'
import { type Address, parseAddress } from './pid.ts'
import { Shunned } from './shunned.ts'
import type { Channel, ChannelEvents, Transport } from './transport.ts'

export interface PeersOptions {
  readonly address: Address
  readonly incarnation: string
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
  readonly complaints: Complaints
  readonly limits: Limits
  readonly host: PeersHost
}

/** Begins the reason of a refusal; the address by which the refuser is known follows. */
const DUPLICATE = 'duplicate of '

export class Peers {
  readonly #o: PeersOptions
  readonly #byAddress = new Map<Address, Peer>()
  readonly #all = new Set<Peer>()
  readonly #generations = new Generations()
  readonly limits: Limits
  readonly #shunned: Shunned
  #dirty: Peer[] = []
  #closed = false
  #paused = false
  #pinging: Timer | undefined
  /** Messages and frames that were dropped because they were malformed, over all peers. */
  malformed = 0
  /** Bytes sent since the last `flush`, without waiting for the next. */
  sentEarlyBytes = 0

  constructor(options: PeersOptions) {
    this.#o = options
    this.limits = options.limits
    this.#shunned = new Shunned(options.clock, options.limits.greetingLimitMs)
    options.transport.onChannel(channel => this.#accepted(channel))
  }

  /** The peer behind an address, dialled if need be. It is that until it has ended. */
  at(address: Address): Peer {
    return this.#byAddress.get(address) ?? this.#dial(address)
  }

  /** The peer behind an address, if there is one. */
  find(address: Address): Peer | undefined {
    return this.#byAddress.get(address)
  }

  /** Adds a frame to the message that goes to `peer` at the next `flush`. Throws if it cannot be encoded. */
  send(peer: Peer, frame: Frame): void {
    peer.gather(frame, this.#o.limits)
    this.gathered(peer)
  }

  /** What `peer` gathered goes out at the next `flush`, or now if it is much. */
  gathered(peer: Peer): void {
    this.sentEarlyBytes += peer.flushEarly(this.#o.limits)
    this.#markDirty(peer)
  }

  /** Sends what was gathered for each peer, one message each. */
  flush(): void {
    this.sentEarlyBytes = 0
    const dirty = this.#dirty
    if (dirty.length === 0) return
    this.#dirty = []
    for (const peer of dirty) {
      peer.dirty = false
      this.#flushOne(peer)
    }
  }

  /** Finds out whether an open connection still carries: silent for as long as a greeting may take, it is given up. */
  doubt(address: Address): void {
    const peer = this.#byAddress.get(address)
    if (peer?.state !== 'open' || peer.doubt) return
    const limitMs = this.#o.limits.greetingLimitMs
    peer.doubt = this.#o.clock.delay(limitMs, () => {
      peer.doubt = undefined
      // What it answered may stand there unread.
      if (this.#paused) this.doubt(address)
      else this.#end(peer, `no answer to a ping within ${limitMs} ms`)
    })
    this.send(peer, [FRAME.ping])
  }

  /** Stops and resumes reading from all peers, for as long as what they sent waits here unserved. */
  pause(paused: boolean): void {
    if (paused === this.#paused) return
    this.#paused = paused
    for (const peer of this.#all) peer.channel?.pause(paused)
  }

  /** Ends all connections. */
  close(): void {
    this.flush()
    this.#closed = true
    this.#pinging?.cancel()
    for (const peer of [...this.#all]) this.#end(peer, 'shutting down')
  }

  #markDirty(peer: Peer): void {
    if (peer.dirty) return
    peer.dirty = true
    this.#dirty.push(peer)
  }

  #flushOne(peer: Peer): void {
    const overflow = peer.flush(this.#o.limits)
    if (overflow === undefined || peer.state === 'ended') return
    // What it has not read would only take up memory until the end is agreed upon, and so would more of the same.
    if (overflow === 'queue full') for (const name of peer.addresses) this.#shunned.add(name)
    peer.channel?.close(overflow, true)
    this.#giveUp(peer, overflow)
  }

  #dial(address: Address): Peer {
    const peer = new Peer(true)
    this.#add(peer)
    this.#name(peer, address)
    if (this.#shunned.has(address)) return peer.shun()
    const parsed = parseAddress(address)
    if (this.#closed || !parsed || parsed.port === 0) {
      // It may be greeting us at this moment; that connection then takes what is held here.
      peer.state = 'awaited'
      const reason = this.#closed ? 'shutting down' : 'it has no port to dial and no connection'
      this.#o.clock.soon(() => this.#end(peer, reason))
      return peer
    }
    this.#o.transport.dial(address, {
      opened: channel => {
        if (peer.state !== 'dialling') return channel.close('given up')
        this.#attach(peer, channel)
        peer.state = 'greeting'
        const seen = this.#generations.seen(address)
        peer.generation = nextGeneration(seen)
        this.#greet(peer, seen)
      },
      message: bytes => this.#message(peer, bytes),
      closed: reason => this.#channelClosed(peer, reason),
    })
    this.#limitGreeting(peer)
    return peer
  }

  #accepted(channel: Channel): Omit<ChannelEvents, 'opened'> {
    const peer = new Peer(false)
    this.#attach(peer, channel)
    this.#add(peer)
    this.#limitGreeting(peer)
    return {
      message: bytes => this.#message(peer, bytes),
      closed: reason => this.#channelClosed(peer, reason),
    }
  }

  #attach(peer: Peer, channel: Channel): void {
    peer.channel = channel
    if (this.#paused) channel.pause(true)
  }

  #add(peer: Peer): void {
    this.#all.add(peer)
    if (this.#closed) return
    this.#pinging ??= this.#o.clock.delay(this.#o.limits.pingIntervalMs, () => this.#ping())
  }

  #limitGreeting(peer: Peer): void {
    peer.greetingLimit = this.#o.clock.delay(this.#o.limits.greetingLimitMs, () => {
      if (peer.outgoing) this.#end(peer, 'no greeting in time')
      else this.#giveUp(peer, 'no greeting in time')
    })
  }

  #name(peer: Peer, address: Address): void {
    peer.addresses.add(address)
    this.#byAddress.set(address, peer)
  }

  #greet(peer: Peer, generation: number): void {
    const { address, incarnation } = this.#o
    const hello = { address, incarnation, generation, version: WIRE_VERSION, features: [] }
    peer.channel!.send(encode([[FRAME.hello, hello]]))
  }

  #message(peer: Peer, bytes: Uint8Array): void {
    if (peer.state === 'ended' || peer.state === 'awaited') return
    peer.hear()
    let frames: readonly Frame[]
    try {
      const { valid, malformed } = checkMessage(decodeFrames(bytes))
      frames = valid
      if (malformed.length > 0) this.#malformedFrom(peer, malformed[0]!, malformed.length)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#malformedFrom(peer, error.message, 1)
      // Nobody knows what was in it. An answer, or the end of a link, would be waited for in vain.
      return this.#end(peer, 'malformed message')
    }
    let pinged = false
    for (const frame of frames) {
      if (peer.state === 'open') {
        if (isActorFrame(frame)) this.#o.host.received(peer, frame)
        else pinged ||= frame[0] === FRAME.ping
      } else if (peer.state === 'greeting' && !peer.hello && frame[0] === FRAME.hello) {
        this.#greeted(peer, frame[1])
      } else return this.#giveUp(peer, 'it did not greet first')
    }
    this.#o.host.delivered()
    if (!pinged) return
    this.send(peer, [FRAME.pong])
    this.#o.clock.soon(() => this.flush())
  }

  #malformedFrom(peer: Peer, error: string, count: number): void {
    this.malformed += count
    this.#o.complaints.warn(peer.culprit, { error }, 'malformed message dropped')
  }

  #greeted(peer: Peer, hello: Hello): void {
    peer.hello = hello
    if (hello.version !== WIRE_VERSION) {
      return this.#giveUp(peer, `wire version ${hello.version} is not ours, ${WIRE_VERSION}`)
    }
    // Whoever asks is told our incarnation, so a greeting with it proves nothing: what came over such a connection would
    // pass for our own actors' words. Those who mean this process have to use its own name.
    if (hello.incarnation === this.#o.incarnation || hello.address === this.#o.address) {
      return this.#giveUp(peer, `it calls itself ${hello.address}, which is this very process`)
    }
    const existing = this.#byAddress.get(hello.address)
    if (existing && existing !== peer && !this.#settle(peer, existing, hello)) return
    this.#name(peer, hello.address)
    this.#open(peer)
  }

  /** Decides between a greeting and what is known under that address already; true if the new one is taken. */
  #settle(peer: Peer, existing: Peer, hello: Hello): boolean {
    if (existing.state === 'open') {
      const same = existing.hello?.incarnation === hello.incarnation
      if (same && !peer.outgoing && hello.generation < existing.generation) {
        this.#refuse(peer)
        return false
      }
      // When our own dial was accepted, the other side had no open connection: it has seen the existing one end.
      this.#end(existing, same ? 'replaced by a new connection' : 'the process has been restarted')
      return true
    }
    if (existing.state === 'greeting' && !peer.outgoing) {
      if (this.#o.address < hello.address) this.#refuse(peer)
      else {
        if (existing.crossing) this.#refuse(existing.crossing)
        existing.crossing = peer
      }
      return false
    }
    this.#merge(existing, peer)
    return true
  }

  #open(peer: Peer): void {
    const hello = peer.hello!
    if (!peer.outgoing) {
      peer.generation = nextGeneration(hello.generation)
      this.#greet(peer, hello.generation)
    }
    for (const address of peer.addresses) {
      this.#byAddress.set(address, peer)
      this.#generations.remember(address, peer.generation)
    }
    peer.greetingLimit?.cancel()
    peer.state = 'open'
    if (peer.crossing) this.#refuse(peer.crossing)
    peer.crossing = undefined
    this.#o.log.debug({ peer: peer.label, remote: peer.channel?.remote }, 'connected')
    this.#flushOne(peer)
  }

  /** Closes a connection that another one makes superfluous: nobody is told of a loss, since nothing is lost. */
  #refuse(peer: Peer): void {
    this.#all.delete(peer)
    peer.state = 'ended'
    peer.greetingLimit?.cancel()
    if (peer.crossing) this.#refuse(peer.crossing)
    peer.channel?.close(DUPLICATE + this.#o.address)
  }

  /** Lets `into` serve all that `from` was for. */
  #merge(from: Peer, into: Peer): void {
    into.inherit(from)
    for (const address of from.addresses) this.#byAddress.set(address, into)
    if (from.crossing === into) from.crossing = undefined
    this.#refuse(from)
    this.#markDirty(into)
  }

  /** Our dial came to nothing: if theirs has been waiting for that, it serves instead. */
  #yield(peer: Peer): boolean {
    const other = peer.crossing
    if (other?.state !== 'greeting' || this.#closed) return false
    this.#merge(peer, other)
    this.#name(other, other.address)
    this.#open(other)
    return true
  }

  #channelClosed(peer: Peer, reason: string): void {
    if (peer.outgoing && peer.state === 'greeting' && reason.startsWith(DUPLICATE)) {
      this.#refused(peer, reason.slice(DUPLICATE.length))
    } else if (peer.outgoing && peer.state === 'greeting') this.#giveUp(peer, reason)
    else this.#end(peer, reason)
  }

  /** The other side has, or is about to have, another connection with us. */
  #refused(peer: Peer, address: Address): void {
    if (this.#yield(peer)) return
    const other = this.#byAddress.get(address)
    if (other && other !== peer) {
      this.#merge(peer, other)
      return this.flush()
    }
    peer.state = 'awaited'
    if (parseAddress(address)) this.#name(peer, address)
  }

  /** Ends it for a reason that somebody should look into; that a process comes or goes is none. */
  #giveUp(peer: Peer, reason: string): void {
    if (peer.state === 'ended') return
    this.#o.complaints.warn(peer.culprit, { reason }, 'connection given up')
    this.#end(peer, reason)
  }

  #end(peer: Peer, reason: string): void {
    if (peer.state === 'ended' || this.#yield(peer)) return
    const was = peer.state
    peer.state = 'ended'
    peer.cancelTimers()
    this.#all.delete(peer)
    for (const address of peer.addresses) {
      if (this.#byAddress.get(address) === peer) this.#byAddress.delete(address)
      else peer.addresses.delete(address)
    }
    peer.channel?.close(reason)
    const what = was === 'open' ? 'connection ended' : 'no connection'
    this.#o.log.debug({ peer: peer.label, reason }, what)
    this.#o.host.lost(peer, reason)
  }

  /**
   * Asks the silent ones whether they live. Silence is counted in rounds, not read off the clock: when this process
   * itself stood still, for a collection or a debugger, that is one round, and nobody is given up for it.
   */
  #ping(): void {
    const { clock, limits } = this.#o
    this.#pinging = undefined
    const mostRounds = Math.ceil(limits.silenceLimitMs / limits.pingIntervalMs)
    for (const peer of [...this.#all]) {
      if (peer.state !== 'open' || this.#paused) continue
      peer.silentRounds = peer.heard ? 0 : peer.silentRounds + 1
      peer.heard = false
      if (peer.silentRounds >= mostRounds) this.#end(peer, `silent for ${limits.silenceLimitMs} ms`)
      else if (peer.silentRounds > 0) this.send(peer, [FRAME.ping])
    }
    this.flush()
    if (this.#all.size > 0) this.#pinging = clock.delay(limits.pingIntervalMs, () => this.#ping())
  }
}
