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

import { Backlog } from './backlog.ts'
import { encode } from './codec.ts'
import { FRAME, type Frame } from './frames.ts'
import { Generations, nextGeneration } from './generations.ts'
import type { Step } from './handshake.ts'
import { Heartbeat } from './heartbeat.ts'
import { Inbox } from './inbox.ts'
import { type Limits, onTheWire } from './limits.ts'
import { Peer } from './peer.ts'
import { type CutOff, CutOffs, watchPeers } from './peer-metrics.ts'
import type { PeersOptions } from './peers-options.ts'
import { type Address, parseAddress } from './pid.ts'
import { Shunned } from './shunned.ts'
import { Sending } from './sending.ts'
import type { Channel, ChannelEvents } from './transport.ts'
import { hostOf, Turnstile } from './turnstile.ts'

/** Begins the reason of a refusal; the address by which the refuser is known follows. */
const DUPLICATE = 'duplicate of '

export class Peers {
  readonly #o: PeersOptions
  readonly #byAddress = new Map<Address, Peer>()
  readonly #all = new Set<Peer>()
  readonly #generations = new Generations()
  readonly limits: Limits
  readonly #shunned: Shunned
  readonly #heartbeat: Heartbeat
  readonly #cutOffs: CutOffs
  readonly #halfOpen: Turnstile
  readonly #inbox: Inbox
  readonly sending: Sending
  readonly backlog: Backlog
  #closed = false
  #paused = false

