// A network of ordered connections between simulated processes: latency, loss, clogging, cut links, and rules for single
// messages.
//
// Like TCP: what is sent into a cut link waits, and arrives once the link is whole again, unless one side has given
// the connection up by then. A killed process resets its connections, which the others hear of if the link lets them.
// A message is lost only with its connection, unless a rule says otherwise.

import type { Address } from '../actors/pid.ts'
import type { Channel, ChannelEvents, Transport } from '../actors/transport.ts'
import type { Random } from '../base/random.ts'
import { type Matches, MessageRules, type Recording, type Rule } from './message-rules.ts'
import { type Link, type NetworkTape, Player, Recorder } from './network-tape.ts'
import type { VirtualClock } from './virtual-clock.ts'
import { type Gate, Side, type Wire } from './virtual-connection.ts'

export interface NetworkOptions {
  readonly clock: VirtualClock
  readonly random: Random
  /** One-way latency is drawn from [minMs, maxMs). */
  readonly latencyMs: readonly [number, number]
  /** What an earlier network did (`record`), to be done again: its latencies, and the messages that rules lost. */
  readonly replay?: NetworkTape
}

/** Links that were cut together. */
export interface Cut {
  /** Mends them, but for those that another cut holds; a second time does nothing. */
  mend(): void
}

type Accept = (channel: Channel) => Omit<ChannelEvents, 'opened'>

interface Listener {
  readonly accept: Accept
  readonly gate: Gate
}

const OPEN_GATE: Gate = { run: fn => fn() }

export class VirtualNetwork {
  readonly #o: NetworkOptions
  /** As in `NetworkOptions`; may be changed at any time, for what is sent from then on. */
  latencyMs: readonly [number, number]
  /** Chance that a message breaks its connection, and is lost with all that is on its way there. */
  lossRate = 0
  readonly #listeners = new Map<Address, Listener>()
  readonly #aliases = new Map<Address, Address>()
  /** Ends of connections that are open, or from which something is still on its way. */
  readonly #sides = new Set<Side>()
  /** How many cuts hold a link. */
  readonly #cut = new Map<Link, number>()
  readonly #cuts = new Set<Cut>()
  /** Until when nothing arrives over a link. */
  readonly #cloggedUntilMs = new Map<Link, number>()
  readonly #rules = new MessageRules((link, bytes) => this.#inject(link, bytes))
  readonly #player: Player | undefined
  #recorder: Recorder | undefined
  readonly #wire: Wire

  constructor(options: NetworkOptions) {
    this.#o = options
    this.latencyMs = options.latencyMs
    this.#player = options.replay && new Player(options.replay)
    this.#wire = {
      isCut: link => this.#cut.size > 0 && this.#cut.has(link),
      loses: (side, bytes) => this.#loses(side, bytes),
      sent: side => {
        // The greeting has been answered by then, so that what is repeated is heard.
        if (side.sends !== 2) return
        for (const bytes of this.#rules.repeated(side)) side.carry(bytes)
      },
      arrival: link => this.#arrival(link),
      at: (timeMs, run) => this.#at(timeMs, run),
      forget: side => this.#sides.delete(side),
    }
  }

