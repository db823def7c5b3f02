// From a sender to a mailbox: the same call for an actor next door and for one across the network.

import * as v from 'valibot'
import { formatBytes } from '../base/bytes.ts'
import type { Logger } from '../base/log.ts'
import type { Cell } from './cell.ts'
import type { Clock, Timer } from './clock.ts'
import { decode, encode } from './codec.ts'
import type { Complaints } from './complaints.ts'
import { type ActorFrame, FRAME } from './frames.ts'
import type { Links, LinksOptions } from './links.ts'
import { ManyRefs } from './many.ts'
import type { Reply } from './mailbox.ts'
import type { Peer } from './peer.ts'
import type { Peers } from './peers.ts'
import type { Address, Pid } from './pid.ts'
import {
  AskError,
  type AskFailure,
  type Entries,
  type Protocol,
  type Ref,
  type Refs,
} from './protocol.ts'
import { makeRef, NOBODY, type RefHost, type Target } from './refs.ts'

export interface DeliveryOptions extends LinksOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly complaints: Complaints
  readonly isolate: boolean
  readonly links: Links
}

interface Asked {
  readonly reply: Reply
  readonly response: v.GenericSchema
}

export class Delivery implements RefHost {
  readonly #o: DeliveryOptions
  readonly #isolate: boolean
  readonly #asked = new Map<number, Asked>()
  #nextAsk = 1
  /** The actor to which the last message from elsewhere went. */
  #lastReceiver: Cell | undefined
  /** Messages dropped because their body did not fit the protocol. */
  malformed = 0
  /** Messages dropped because one of them alone was larger than what the limits let travel. */
  oversized = 0
  /** Messages dropped because nobody has that id, or its actor does not know that message. */
  unknown = 0

  constructor(options: DeliveryOptions) {
    this.#o = options
    this.#isolate = options.isolate
  }

  /** Questions to other processes that have not been answered. */
  get questions(): number {
    return this.#asked.size
  }

