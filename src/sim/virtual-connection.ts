// One end of a simulated connection, and the direction in which it sends.

import type { Address } from '../actors/pid.ts'
import type { Channel, ChannelEvents } from '../actors/transport.ts'
import type { Link } from './network-tape.ts'

/** Runs what reaches a process from outside: at once, or later if it is stopped, or never if it is dead. */
export interface Gate {
  run(fn: () => void): void
}

/** What a side needs of its network. */
export interface Wire {
  isCut(link: Link): boolean
  /** Whether a message, about to be sent, is lost: alone by a rule, or with its connection. */
  loses(side: Side, bytes: Uint8Array): boolean
  /** It has been sent. */
  sent(side: Side): void
  /** When what leaves now arrives, in ms since the epoch. */
  arrival(link: Link): number
  at(timeMs: number, run: () => void): void
  forget(side: Side): void
}

export class Side implements Channel {
  readonly local: Address
  readonly remote: Address
  readonly link: Link
  readonly dialled: boolean
  readonly gate: Gate
  readonly #wire: Wire
  events: Omit<ChannelEvents, 'opened'> | undefined
  /** Absent until the other process has accepted. */
  other: Side | undefined
  /** It sends nothing more and takes nothing more from the network. */
  closed = false
  /** Its user has been told, or has closed it: it hears nothing more. */
  #ended = false
  /** Messages sent; the first one is the greeting. */
  sends = 0
  /** What was sent and has not arrived, in order. */
  #sent: (() => void)[] = []
  /** Arrivals that are due. Fewer than what was sent, if the link is cut: the rest waits for it to be whole. */
  #arrivals = 0
  #lastArrivalMs = 0
  /** Bytes sent that the other side has not read. */
  #unreadBytes = 0
  /** Its user reads nothing at present: what comes waits here, and an end behind it. */
  #paused = false
  #unread: (() => void)[] = []

  constructor(
    wire: Wire,
    ends: { readonly local: Address; readonly remote: Address },
    dialled: boolean,
    gate: Gate,
  ) {
    this.#wire = wire
    this.local = ends.local
    this.remote = ends.remote
    this.link = `${ends.local}>${ends.remote}`
    this.dialled = dialled
    this.gate = gate
  }

  isBetweenThoseOf(side: Side): boolean {
    return side.gate === this.gate && side.other?.gate === this.other?.gate
  }

  get bufferedBytes(): number {
    return this.#unreadBytes
  }

  send(bytes: Uint8Array): void {
    if (this.closed || this.#wire.loses(this, bytes)) return
    this.carry(bytes)
    this.sends++
    this.#wire.sent(this)
  }

  /** Sends, whatever the rules say. */
  carry(bytes: Uint8Array): void {
    this.#unreadBytes += bytes.length
    this.#deliver(() => {
      this.other?.receive(bytes, () => {
        this.#unreadBytes -= bytes.length
      })
    })
  }

  pause(paused: boolean): void {
    this.#paused = paused
    if (!paused) this.#wire.at(0, () => this.gate.run(() => this.#read()))
  }

  close(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.#ended = true
    this.#deliver(() => this.other?.end(reason))
    this.#wire.at(0, () => this.gate.run(() => this.events?.closed(reason)))
  }

  /** `taken` is called when its user has it. */
  receive(bytes: Uint8Array, taken: () => void): void {
    if (this.closed) return
    this.gate.run(() => {
      this.#unread.push(() => {
        taken()
        if (!this.#ended) this.events?.message(bytes)
      })
      this.#read()
    })
  }

  #read(): void {
    while (!this.#paused) {
      const next = this.#unread.shift()
      if (!next) return
      next()
    }
  }

  end(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.#wire.forget(this)
    this.gate.run(() => {
      this.#unread.push(() => {
        if (this.#ended) return
        this.#ended = true
        this.events?.closed(reason)
      })
      this.#read()
    })
  }

  /** The process dies: it hears nothing more, and the other side is reset. */
  kill(): void {
    this.events = undefined
    this.close('connection reset by peer')
    // Nobody is left to send the reset a second time, if it meets a cut link.
    this.#wire.forget(this)
  }

  /** The connection breaks in this direction: what is on its way is lost, and the other side hears of it. */
  sever(): void {
    this.#sent = this.#sent.map(() => () => {})
    this.#deliver(() => this.other?.end('connection reset'))
  }

  /** The link may be whole again: what waited goes on its way. */
  release(): void {
    if (this.#wire.isCut(this.link)) return
    while (this.#arrivals < this.#sent.length) this.#schedule()
  }

  #deliver(run: () => void): void {
    this.#sent.push(run)
    if (!this.#wire.isCut(this.link)) this.#schedule()
  }

  /** An arrival takes what was sent first, so that nothing overtakes what still waits. */
  #schedule(): void {
    this.#arrivals++
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#wire.arrival(this.link))
    this.#wire.at(this.#lastArrivalMs, () => {
      this.#arrivals--
      if (this.#wire.isCut(this.link)) return
      this.#sent.shift()!()
      if (this.closed && this.#sent.length === 0) this.#wire.forget(this)
    })
  }
}
