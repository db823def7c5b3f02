// What an actor says, to one next door or to one across the network: the same calls, a class for each way.

import * as v from 'valibot'
import type { Cell } from './cell.ts'
import { FRAME } from './frames.ts'
import type { Reply, Served } from './mailbox.ts'
import { beginning } from './packing.ts'
import type { Peer } from './peer.ts'
import type { Peers } from './peers.ts'
import { type Address, addressOf, idOf, type Pid } from './pid.ts'
import type { Entries, Envelope, Protocol, Ref } from './protocol.ts'

/** The sender of what comes from no actor. */
export const NOBODY = '' as Pid

/** Where the local messages of a reference go: the actor found last, while it lives, and its last message's handler. */
export interface Target {
  readonly id: string
  cell: Cell | undefined
  name: string
  served: Served | undefined
}

/** A question that waits for its answer; the runtime settles it. */
export interface Waiting extends Reply {
  readonly promise: Promise<unknown>
}

/** What a reference needs of the runtime. */
export interface RefHost {
  readonly peers: Peers
  local(target: Target, name: string, body: unknown, from: Pid, reply: Reply | undefined): void
  waiting(from: Cell | undefined): Waiting
  /** Books a question to another process; its number. */
  asked(peer: Peer, reply: Reply, response: v.GenericSchema): number
  forget(number: number, address: Address): void
  /** What was to be said to `peer` is larger than a message may be. Returns what to tell him who asked. */
  tooLarge(peer: Peer, name: string): string
  limit(
    waiting: Waiting,
    asker: Cell | undefined,
    timeoutMs: number,
    what: string,
    forget: (() => void) | undefined,
  ): void
  /** Something was put in a peer's queue. */
  wake(): void
}

type Kind = typeof FRAME.tell | typeof FRAME.ask
type Options = { readonly timeoutMs?: number } | undefined
type Heads<E> = Map<keyof E, Uint8Array>

/** To an actor of this process. */
export class LocalRef<E extends Entries> implements Target {
  readonly pid: Pid
  readonly id: string
  cell: Cell | undefined = undefined
  name = ''
  served: Served | undefined = undefined
  readonly #wire: Readonly<Record<keyof E, string>>
  readonly #from: Cell | undefined
  readonly #host: RefHost

  constructor(host: RefHost, { wire }: Protocol<E>, to: Pid, from: Cell | undefined) {
    this.pid = to
    this.id = idOf(to)
    this.#wire = wire
    this.#from = from
    this.#host = host
  }

  tell(name: keyof E, message: unknown): void {
    const from = this.#from
    if (from?.ended) return
    this.#host.local(this, this.#wire[name], message, from?.pid ?? NOBODY, undefined)
  }

  ask(name: keyof E, request: unknown, options: Options): Promise<unknown> {
    const from = this.#from
    const waiting = this.#host.waiting(from)
    if (from?.ended) return waiting.promise
    this.#host.local(this, this.#wire[name], request, from?.pid ?? NOBODY, waiting)
    if (options?.timeoutMs !== undefined) {
      const what = `${String(name)} to ${this.pid}`
      this.#host.limit(waiting, from, options.timeoutMs, what, undefined)
    }
    return waiting.promise
  }

  /** The answer is the other's to give from now on; what comes back from here is no answer of this actor. */
  forward(envelope: Envelope, name: keyof E, body: unknown): void {
    const from = this.#from
    if (from?.ended) return
    this.#host.local(this, this.#wire[name], body, envelope.from, from?.handOver(envelope))
  }
}

/** To an actor of another process. */
export class RemoteRef<E extends Entries> {
  readonly pid: Pid
  readonly #definition: Protocol<E>
  readonly #address: Address
  readonly #id: string
  readonly #from: Cell | undefined
  readonly #host: RefHost
  /** Found last. One that has ended has been replaced, or will be; until then it is the one for its addresses. */
  #peer: Peer | undefined
  /** What a message begins with, encoded; the last one's, since messages of a kind come in a row. */
  #head: Uint8Array | undefined
  #headKind: Kind | undefined
  #headName: keyof E | undefined
  /** All beginnings, once there were two. */
  #heads: { readonly tells: Heads<E>; readonly asks: Heads<E> } | undefined

