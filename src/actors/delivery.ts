// From a sender to a mailbox: the same call for an actor next door and for one across the network.

import * as v from 'valibot'
import type { Logger } from '../base/log.ts'
import type { Cell } from './cell.ts'
import type { Clock, Timer } from './clock.ts'
import { decode, encode } from './codec.ts'
import { FRAME, type Frame } from './frames.ts'
import type { Links, LinksOptions } from './links.ts'
import type { Reply } from './mailbox.ts'
import type { Peer } from './peer.ts'
import { addressOf, idOf, type Pid, pid } from './pid.ts'
import { AskError, type AskFailure, type Entries, type Protocol, type Ref } from './protocol.ts'

export interface DeliveryOptions extends LinksOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly isolate: boolean
  readonly links: Links
}

interface Asked {
  readonly reply: Reply
  readonly response: v.GenericSchema
}

/** The sender of what comes from no actor. */
const NOBODY = '' as Pid

export class Delivery {
  readonly #o: DeliveryOptions
  readonly #asked = new Map<number, Asked>()
  #nextAsk = 1
  /** Messages dropped because their body did not fit the protocol. */
  malformed = 0
  /** Messages dropped because nobody has that id, or its actor does not know that message. */
  unknown = 0

  constructor(options: DeliveryOptions) {
    this.#o = options
  }

  ref<E extends Entries>(definition: Protocol<E>, to: Pid, from: Cell | undefined): Ref<E> {
    const { wire, entries } = definition
    const local = addressOf(to) === this.#o.address
    const id = idOf(to)
    const sender = from?.pid ?? NOBODY
    return {
      pid: to,
      tell: (name, message) => {
        if (from?.ended) return
        if (local) this.#local(id, wire[name], message, sender, undefined)
        else {
          this.#remote(to, [FRAME.tell, id, from?.id ?? '', wire[name], message])
        }
      },
      ask: (name, request, options) => {
        const { promise, reply } = this.#pending(from, options?.timeoutMs, `${String(name)} to ${to}`)
        if (local) this.#local(id, wire[name], request, sender, reply)
        else {
          const number = this.#nextAsk++
          const entry = entries[name]!
          const response = entry.kind === 'call' ? entry.response : v.never()
          const peer = this.#o.peers.at(addressOf(to))
          this.#asked.set(number, { reply, response })
          peer.asks.add(number)
          this.#remote(to, [FRAME.ask, id, from?.id ?? '', wire[name], request, number])
        }
        return promise as never
      },
    }
  }