  ref<E extends Entries>(definition: Protocol<E>, to: Pid, from: Cell | undefined): Ref<E> {
    return makeRef(this, this.#o.address, definition, to, from)
  }

  refs<E extends Entries>(
    definition: Protocol<E>,
    to: readonly Pid[],
    from: Cell | undefined,
  ): Refs<E> {
    return new ManyRefs(this, this.#o.address, definition, to, from)
  }

  get peers(): Peers {
    return this.#o.peers
  }

  wake(): void {
    this.#o.wake()
  }

  waiting(from: Cell | undefined): Pending {
    return new Pending(from)
  }

  asked(peer: Peer, reply: Reply, response: v.GenericSchema): number {
    const number = this.#nextAsk++
    this.#asked.set(number, { reply, response })
    peer.asks.add(number)
    return number
  }

  forget(number: number, address: Address): void {
    this.#asked.delete(number)
    this.#o.peers.find(address)?.asks.delete(number)
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

  received(peer: Peer, frame: ActorFrame): void {
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
        asked?.reply.fail(failureOf(frame[2]), frame[3])
        return
      }
      case FRAME.link:
        return this.#o.links.watched(peer, frame[1])
      case FRAME.unlink:
        return this.#o.links.unwatched(peer, frame[1])
      case FRAME.exited:
        return this.#o.links.exited(peer, frame[1], frame[2])
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

  limit(
    pending: Pending,
    asker: Cell | undefined,
    timeoutMs: number,
    what: string,
    forget: (() => void) | undefined,
  ): void {
    if (pending.done) return
    const expire = (): void => {
      forget?.()
      pending.fail('TIMEOUT', `no answer within ${timeoutMs} ms: ${what}`)
    }
    const { clock } = this.#o
    const fired = (done: () => void) => () => {
      done()
      expire()
    }
    pending.timer = asker
      ? asker.addTimer(done => clock.delay(timeoutMs, fired(done)))
      : clock.delay(timeoutMs, expire)
  }

  /** Loud, but no more than that: what others say to the same process has nothing to do with it. */
  tooLarge(peer: Peer, name: string): string {
    const text = `message larger than ${formatBytes(this.#o.peers.limits.maxMessageBytes)}, dropped`
    this.oversized++
    this.#o.complaints.warn(peer.label, { message: name }, text)
    return text
  }

  #respond(
    peer: Peer,
    frame: Extract<ActorFrame, { 0: typeof FRAME.reply | typeof FRAME.fail }>,
  ): void {
    const { sending } = this.#o.peers
    if (!sending.send(peer, frame)) {
      const text = this.tooLarge(peer, 'an answer')
      sending.send(peer, [FRAME.fail, frame[1], 'FAILED', `the answer is a ${text}`])
    }
    this.#o.wake()
  }

  local(target: Target, name: string, body: unknown, from: Pid, reply: Reply | undefined): void {
    const { id } = target
    // An id belongs to one actor at a time, and to none before that one has ended.
    if (!target.cell || target.cell.ended) {
      target.cell = this.#o.cell(id)
      target.served = undefined
    }
    const { cell } = target
    if (!cell) return this.#nobody(id, name, reply, from)
    if (!target.served || target.name !== name) {
      target.served = cell.handler(name)
      target.name = name
    }
    if (!target.served) return this.#refused(id, name, reply, from)
    const { served } = target
    const charge = undefined
    if (!this.#isolate) {
      return cell.enqueue({ type: 'message', served, body, from, reply, charge })
    }
    const { entry } = served
    cell.enqueue({
      type: 'message',
      served,
      body: copy(entry.request, body),
      from,
      reply: reply && {
        answer: value => reply.answer(entry.kind === 'call' ? copy(entry.response, value) : value),
        fail: (code, text) => reply.fail(code, text),
      },
      charge,
    })
  }

  #incoming(
    peer: Peer,
    id: string,
    fromId: string,
    name: string,
    body: unknown,
    reply: Reply | undefined,
  ): void {
    // Messages to one actor come in a row: comparing two short texts is less than finding one in a table.
    const last = this.#lastReceiver
    const cell = last?.id === id && !last.ended ? last : this.#o.cell(id)
    this.#lastReceiver = cell
    if (!cell) return this.#nobody(id, name, reply, peer)
    const served = cell.handler(name)
    if (!served || served.local) return this.#refused(id, name, reply, peer)
    const checked = v.safeParse(served.entry.request, body)
    if (!checked.success) {
      this.malformed++
      const issue = describe(checked.issues)
      this.#complain(peer, { to: id, message: name, issue }, 'malformed message dropped')
      reply?.fail('REFUSED', `${name}: ${issue}`)
      return
    }
    const from = fromId === '' ? NOBODY : peer.sender(fromId)
    const charge = peer.charge!
    charge.add()
    cell.enqueue({
      type: 'message',
      served,
      body: checked.output,
      from,
      reply,
      charge,
    })
  }

  #nobody(id: string, name: string, reply: Reply | undefined, from: Peer | Pid): void {
    this.unknown++
    this.#complain(
      from,
      { to: id, message: name },
      'message for an actor that is not here, dropped',
    )
    reply?.fail('NO_SUCH_ACTOR', `there is no actor ${id}@${this.#o.address}`)
  }

  #refused(id: string, name: string, reply: Reply | undefined, from: Peer | Pid): void {
    this.unknown++
    this.#complain(from, { to: id, message: name }, 'message that its actor does not know, dropped')
    reply?.fail('REFUSED', `${id} does not know the message ${name}`)
  }

  /** Loud about other processes, as far as `Complaints` lets it be. */
  #complain(from: Peer | Pid, fields: object, text: string): void {
    if (typeof from === 'string') this.#o.log.debug({ from, ...fields }, text)
    else this.#o.complaints.warn(from.label, fields, text)
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
}

/** An answer that is waited for: it settles at most once, and for an actor only inside one of its turns. */
class Pending implements Reply {
  readonly promise: Promise<unknown>
  timer: Timer | undefined
  #resolve!: (value: unknown) => void
  #reject!: (error: AskError) => void
  readonly #asker: Cell | undefined
  #done = false

  constructor(asker: Cell | undefined) {
    this.#asker = asker
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Whether it has settled, or is about to. */
  get done(): boolean {
    return this.#done
  }

  answer(value: unknown): void {
    this.#settle(() => this.#resolve(value))
  }

  fail(code: AskFailure, text: string): void {
    if (this.#done) return
    // Of two questions asked at once the second may fail while the first is awaited; that is no unhandled rejection.
    this.promise.catch(() => {})
    this.#settle(() => this.#reject(new AskError(code, text)))
  }

  #settle(run: () => void): void {
    if (this.#done) return
    this.#done = true
    this.timer?.cancel()
    if (this.#asker) this.#asker.enqueue({ type: 'resume', run })
    else run()
  }
}

/** What another process may say of a question; anything else it claims is no more than a failure. */
function failureOf(code: string): AskFailure {
  return code === 'NO_SUCH_ACTOR' || code === 'REFUSED' ? code : 'FAILED'
}

/** What arrives if it travels: nothing of the original, and only what its schema lets through. */
function copy(schema: v.GenericSchema, value: unknown): unknown {
  return v.parse(schema, decode(encode(value)))
}

function describe(issues: readonly v.BaseIssue<unknown>[]): string {
  const first = issues[0]!
  const path = v.getDotPath(first)
  return path ? `${path}: ${first.message}` : first.message
}