  constructor(host: RefHost, definition: Protocol<E>, to: Pid, from: Cell | undefined) {
    this.pid = to
    this.#definition = definition
    this.#address = addressOf(to)
    this.#id = idOf(to)
    this.#from = from
    this.#host = host
  }

  tell(name: keyof E, message: unknown): void {
    if (this.#from?.ended) return
    this.#tell(name, message)
  }

  ask(name: keyof E, request: unknown, options: Options): Promise<unknown> {
    const from = this.#from
    const host = this.#host
    const waiting = host.waiting(from)
    if (from?.ended) return waiting.promise
    const number = this.#ask(name, request, waiting)
    if (options?.timeoutMs !== undefined) {
      const what = `${String(name)} to ${this.pid}`
      const forget = (): void => host.forget(number, this.#address)
      host.limit(waiting, from, options.timeoutMs, what, forget)
    }
    return waiting.promise
  }

  forward(envelope: Envelope, name: keyof E, body: unknown): void {
    if (this.#from?.ended) return
    const reply = this.#from?.handOver(envelope)
    if (reply) this.#ask(name, body, reply)
    else this.#tell(name, body)
  }

  #tell(name: keyof E, message: unknown): void {
    const peer = this.#reach()
    if (!this.#say(peer, FRAME.tell, name, message, undefined)) {
      this.#host.tooLarge(peer, String(name))
    }
  }

  #ask(name: keyof E, request: unknown, reply: Reply): number {
    const host = this.#host
    const peer = this.#reach()
    const entry = this.#definition.entries[name]!
    const response = entry.kind === 'call' ? entry.response : v.never()
    const number = host.asked(peer, reply, response)
    let said = false
    try {
      said = this.#say(peer, FRAME.ask, name, request, number)
    } finally {
      if (!said) host.forget(number, this.#address)
    }
    if (!said) reply.fail('REFUSED', host.tooLarge(peer, String(name)))
    return number
  }

  #reach(): Peer {
    let peer = this.#peer
    if (peer === undefined || peer.state === 'ended') {
      peer = this.#peer = this.#host.peers.at(this.#address)
    }
    return peer
  }

  /** False if it is too large to be said. */
  #say(peer: Peer, kind: Kind, name: keyof E, body: unknown, number: number | undefined): boolean {
    if (this.#headName !== name || this.#headKind !== kind) this.#begin(kind, name)
    const { peers } = this.#host
    if (!peer.gatherParts(this.#head!, body, number, peers.limits)) return false
    peers.sending.gathered(peer)
    this.#host.wake()
    return true
  }

  #begin(kind: Kind, name: keyof E): void {
    const isFirst = this.#head === undefined
    const known = kind === FRAME.tell ? this.#heads?.tells : this.#heads?.asks
    let head = known?.get(name)
    if (!head) {
      const { wire } = this.#definition
      const from = this.#from?.id ?? ''
      head = beginning(kind === FRAME.tell ? 5 : 6, [kind, this.#id, from, wire[name]])
      // Many references say one thing only, and never come here again.
      if (!isFirst) {
        const all = (this.#heads ??= { tells: new Map(), asks: new Map() })
        ;(kind === FRAME.tell ? all.tells : all.asks).set(name, head)
      }
    }
    this.#head = head
    this.#headKind = kind
    this.#headName = name
  }
}

/** A reference that goes by the way its pid needs. */
export function makeRef<E extends Entries>(
  host: RefHost,
  here: Address,
  definition: Protocol<E>,
  to: Pid,
  from: Cell | undefined,
): Ref<E> {
  const at = to.length - here.length - 1
  const local = to.indexOf('@') === at && to.endsWith(here)
  const ref = local
    ? new LocalRef(host, definition, to, from)
    : new RemoteRef(host, definition, to, from)
  return ref as unknown as Ref<E>
}
