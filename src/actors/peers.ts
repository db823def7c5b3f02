// One connection per pair of processes, used both ways, whoever dialled it.
//
// Whoever needs the other first dials and greets; the other answers with its greeting, and from then on both
// send over that socket, so that a process which cannot be dialled (behind NAT, or without a port) is reached
// by the connection it made. Two rules keep it at one connection:
//
// - Crossing: both dialled at once. The side with the smaller address keeps its dial, the other's gives way.
//   Both sides compare the same two addresses, so they agree without a further message.
// - Redialling: a greeting arrives although the connection looks open here. Each greeting carries the number of
//   connections its sender has seen established (`generation`). If that counts ours in, the sender has seen it
//   end and we have not: the new one replaces it. If not, the two crossed and the new one is refused.

import type { Logger } from '../base/log.ts'
import type { Clock, Timer } from './clock.ts'
import { decode, MalformedError } from './codec.ts'
import { checkFrames, FRAME, type Frame, type Hello, WIRE_VERSION } from './frames.ts'
import { type Limits, Peer } from './peer.ts'
import { type Address, parseAddress } from './pid.ts'
import type { Channel, ChannelEvents, Transport } from './transport.ts'

/** What the runtime does with what comes. */
export interface PeersHost {
  received(peer: Peer, frame: Frame): void
  /** A peer is gone, or could not be reached: its questions stay unanswered and its links break. */
  lost(peer: Peer, reason: string): void
}

export interface PeersOptions {
  readonly address: Address
  readonly incarnation: string
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Logger
  readonly limits: Limits
  readonly host: PeersHost
}

const DUPLICATE = 'duplicate of '

export class Peers {
  readonly #o: PeersOptions
  readonly #byAddress = new Map<Address, Peer>()
  readonly #all = new Set<Peer>()
  readonly #generations = new Map<Address, { incarnation: string; count: number }>()
  #dirty: Peer[] = []
  #closed = false
  #pinging: Timer | undefined
  /** Messages that were dropped because they were malformed, over all peers. */
  malformed = 0

  constructor(options: PeersOptions) {
    this.#o = options
    options.transport.onChannel(channel => this.#accepted(channel))
  }

  /** The peers with an open connection. */
  *open(): IterableIterator<Peer> {
    for (const peer of this.#all) if (peer.state === 'open') yield peer
  }

  /** The peer behind an address, dialled if need be. */
  at(address: Address): Peer {
    return this.#byAddress.get(address) ?? this.#dial(address)
  }

  /** Adds a frame to the message that goes to `peer` at the next `flush`. */
  send(peer: Peer, frame: Frame): void {
    if (peer.state !== 'ended' && peer.gather(frame)) this.#dirty.push(peer)
  }

  /** Whether a flush would send anything. */
  get pending(): boolean {
    return this.#dirty.length > 0
  }

  /** Sends what was gathered for each peer, one message each. */
  flush(): void {
    const dirty = this.#dirty
    if (dirty.length === 0) return
    this.#dirty = []
    for (const peer of dirty) {
      const overflow = peer.flush(this.#o.limits)
      if (overflow) this.#end(peer, overflow)
    }
  }

  /** Ends all connections. */
  close(): void {
    this.flush()
    this.#closed = true
    this.#pinging?.cancel()
    for (const peer of [...this.#all]) this.#end(peer, 'shutting down')
  }

  #dial(address: Address): Peer {
    const peer = new Peer(true, this.#o.clock.now())
    this.#add(peer)
    this.#name(peer, address)
    const parsed = parseAddress(address)
    if (this.#closed || !parsed || parsed.port === 0) {
      const reason = this.#closed ? 'shutting down' : 'it has no port to dial and no open connection'
      this.#o.clock.soon(() => this.#end(peer, reason))
      return peer
    }
    this.#o.transport.dial(address, {
      opened: channel => {
        if (peer.state !== 'dialling') return channel.close('given up')
        peer.channel = channel
        peer.state = 'greeting'
        const known = this.#generations.get(address)
        peer.generation = (known?.count ?? 0) + 1
        peer.greet(this.#hello(peer.generation - 1))
      },
      message: bytes => this.#message(peer, bytes),
      closed: reason => this.#channelClosed(peer, reason),
    })
    this.#limitGreeting(peer)
    return peer
  }

  #accepted(channel: Channel): Omit<ChannelEvents, 'opened'> {
    const peer = new Peer(false, this.#o.clock.now())
    peer.channel = channel
    this.#add(peer)
    this.#limitGreeting(peer)
    return {
      message: bytes => this.#message(peer, bytes),
      closed: reason => this.#channelClosed(peer, reason),
    }
  }

  #add(peer: Peer): void {
    this.#all.add(peer)
    this.#pinging ??= this.#o.clock.delay(this.#o.limits.pingIntervalMs, () => this.#ping())
  }

  #limitGreeting(peer: Peer): void {
    peer.greetingLimit = this.#o.clock.delay(this.#o.limits.greetingLimitMs, () => {
      if (peer.state !== 'open') this.#end(peer, 'no greeting in time')
    })
  }