  /** The network as the process at `address` has it; `gate` lets pass what comes for the process. */
  transport(address: Address, gate: Gate = OPEN_GATE): Transport {
    return {
      dial: (to, events) => this.#dial(address, this.#aliases.get(to) ?? to, events, gate),
      onChannel: accept => {
        if (!address.endsWith(':0')) this.#listeners.set(address, { accept, gate })
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
    for (const side of this.#of(address)) side.kill()
  }

  /**
   * Ends all connections of the process at `address` on its own side, as a loss of its network device would. The others
   * hear nothing.
   */
  cutOff(address: Address): void {
    for (const side of this.#of(address)) side.end('network is down')
  }

  /** Breaks all connections of the process at `address`: what is on its way is lost, and both sides hear of it. */
  reset(address: Address): void {
    for (const side of this.#of(address)) this.#sever(side)
  }

  /** Cuts the link between every one of `some` and every one of `others`; `oneWay` cuts only what `some` send. */
  partition(
    some: readonly Address[],
    others: readonly Address[],
    options: { readonly oneWay?: boolean } = {},
  ): Cut {
    const links = linksBetween(some, others, options.oneWay ?? false)
    for (const link of links) this.#cut.set(link, (this.#cut.get(link) ?? 0) + 1)
    const cut: Cut = {
      mend: () => {
        if (!this.#cuts.delete(cut)) return
        for (const link of links) {
          const left = this.#cut.get(link)! - 1
          if (left > 0) this.#cut.set(link, left)
          else this.#cut.delete(link)
        }
        this.#release()
      },
    }
    this.#cuts.add(cut)
    return cut
  }

  /** Mends all links. */
  heal(): void {
    this.#cut.clear()
    this.#cuts.clear()
    this.#cloggedUntilMs.clear()
    this.#release()
  }

  /** Nothing arrives over these links for `ms`; all of it does then, over the connections that are there. */
  clog(
    some: readonly Address[],
    others: readonly Address[],
    ms: number,
    options: { readonly oneWay?: boolean } = {},
  ): void {
    const untilMs = this.#o.clock.now() + ms
    for (const link of linksBetween(some, others, options.oneWay ?? false)) {
      this.#cloggedUntilMs.set(link, Math.max(untilMs, this.#cloggedUntilMs.get(link) ?? 0))
    }
  }

  /** Loses every message that `matches`, until stopped. */
  drop(matches: Matches): Rule {
    return this.#rules.lose(matches)
  }

  /** Keeps every message that `matches`, until stopped, to be sent again when asked for. */
  keep(matches: Matches): Recording {
    return this.#rules.record(matches)
  }

  /** Every message that `matches` comes once more over the next connection of the same two processes, until stopped. */
  duplicate(matches: Matches): Rule {
    return this.#rules.duplicate(matches)
  }

  /** Ends what `duplicate` still had to send. */
  forgetDuplicates(): void {
    this.#rules.forget()
  }

  /** Writes down from now on what chance decides, for `NetworkOptions.replay`. */
  record(): NetworkTape {
    return (this.#recorder ??= new Recorder()).tape
  }

  /** Connections with an end that has not closed. */
  get connections(): number {
    const open = [...this.#sides].filter(side => !side.closed)
    return open.filter(
      ({ dialled, other }) => dialled || !other || !this.#sides.has(other) || other.closed,
    ).length
  }

  #release(): void {
    for (const side of [...this.#sides]) side.release()
  }

  #arrival(link: Link): number {
    const nowMs = this.#o.clock.now()
    const [min, max] = this.latencyMs
    const delayMs = this.#player?.delayMs(link) ?? min + this.#o.random.next() * (max - min)
    this.#recorder?.arrives(link, delayMs)
    const clogged = this.#cloggedUntilMs.size > 0 ? this.#cloggedUntilMs.get(link) : undefined
    return Math.max(nowMs, clogged ?? 0) + delayMs
  }

  /** Runs at a time, or as soon as this turn is over if that is past. */
  #at(timeMs: number, run: () => void): void {
    this.#o.clock.delay(timeMs - this.#o.clock.now(), run)
  }

  #loses(side: Side, bytes: Uint8Array): boolean {
    const byTape = this.#player?.isLost(side.link) ?? false
    const lost = byTape || (!this.#rules.isEmpty && this.#rules.loses(side, bytes))
    this.#recorder?.sent(side.link, lost)
    if (lost || this.lossRate === 0 || this.#o.random.next() >= this.lossRate) return lost
    this.#sever(side)
    return true
  }

  #sever(side: Side): void {
    side.sever()
    side.other?.sever()
  }

  /** Over the connection that carries something in that direction now. */
  #inject(link: Link, bytes: Uint8Array): boolean {
    for (const side of this.#sides) {
      if (side.link !== link || side.closed || side.sends < 2) continue
      side.carry(bytes)
      return true
    }
    return false
  }

  #of(address: Address): Side[] {
    return [...this.#sides].filter(side => side.local === address)
  }

  #dial(from: Address, to: Address, events: ChannelEvents, gate: Gate): void {
    const near = new Side(this.#wire, { local: from, remote: to }, true, gate)
    near.events = events
    this.#sides.add(near)
    this.#at(this.#arrival(near.link), () => {
      if (near.closed) return
      const listener = this.#listeners.get(to)
      // A dial into a cut link gets no answer at all; the dialler's own limit ends it.
      if (this.#wire.isCut(near.link) || this.#wire.isCut(`${to}>${from}`)) {
        this.#sides.delete(near)
      } else if (!listener) near.end(`connect ECONNREFUSED ${to}`)
      else listener.gate.run(() => this.#accept(near, listener, events))
    })
  }

  #accept(near: Side, { accept, gate }: Listener, events: ChannelEvents): void {
    if (near.closed) return
    const far = new Side(this.#wire, { local: near.remote, remote: near.local }, false, gate)
    far.other = near
    near.other = far
    this.#sides.add(far)
    far.events = accept(far)
    this.#at(this.#arrival(far.link), () =>
      near.gate.run(() => {
        if (!near.closed) events.opened(near)
      }),
    )
  }
}

function linksBetween(
  some: readonly Address[],
  others: readonly Address[],
  oneWay: boolean,
): readonly Link[] {
  return some.flatMap(a =>
    others.flatMap(b => (oneWay ? [`${a}>${b}`] : [`${a}>${b}`, `${b}>${a}`])),
  )
}