  /** Makes a promise settle inside a turn of the actor; once that has ended, it never settles. */
  resume<T>(cell: Cell, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        value => cell.enqueue({ type: 'resume', run: () => resolve(value) }),
        error => cell.enqueue({ type: 'resume', run: () => reject(error) }),
      )
    })
  }

  received(peer: Peer, frame: Frame): void {
    switch (frame[0]) {
      case FRAME.tell:
        return this.#incoming(peer, frame[1], frame[2], frame[3], frame[4], undefined)
      case FRAME.ask: {
        const number = frame[5]
        return this.#incoming(peer, frame[1], frame[2], frame[3], frame[4], {
          answer: value => this.#respond(peer, [FRAME.reply, number, value]),
          fail: (code, text) => this.#respond(peer, [FRAME.fail, number, code, text]),
        })
      }
      case FRAME.reply:
        return this.#answered(peer, frame[1], frame[2])
      case FRAME.fail: {
        const asked = this.#take(peer, frame[1])
        asked?.reply.fail(frame[2], frame[3])
        return
      }
      case FRAME.link:
        return this.#o.links.watched(peer, frame[1])
      case FRAME.unlink:
        return this.#o.links.unwatched(peer, frame[1])
      case FRAME.exited:
        return this.#o.links.exited(peer, frame[1])
    }
  }

  /** The peer is gone: what it was asked, and may or may not have done, stays unanswered. */
  lost(peer: Peer, reason: string): void {
    for (const number of peer.asks) {
      const asked = this.#asked.get(number)
      this.#asked.delete(number)
      asked?.reply.fail('DISCONNECTED', `no connection to ${peer.label}: ${reason}`)
    }
    peer.asks.clear()
  }

  #remote(to: Pid, frame: Frame): void {
    this.#o.peers.send(this.#o.peers.at(addressOf(to)), frame)
    this.#o.wake()
  }

  #respond(peer: Peer, frame: Frame): void {
    this.#o.peers.send(peer, frame)
    this.#o.wake()
  }

  #local(id: string, name: string, body: unknown, from: Pid, reply: Reply | undefined): void {
    const cell = this.#o.cell(id)
    if (!cell) return this.#nobody(id, name, reply, from)
    const served = cell.handlers.get(name)
    if (!served) return this.#refused(id, name, reply, from)
    let given = body
    if (this.#o.isolate) given = v.parse(served.entry.request, decode(encode(body)))
    cell.enqueue({ type: 'message', name, handler: served.handler, body: given, from, reply })
  }

  #incoming(
    peer: Peer,
    id: string,
    fromId: string,
    name: string,
    body: unknown,
    reply: Reply | undefined,
  ): void {
    const cell = this.#o.cell(id)
    if (!cell) return this.#nobody(id, name, reply, peer)
    const served = cell.handlers.get(name)
    if (!served) return this.#refused(id, name, reply, peer)
    const checked = v.safeParse(served.entry.request, body)
    if (!checked.success) {
      this.malformed++
      const issue = describe(checked.issues)
      if (!peer.complained) {
        peer.complained = true
        this.#o.log.warn({ peer: peer.label, to: id, message: name, issue }, 'malformed message dropped')
      }
      reply?.fail('REFUSED', `${name}: ${issue}`)
      return
    }
    const from = fromId === '' ? NOBODY : pid(fromId, peer.address)
    const { handler } = served
    cell.enqueue({ type: 'message', name, handler, body: checked.output, from, reply })
  }

  #nobody(id: string, name: string, reply: Reply | undefined, from: Peer | Pid): void {
    this.unknown++
    this.#complain(from, { to: id, message: name }, 'message for an actor that is not here, dropped')
    reply?.fail('NO_SUCH_ACTOR', `there is no actor ${id}@${this.#o.address}`)
  }

  #refused(id: string, name: string, reply: Reply | undefined, from: Peer | Pid): void {
    this.unknown++
    this.#complain(from, { to: id, message: name }, 'message that its actor does not know, dropped')
    reply?.fail('REFUSED', `${id} does not know the message ${name}`)
  }

  /** Loud once for each peer; after that only counted, so that nobody fills the log from outside. */
  #complain(from: Peer | Pid, fields: object, text: string): void {
    if (typeof from === 'string') return this.#o.log.debug({ from, ...fields }, text)
    if (from.complained) return
    from.complained = true
    this.#o.log.warn({ peer: from.label, ...fields }, text)
  }

  #answered(peer: Peer, number: number, body: unknown): void {
    const asked = this.#take(peer, number)
    if (!asked) return
    const checked = v.safeParse(asked.response, body)
    if (checked.success) asked.reply.answer(checked.output)
    else asked.reply.fail('FAILED', `the answer has the wrong shape: ${describe(checked.issues)}`)
  }

  /** Only the peer that was asked can answer. */
  #take(peer: Peer, number: number): Asked | undefined {
    if (!peer.asks.delete(number)) return undefined
    const asked = this.#asked.get(number)
    this.#asked.delete(number)
    return asked
  }

  /** A promise for an answer that settles inside a turn of the asker, at most once. */
  #pending(
    asker: Cell | undefined,
    timeoutMs: number | undefined,
    what: string,
  ): { promise: Promise<unknown>; reply: Reply } {
    let settle: Reply | undefined
    const promise = new Promise<unknown>((resolve, reject) => {
      const later = (run: () => void): void => {
        if (asker) asker.enqueue({ type: 'resume', run })
        else run()
      }
      settle = {
        answer: value => later(() => resolve(value)),
        fail: (code, text) => later(() => reject(new AskError(code, text))),
      }
    })
    let done = false
    let timer: Timer | undefined
    const once = (run: () => void): void => {
      if (done) return
      done = true
      timer?.cancel()
      run()
    }
    const reply: Reply = {
      answer: value => once(() => settle!.answer(value)),
      fail: (code: AskFailure, text) => once(() => settle!.fail(code, text)),
    }
    if (timeoutMs !== undefined) {
      const expire = (fired?: () => void) =>
        this.#o.clock.delay(timeoutMs, () => {
          fired?.()
          reply.fail('TIMEOUT', `no answer within ${timeoutMs} ms: ${what}`)
        })
      timer = asker ? asker.addTimer(expire) : expire()
    }
    return { promise, reply }
  }
}

function describe(issues: readonly v.BaseIssue<unknown>[]): string {
  const first = issues[0]!
  const path = v.getDotPath(first as v.BaseIssue<unknown>)
  return path ? `${path}: ${first.message}` : first.message
}
