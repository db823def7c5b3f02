// A network of ordered connections between simulated processes, with latency, cut links and lost messages.
//
// Like TCP: what is sent into a cut link waits, and arrives once the link is whole again, unless one side has given
// the connection up by then. A killed process resets its connections, which the others hear of if the link lets them.

import { decode } from '../actors/codec.ts'
import { checkMessage, FRAME } from '../actors/frames.ts'
import type { Address } from '../actors/pid.ts'
import type { Channel, ChannelEvents, Transport } from '../actors/transport.ts'
import type { Random } from '../base/random.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface NetworkOptions {
  readonly clock: VirtualClock
  readonly random: Random
  /** One-way latency is drawn from [minMs, maxMs). */
  readonly latencyMs: readonly [number, number]
}

/** A message on its way, as drop rules see it. */
export interface Passing {
  readonly from: Address
  readonly to: Address
  /** Wire name, such as `master.agent/register_agent`; undefined for the runtime's own frames. */
  readonly message: string | undefined
  readonly toId: string | undefined
}

export interface DropRule {
  /** Messages dropped by it so far. */
  readonly count: number
  stop(): void
}

type Accept = (channel: Channel) => Omit<ChannelEvents, 'opened'>

/** One end of a connection, and the direction in which it sends. */
class Side implements Channel {
  readonly local: Address
  readonly remote: Address
  readonly dialled: boolean
  readonly #network: VirtualNetwork
  events: Omit<ChannelEvents, 'opened'> | undefined
  other!: Side
  closed = false
  /** What was sent and has not arrived, in order. */
  #sent: (() => void)[] = []
  /** Arrivals that are due. Fewer than what was sent, if the link is cut: the rest waits for it to be whole. */
  #arrivals = 0
  #lastArrivalMs = 0

  constructor(network: VirtualNetwork, local: Address, remote: Address, dialled: boolean) {
    this.#network = network
    this.local = local
    this.dialled = dialled
    this.remote = remote
  }

  get bufferedBytes(): number {
    return 0
  }