  #name(peer: Peer, address: Address): void {
    peer.addresses.add(address)
    this.#byAddress.set(address, peer)
  }

  #hello(generation: number): Hello {
    const { address, incarnation } = this.#o
    return { address, incarnation, generation, version: WIRE_VERSION, features: [] }
  }

  #message(peer: Peer, bytes: Uint8Array): void {
    if (peer.state === 'ended' || peer.state === 'awaited') return
    peer.heardAtMs = this.#o.clock.now()
    let frames: readonly Frame[]
    try {
      frames = checkFrames(decode(bytes))
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      return this.#malformedFrom(peer, error)
    }
    for (const frame of frames) {
      if (peer.state === 'open') this.#frame(peer, frame)
      else if (peer.state === 'greeting' && frame[0] === FRAME.hello) this.#greeted(peer, frame[1])
      else return this.#end(peer, 'it did not greet first')
    }
  }

  #frame(peer: Peer, frame: Frame): void {
    if (frame[0] === FRAME.ping) this.#sendNow(peer, [FRAME.pong])
    else if (frame[0] !== FRAME.pong && frame[0] !== FRAME.hello) this.#o.host.received(peer, frame)
  }

  #sendNow(peer: Peer, frame: Frame): void {
    this.send(peer, frame)
    this.#o.clock.soon(() => this.flush())
  }

  /** A stranger that talks nonsense is cut off; a known peer's bad message is dropped, counted, logged once. */
  #malformedFrom(peer: Peer, error: MalformedError): void {
    this.malformed++
    if (!peer.complained) {
      peer.complained = true
      this.#o.log.warn({ peer: peer.label, error: error.message }, 'malformed message dropped')
    }
    if (peer.state !== 'open') this.#end(peer, 'malformed greeting')
  }

  #greeted(peer: Peer, hello: Hello): void {
    if (hello.version !== WIRE_VERSION) {
      return this.#end(peer, `wire version ${hello.version} is not ours, ${WIRE_VERSION}`)
    }
    if (hello.incarnation === this.#o.incarnation) return this.#end(peer, 'it is this process itself')
    peer.hello = hello
    const existing = this.#byAddress.get(hello.address)
    if (existing && existing !== peer && !this.#settle(peer, existing, hello)) return
    if (!peer.outgoing) {
      peer.generation = hello.generation + 1
      peer.greet(this.#hello(hello.generation))
    }
    for (const address of peer.addresses) this.#byAddress.set(address, peer)
    this.#name(peer, hello.address)
    for (const address of peer.addresses) this.#remember(address, hello.incarnation, peer.generation)
    peer.greetingLimit?.cancel()
    peer.state = 'open'
    peer.release()
    if (peer.flush(this.#o.limits)) this.#end(peer, 'queue full')
    this.#o.log.debug({ peer: peer.label, remote: peer.channel?.remote }, 'connected')
  }

  /** Decides between a greeting and what is known under that address already; true if the new one is taken. */
  #settle(peer: Peer, existing: Peer, hello: Hello): boolean {
    const same = existing.hello?.incarnation === hello.incarnation
    if (existing.state === 'open' && same && (peer.outgoing || hello.generation < existing.generation)) {
      if (peer.outgoing) this.#merge(peer, existing)
      else this.#refuse(peer)
      return false
    }
    if (existing.state === 'open') {
      this.#end(existing, same ? 'replaced by a new connection' : 'the process has been restarted')
      return true
    }
    if (existing.state === 'greeting' || existing.state === 'dialling') {
      if (!peer.outgoing && this.#o.address < hello.address) {
        this.#refuse(peer)
        return false
      }
    }
    this.#merge(existing, peer)
    return true
  }

  #refuse(peer: Peer): void {
    this.#all.delete(peer)
    peer.state = 'ended'
    peer.greetingLimit?.cancel()
    peer.channel?.close(DUPLICATE + this.#o.address)
  }

  /** Lets `into` serve all that `from` was for, without anyone noticing a loss. */
  #merge(from: Peer, into: Peer): void {
    into.inherit(from)
    for (const address of from.addresses) this.#byAddress.set(address, into)
    this.#refuse(from)
    this.#dirty.push(into)
  }

  #remember(address: Address, incarnation: string, count: number): void {
    if (!address.endsWith(':0')) this.#generations.set(address, { incarnation, count })
  }

  #channelClosed(peer: Peer, reason: string): void {
    if (peer.state === 'ended') return
    if (peer.outgoing && peer.state === 'greeting' && reason.startsWith(DUPLICATE)) {
      const other = this.#byAddress.get(reason.slice(DUPLICATE.length))
      if (other && other !== peer && other.state === 'open') {
        this.#merge(peer, other)
        return this.flush()
      }
      peer.state = 'awaited'
      return
    }
    this.#end(peer, reason)
  }

  #end(peer: Peer, reason: string): void {
    if (peer.state === 'ended') return
    const was = peer.state
    peer.state = 'ended'
    peer.greetingLimit?.cancel()
    this.#all.delete(peer)
    for (const address of peer.addresses) {
      if (this.#byAddress.get(address) === peer) this.#byAddress.delete(address)
    }
    peer.channel?.close(reason)
    const level = was === 'open' || peer.outgoing ? 'debug' : 'warn'
    this.#o.log[level]({ peer: peer.label, reason }, was === 'open' ? 'connection ended' : 'no connection')
    this.#o.host.lost(peer, reason)
  }

  #ping(): void {
    const { clock, limits } = this.#o
    this.#pinging = undefined
    const now = clock.now()
    for (const peer of [...this.#all]) {
      if (peer.state !== 'open') continue
      const silentMs = now - peer.heardAtMs
      if (silentMs >= limits.silenceLimitMs) this.#end(peer, `silent for ${Math.round(silentMs)} ms`)
      else if (silentMs >= limits.pingIntervalMs * 0.9) this.send(peer, [FRAME.ping])
    }
    this.flush()
    if (this.#all.size > 0) this.#pinging = clock.delay(limits.pingIntervalMs, () => this.#ping())
  }
}
