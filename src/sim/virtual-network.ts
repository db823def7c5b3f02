// A network of ordered connections between simulated processes, with latency, cut links and lost messages.
//
// Like TCP: what is sent into a cut link waits, and arrives once the link is whole again, unless one side has given
// the connection up by then. A killed process resets its connections, which the others hear of if the link lets them.

import { decode } from '../actors/codec.ts'
import { checkFrames, FRAME } from '../actors/frames.ts'
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

/** One direction of a connection. */
class Side implements Channel {
  readonly local: Address
  readonly remote: Address
  readonly #network: VirtualNetwork
  events: Omit<ChannelEvents, 'opened'> | undefined
  other!: Side
  closed = false
  /** No message may overtake one that was sent before it. */
  #lastDeliveryMs = 0
  #waiting: (() => void)[] = []

  constructor(network: VirtualNetwork, local: Address, remote: Address) {
    this.#network = network
    this.local = local
    this.remote = remote
  }

  get bufferedBytes(): number {
    return 0
  }

  send(bytes: Uint8Array): void {
    if (this.closed || this.#network.drops(this, bytes)) return
    this.#deliver(() => this.other.receive(bytes))
  }

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
    this.events?.closed(reason)
  }

  /** The link is whole again: what waited goes on its way. */
  release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const run of waiting) this.#deliver(run)
  }

  #deliver(run: () => void): void {
    if (this.#network.isCut(this.local, this.remote)) {
      this.#waiting.push(run)
      return
    }
    const at = Math.max(this.#lastDeliveryMs, this.#network.arrival())
    this.#lastDeliveryMs = at
    this.#network.at(at, () => {
      if (this.#network.isCut(this.local, this.remote)) this.#waiting.push(run)
      else run()
    })
  }
}

export class VirtualNetwork {
  readonly #o: NetworkOptions
  readonly #listeners = new Map<Address, Accept>()
  readonly #sides = new Set<Side>()
  readonly #cut = new Set<string>()
  readonly #rules = new Set<{ matches: (passing: Passing) => boolean; count: number }>()

  constructor(options: NetworkOptions) {
    this.#o = options
  }

  /** The network as the process at `address` has it. */
  transport(address: Address): Transport {
    return {
      dial: (to, events) => this.#dial(address, to, events),
      onChannel: accept => {
        if (!address.endsWith(':0')) this.#listeners.set(address, accept)
      },
      close: async () => {
        this.#listeners.delete(address)
        for (const side of this.#of(address)) side.close('shutting down')
      },
    }
  }

  /** The process at `address` died: its connections are reset, and nobody listens there any more. */
  kill(address: Address): void {
    this.#listeners.delete(address)
    for (const side of this.#of(address)) {
      side.events = undefined
      side.close('connection reset by peer')
      this.#sides.delete(side)
    }
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
    return [...this.#sides].filter(side => !side.closed).length / 2
  }

  isCut(from: Address, to: Address): boolean {
    return this.#cut.has(`${from}>${to}`)
  }

  arrival(): number {
    const [min, max] = this.#o.latencyMs
    return this.#o.clock.now() + min + this.#o.random.next() * (max - min)
  }

  at(timeMs: number, run: () => void): void {
    this.#o.clock.delay(timeMs - this.#o.clock.now(), run)
  }

  soon(run: () => void): void {
    this.#o.clock.soon(run)
  }

  /** Whether a rule wants any frame of this message lost; the whole message goes then, as a datagram would. */
  drops(side: Side, bytes: Uint8Array): boolean {
    if (this.#rules.size === 0) return false
    for (const frame of checkFrames(decode(bytes))) {
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
    const near = new Side(this, from, to)
    const far = new Side(this, to, from)
    near.other = far
    far.other = near
    near.events = events
    this.#sides.add(near)
    this.at(this.arrival(), () => {
      // A dial into a cut link gets no answer at all; the dialler's own limit ends it.
      if (this.isCut(from, to) || this.isCut(to, from) || near.closed) return
      const accept = this.#listeners.get(to)
      if (!accept) {
        near.closed = true
        this.#sides.delete(near)
        return events.closed(`connect ECONNREFUSED ${to}`)
      }
      this.#sides.add(far)
      far.events = accept(far)
      this.at(this.arrival(), () => {
        if (!near.closed) events.opened(near)
      })
    })
  }
}