  send(bytes: Uint8Array): void {
    if (this.closed || this.#network.drops(this, bytes)) return
    this.#deliver(() => this.other.receive(bytes))
  }

  /** A simulated process has memory enough for its backlog. */
  pause(): void {}

  close(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.#deliver(() => this.other.end(reason))
    this.#network.soon(() => this.events?.closed(reason))
  }

  receive(bytes: Uint8Array): void {
    if (!this.closed) this.events?.message(bytes)
  }

  end(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.#network.forget(this)
    this.events?.closed(reason)
  }

  /** The link may be whole again: what waited goes on its way. */
  release(): void {
    if (this.#network.isCut(this.local, this.remote)) return
    while (this.#arrivals < this.#sent.length) this.#schedule()
  }

  #deliver(run: () => void): void {
    this.#sent.push(run)
    if (!this.#network.isCut(this.local, this.remote)) this.#schedule()
  }

  /** An arrival takes what was sent first, so that nothing overtakes what still waits. */
  #schedule(): void {
    this.#arrivals++
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#network.arrival())
    this.#network.at(this.#lastArrivalMs, () => {
      this.#arrivals--
      if (this.#network.isCut(this.local, this.remote)) return
      this.#sent.shift()!()
      if (this.closed && this.#sent.length === 0) this.#network.forget(this)
    })
  }
}

export class VirtualNetwork {
  readonly #o: NetworkOptions
  /** As in `NetworkOptions`; may be changed at any time, for what is sent from then on. */
  latencyMs: readonly [number, number]
  readonly #listeners = new Map<Address, Accept>()
  readonly #aliases = new Map<Address, Address>()
  /** Ends of connections that are open, or from which something is still on its way. */
  readonly #sides = new Set<Side>()
  readonly #cut = new Set<string>()
  readonly #rules = new Set<{ matches: (passing: Passing) => boolean; count: number }>()

  constructor(options: NetworkOptions) {
    this.#o = options
    this.latencyMs = options.latencyMs
  }

  /** The network as the process at `address` has it. */
  transport(address: Address): Transport {
    return {
      dial: (to, events) => this.#dial(address, this.#aliases.get(to) ?? to, events),
      onChannel: accept => {
        if (!address.endsWith(':0')) this.#listeners.set(address, accept)
      },
      close: async () => {
        this.#listeners.delete(address)
        for (const side of this.#of(address)) side.close('shutting down')
      },
    }
  }

  /** Makes the process at `address` answer to another name as well, as `localhost:5050` and `127.0.0.1:5050` are one. */
  alias(name: Address, address: Address): void {
    this.#aliases.set(name, address)
  }

  /** The process at `address` died: its connections are reset, and nobody listens there any more. */
  kill(address: Address): void {
    this.#listeners.delete(address)
    for (const side of this.#of(address)) {
      side.events = undefined
      side.close('connection reset by peer')
      // Nobody is left to send the reset a second time, if it meets a cut link.
      this.#sides.delete(side)
    }
  }

  /** Ends all connections of the process at `address` on its own side, as a loss of its network device would. */
  cutOff(address: Address): void {
    for (const side of this.#of(address)) side.end('network is down')
  }

  /** Cuts the link between every one of `some` and every one of `others`; `oneWay` cuts only what `some` send. */
  partition(
    some: readonly Address[],
    others: readonly Address[],
    options: { readonly oneWay?: boolean } = {},
  ): void {
    for (const a of some) {
      for (const b of others) {
        this.#cut.add(`${a}>${b}`)
        if (!options.oneWay) this.#cut.add(`${b}>${a}`)
      }
    }
  }

  /** Mends all links. */
  heal(): void {
    this.#cut.clear()
    for (const side of [...this.#sides]) side.release()
  }

  /** Loses every message that `matches`, until stopped. */
  drop(matches: (passing: Passing) => boolean): DropRule {
    const rule = { matches, count: 0 }
    this.#rules.add(rule)
    return {
      get count() {
        return rule.count
      },
      stop: () => this.#rules.delete(rule),
    }
  }

  /** Connections with an end that has not closed. */
  get connections(): number {
    const open = [...this.#sides].filter(side => !side.closed)
    return open.filter(side => side.dialled || !this.#sides.has(side.other) || side.other.closed)
      .length
  }

  isCut(from: Address, to: Address): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`)
  }

  arrival(): number {
    const [min, max] = this.latencyMs
    return this.#o.clock.now() + min + this.#o.random.next() * (max - min)
  }

  at(timeMs: number, run: () => void): void {
    this.#o.clock.delay(timeMs - this.#o.clock.now(), run)
  }

  soon(run: () => void): void {
    this.#o.clock.soon(run)
  }

  forget(side: Side): void {
    this.#sides.delete(side)
  }

  /** Whether a rule wants any frame of this message lost; the whole message goes then, as a datagram would. */
  drops(side: Side, bytes: Uint8Array): boolean {
    if (this.#rules.size === 0) return false
    for (const frame of checkMessage(decode(bytes)).valid) {
      const named = frame[0] === FRAME.tell || frame[0] === FRAME.ask
      const passing: Passing = {
        from: side.local,
        to: side.remote,
        message: named ? frame[3] : undefined,
        toId: named ? frame[1] : undefined,
      }
      for (const rule of this.#rules) {
        if (!rule.matches(passing)) continue
        rule.count++
        return true
      }
    }
    return false
  }

  #of(address: Address): Side[] {
    return [...this.#sides].filter(side => side.local === address)
  }

  #dial(from: Address, to: Address, events: ChannelEvents): void {
    const near = new Side(this, from, to, true)
    const far = new Side(this, to, from, false)
    near.other = far
    far.other = near
    near.events = events
    this.#sides.add(near)
    this.at(this.arrival(), () => {
      if (near.closed) return
      const accept = this.#listeners.get(to)
      // A dial into a cut link gets no answer at all; the dialler's own limit ends it.
      if (this.isCut(from, to) || this.isCut(to, from)) this.#sides.delete(near)
      else if (!accept) near.end(`connect ECONNREFUSED ${to}`)
      else {
        this.#sides.add(far)
        far.events = accept(far)
        this.at(this.arrival(), () => {
          if (!near.closed) events.opened(near)
        })
      }
    })
  }
}