  constructor(options: PeersOptions) {
    this.#o = options
    const { metrics } = options
    const limits = onTheWire(options.limits)
    this.limits = limits
    this.#shunned = new Shunned(options.clock, limits.greetingLimitMs)
    this.#cutOffs = new CutOffs(metrics)
    this.#halfOpen = new Turnstile(limits.maxHalfOpenPerHost, limits.maxHalfOpen)
    this.sending = new Sending(limits, (peer, overflow) => this.#overflowed(peer, overflow))
    this.backlog = new Backlog(limits, () => this.#all.size)
    this.#inbox = new Inbox({
      clock: options.clock,
      limits,
      complaints: options.complaints,
      backlog: this.backlog,
      received: (peer, frame) => options.host.received(peer, frame),
      delivered: () => options.host.delivered(),
      step: (peer, step) => this.#took(peer, step),
      pinged: peer => {
        this.sending.send(peer, [FRAME.pong])
        options.clock.soon(() => this.sending.flush())
      },
      giveUp: (peer, reason, why) => this.#giveUp(peer, reason, why),
      end: (peer, reason, why) => this.#end(peer, reason, why),
    })
    this.#heartbeat = new Heartbeat(options.clock, limits, {
      all: this.#all,
      send: (peer, frame) => this.sending.send(peer, frame),
      flush: () => this.sending.flush(),
      silent: peer => this.#end(peer, `silent for ${limits.silenceLimitMs} ms`, 'silent'),
    })
    watchPeers(metrics, this.#all, this.#halfOpen, this.backlog)
    options.transport.onChannel(channel => this.#accepted(channel))
  }

  /** Messages and frames that were dropped because they were malformed, over all peers. */
  get malformed(): number {
    return this.#inbox.malformed
  }

  /** The peer behind an address, dialled if need be. It is that until it has ended. */
  at(address: Address): Peer {
    return this.#byAddress.get(address) ?? this.#dial(address)
  }

  /** The peer behind an address, if there is one. */
  find(address: Address): Peer | undefined {
    return this.#byAddress.get(address)
  }

  /** Finds out whether an open connection still carries: silent for as long as a greeting may take, it is given up. */
  doubt(address: Address): void {
    const peer = this.#byAddress.get(address)
    if (peer?.state !== 'open' || peer.doubt) return
    const limitMs = this.#o.limits.greetingLimitMs
    peer.doubt = this.#o.clock.delay(limitMs, () => {
      peer.doubt = undefined
      // What it answered may stand there unread.
      if (peer.paused) this.doubt(address)
      else this.#end(peer, `no answer to a ping within ${limitMs} ms`)
    })
    this.sending.send(peer, [FRAME.ping])
  }

  /** Stops and resumes reading from all peers, for as long as what they sent waits here unserved. */
  pause(paused: boolean): void {
    if (paused === this.#paused) return
    this.#paused = paused
    for (const peer of this.#all) {
      peer.allPaused = paused
      peer.applyPause()
    }
  }

  /** Ends all connections. */
  close(): void {
    this.sending.flush()
    this.#closed = true
    this.#heartbeat.stop()
    for (const peer of [...this.#all]) this.#end(peer, 'shutting down')
  }

  /** What it has not read would only take up memory until the end is agreed upon, and so would more of the same. */
  #overflowed(peer: Peer, overflow: string): void {
    if (peer.state === 'ended') return
    const full = overflow.startsWith('queue full')
    if (full) for (const name of peer.addresses) this.#shunned.add(name)
    peer.channel?.close(overflow, true)
    this.#giveUp(peer, overflow, 'queue_full')
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
      message: bytes => this.#inbox.take(peer, bytes),
      closed: (reason, cutOff) => this.#channelClosed(peer, reason, cutOff),
    })
    this.#limitGreeting(peer)
    return peer
  }

  #accepted(channel: Channel): Omit<ChannelEvents, 'opened'> {
    const host = hostOf(channel.remote)
    const leave = this.#halfOpen.enter(host)
    if (!leave) {
      const reason = 'too many connections wait to be accepted'
      this.#cutOffs.count('half_open')
      this.#o.complaints.warn(host, { reason }, 'connection refused')
      channel.close(reason)
      return { message: () => {}, closed: () => {} }
    }
    const peer = new Peer(false)
    peer.leave = leave
    this.#attach(peer, channel)
    this.#add(peer)
    this.#limitGreeting(peer)
    return {
      message: bytes => this.#inbox.take(peer, bytes),
      closed: (reason, cutOff) => this.#channelClosed(peer, reason, cutOff),
    }
  }

  #attach(peer: Peer, channel: Channel): void {
    peer.allPaused = this.#paused
    peer.attach(channel, this.#o)
  }

  #add(peer: Peer): void {
    this.#all.add(peer)
    if (!this.#closed) this.#heartbeat.start()
  }

  #limitGreeting(peer: Peer): void {
    peer.greetingLimit = this.#o.clock.delay(this.#o.limits.greetingLimitMs, () => {
      if (peer.outgoing) this.#end(peer, 'no greeting in time')
      else this.#giveUp(peer, 'no greeting in time', 'greeting')
    })
  }

  #name(peer: Peer, address: Address): void {
    peer.addresses.add(address)
    this.#byAddress.set(address, peer)
  }

  #greet(peer: Peer, generation: number): void {
    this.#say(peer, peer.handshake!.greeting(generation))
  }

  /** Sends a frame of a handshake, alone and at once. */
  #say(peer: Peer, frame: Frame): void {
    peer.channel!.send(encode([frame]))
  }

  /** A step of the handshake; false if the rest of the message is not to be looked at. */
  #took(peer: Peer, step: Step): boolean {
    if ('send' in step) this.#say(peer, step.send)
    else if ('refused' in step) {
      this.#giveUp(peer, step.refused, step.unproved ? 'unproved' : 'greeting')
    } else {
      const hello = step.greeted
      peer.hello = hello
      peer.principal = step.principal
      const existing = this.#byAddress.get(hello.address)
      if (!existing || existing === peer || this.#settle(peer, existing)) {
        this.#name(peer, hello.address)
        this.#open(peer)
      }
    }
    return peer.state !== 'ended'
  }

  /** Decides between a greeting and what is known under that address already; true if the new one is taken. */
  #settle(peer: Peer, existing: Peer): boolean {
    const hello = peer.hello!
    if (existing.state === 'open') {
      if (existing.principal !== peer.principal) {
        // The one who is to blame is not the one of that name.
        peer.hello = undefined
        this.#giveUp(peer, `${hello.address} is connected already, as somebody else`, 'unproved')
        return false
      }
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
    peer.leave?.()
    peer.handshake = undefined
    peer.channel!.accepted?.()
    peer.state = 'open'
    if (peer.crossing) this.#refuse(peer.crossing)
    peer.crossing = undefined
    this.#o.log.debug({ peer: peer.label, remote: peer.channel?.remote }, 'connected')
    this.sending.flushOne(peer)
  }

  /** Closes a connection that another one makes superfluous: nobody is told of a loss, since nothing is lost. */
  #refuse(peer: Peer): void {
    this.#forget(peer)
    if (peer.crossing) this.#refuse(peer.crossing)
    peer.channel?.close(DUPLICATE + this.#o.address)
  }

  /** Lets `into` serve all that `from` was for. */
  #merge(from: Peer, into: Peer): void {
    into.inherit(from)
    for (const address of from.addresses) this.#byAddress.set(address, into)
    if (from.crossing === into) from.crossing = undefined
    this.#refuse(from)
    this.sending.mark(into)
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

  #channelClosed(peer: Peer, reason: string, cutOff?: CutOff): void {
    if (cutOff) this.#giveUp(peer, reason, cutOff)
    else if (peer.outgoing && peer.state === 'greeting' && reason.startsWith(DUPLICATE)) {
      this.#refused(peer, reason.slice(DUPLICATE.length))
    } else if (peer.outgoing && peer.state === 'greeting') this.#giveUp(peer, reason)
    else this.#end(peer, reason)
  }

  /** The other side has, or is about to have, another connection with us. */
  #refused(peer: Peer, address: Address): void {
    if (this.#yield(peer)) return
    // Whoever says so has proved nothing yet: where proofs are asked for, its word must not lead to another one what is meant
    // for those that were dialled.
    if (this.#o.authenticator && !peer.addresses.has(address)) {
      return this.#giveUp(peer, `refused as a duplicate of ${address}, which was not dialled`)
    }
    const other = this.#byAddress.get(address)
    if (other && other !== peer) {
      this.#merge(peer, other)
      return this.sending.flush()
    }
    peer.state = 'awaited'
    if (parseAddress(address)) this.#name(peer, address)
  }

  /** Ends it for a reason that somebody should look into; that a process comes or goes is none. */
  #giveUp(peer: Peer, reason: string, cutOff?: CutOff): void {
    if (peer.state === 'ended') return
    const claimed = !peer.hello && !peer.outgoing ? peer.handshake?.claimed : undefined
    const fields = claimed === undefined ? { reason } : { claimed, reason }
    this.#o.complaints.warn(peer.culprit, fields, 'connection given up')
    this.#end(peer, reason, cutOff)
  }

  #end(peer: Peer, reason: string, cutOff?: CutOff): void {
    if (peer.state === 'ended') return
    if (cutOff) this.#cutOffs.count(cutOff)
    if (this.#yield(peer)) return
    const was = peer.state
    this.#forget(peer)
    for (const address of peer.addresses) {
      if (this.#byAddress.get(address) === peer) this.#byAddress.delete(address)
      /* c8 ignore next -- Who takes a name over ends its bearer first; were that otherwise once, the name would stay. */ else
        peer.addresses.delete(address)
    }
    peer.channel?.close(reason)
    const what = was === 'open' ? 'connection ended' : 'no connection'
    this.#o.log.debug({ peer: peer.label, reason }, what)
    this.#o.host.lost(peer, reason)
  }

  #forget(peer: Peer): void {
    this.#all.delete(peer)
    this.sending.forget(peer)
    this.backlog.forget(peer.load)
    peer.state = 'ended'
    peer.cancelTimers()
    peer.leave?.()
  }
}
