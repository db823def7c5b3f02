// The runtime's side of one actor: its mailbox, its turn, and all that dies with it.

import { assert } from '../base/assert.ts'
import { type Logger, LogLines } from '../base/log.ts'
import { type Actor, type Hooks, type TerminateOptions, WRAP } from './actor.ts'
import type { Timer } from './clock.ts'
import { type FlightEntry, FlightRecorder, flightText, type FlightType } from './flight.ts'
import { type HttpResponse, type Route, text } from './http.ts'
import { type ActorEvent, Mailbox, type Reply, type Served, TERMINATE } from './mailbox.ts'
import type { Peer } from './peer.ts'
import type { Pid } from './pid.ts'
import type { Envelope, Protocol } from './protocol.ts'

/** What a cell needs of its runtime. */
export interface CellHost {
  /** When the batch began that is being served: whole milliseconds since `startMs`. */
  readonly nowMs: number
  readonly startMs: number
  /** The cell has work now and had none before. */
  runnable(cell: Cell): void
  /** The cell has ended: take it off the books and tell those who are linked to it. */
  ended(cell: Cell, why: 'ended' | 'failed'): void
  /** The process is useless without the actor that failed. */
  fatal(cell: Cell, error: unknown, lastEvents: readonly string[]): void
}

type Respond = (response: HttpResponse) => void

export class Cell {
  readonly id: string
  readonly pid: Pid
  readonly actor: Actor
  readonly mailbox = new Mailbox()
  // Collections come with their first member: most actors have few of them, and there may be a million actors.
  /** Pids this actor is linked to, and those whose end waits in its mailbox. */
  links: Set<Pid> | undefined
  /** Local actors that are linked to this one. */
  watchers: Set<Cell> | undefined
  /** Peers of which some actor is linked to this one. */
  remoteWatchers: Set<Peer> | undefined
  /** Called when it has ended. */
  waiters: Set<() => void> | undefined
  /** Ends what was made for the actor outside of it: streams, metrics. Most actors have none. */
  cleanups: Set<() => void> | undefined
  /** Whether the runtime has it in its queue of runnable cells. */
  queued = false
  ended = false
  hooks: Hooks | undefined

  readonly #host: CellHost
  readonly #parentLog: Logger
  #log: Logger | undefined
  /** What was looked up last: messages of a kind come in a row. */
  #lastServed: Served | undefined
  /** All that was looked up, once there were two kinds. */
  #served: Map<string, Served> | undefined
  #flight: FlightRecorder | undefined
  /** What served the latest event, if it was a message, and how many like it came after that one. */
  #noted: Served | undefined
  #repeats = 0
  #timers: Set<Timer> | undefined
  #routes: Map<string, Route> | undefined
  /** Questions and requests taken whose answer is still being worked on. */
  #unanswered: Set<Reply> | undefined
  #unresponded: Set<Respond> | undefined

  constructor(id: string, pid: Pid, actor: Actor, parentLog: Logger, host: CellHost) {
    this.id = id
    this.pid = pid
    this.actor = actor
    this.#parentLog = parentLog
    this.#host = host
    if (actor.serves.length > 1) this.#assertDistinct()
  }

  get log(): Logger {
    this.#log ??= this.#parentLog.child({ actor: this.id })
    return this.#log
  }

  get routes(): ReadonlyMap<string, Route> {
    return this.#routes ?? NO_ROUTES
  }

  addRoute(route: Route): void {
    this.#routes ??= new Map()
    this.#routes.set(route.path, route)
  }

  /** What serves a message, by its name on the wire; undefined if the actor does not know it. */
  handler(wire: string): Served | undefined {
    const last = this.#lastServed
    if (last === undefined) return (this.#lastServed = this.#find(wire))
    if (last.wire === wire) return last
    this.#served ??= new Map([[last.wire, last]])
    const known = this.#served.get(wire) ?? this.#find(wire)
    if (known === undefined) return undefined
    this.#served.set(known.wire, known)
    this.#lastServed = known
    return known
  }

  #find(wire: string): Served | undefined {
    for (const { protocol, handlers } of this.actor.serves) {
      const name = namesOf(protocol).get(wire)
      if (name === undefined) continue
      // The protocol's own text: what came over the wire is a part of something larger, which it would keep in memory.
      const own = protocol.wire[name]!
      const handler = handlers[name]!
      return {
        wire: own,
        entry: protocol.entries[name]!,
        handler: this.hooks?.[WRAP]?.(own, handler) ?? handler,
        local: protocol.local,
      }
    }
    return undefined
  }

  #assertDistinct(): void {
    const seen = new Set<string>()
    for (const wire of this.actor.serves.flatMap(({ protocol }) => Object.values(protocol.wire))) {
      assert(!seen.has(wire), `${this.pid} serves ${wire} twice`)
      seen.add(wire)
    }
  }

  enqueue(event: ActorEvent): void {
    if (this.ended) return refuse(event)
    this.mailbox.push(event)
    if (!this.queued) this.#host.runnable(this)
  }

  /** Puts its end in front of everything that waits, which is thereby dropped, or (`drain`) behind it. */
  terminate({ drain }: TerminateOptions = AT_ONCE): void {
    if (this.ended) return
    if (!drain) for (const event of this.mailbox.drain()) refuse(event)
    this.enqueue(TERMINATE)
  }

  /** Remembers a timer until it fires or the actor ends. An actor that has ended gets none. */
  addTimer(start: (fired: () => void) => Timer): Timer {
    if (this.ended) return NO_TIMER
    this.#timers ??= new Set()
    const timers = this.#timers
    const timer: Timer = start(() => timers.delete(timer))
    timers.add(timer)
    return {
      cancel: () => {
        timer.cancel()
        timers.delete(timer)
      },
    }
  }

  /**
   * Serves one event. True if promise continuations may now be waiting to run: they belong to this turn, so the
   * caller must let them run before it serves anything else.
   */
  turn(): boolean {
    const event = this.mailbox.shift()
    if (!event || this.ended) return false
    try {
      switch (event.type) {
        case 'message':
          return this.#message(event)
        case 'dispatch':
          this.#note('dispatch', event.name ?? 'call', '')
          this.#watch(event.run())
          // A timer may have resolved what a handler awaits: that continuation is part of this turn, too.
          return true
        case 'initialize':
          return this.#watch(this.hooks!.initialize())
        case 'resume':
          this.#note('resume', 'resume', '')
          event.run()
          return true
        case 'http':
          this.#note('http', event.request.path, event.request.method)
          return this.#http(event)
        case 'exited':
          this.#note('exited', event.pid, event.why)
          this.links?.delete(event.pid)
          return this.#watch(this.hooks!.exited(event.pid, event.why))
        case 'terminate':
          this.#note('terminate', 'terminate', '')
          this.#end('ended')
          return false
      }
    } catch (error) {
      this.fail(error)
      return false
    }
  }

  #noteMessage({ reply, served, from }: ActorEvent & { type: 'message' }): void {
    this.#note(reply ? 'ask' : 'message', served.wire, from)
    this.#noted = served
  }

  #note(type: FlightType, name: string, from: string): void {
    const { nowMs } = this.#host
    this.#noted = undefined
    const flight = this.#flight
    if (flight?.isOneMore(type, name, from)) {
      this.#repeats++
      return
    }
    if (flight) flight.note(type, name, from, nowMs, this.#repeats)
    else this.#flight = new FlightRecorder(type, name, from, nowMs)
    this.#repeats = 0
  }

  /** It has been served what it had in this batch. */
  served(): void {
    this.#flight?.mark(this.#host.nowMs, this.#repeats)
  }

  /** The last events it was served, oldest first; the first of all, `initialize`, is left out. */
  lastEvents(): readonly FlightEntry[] {
    const { startMs, nowMs } = this.#host
    return this.#flight?.entries(startMs, nowMs, this.#repeats) ?? []
  }

  #message(event: ActorEvent & { type: 'message' }): boolean {
    const { reply, served, charge } = event
    const { handler } = served
    if (charge !== undefined) charge.served()
    if (this.#noted !== served) this.#noteMessage(event)
    else this.#repeats++
    if (!reply) return this.#watch(handler(event.body as never, event.from, event))
    this.#unanswered ??= new Set()
    this.#unanswered.add(reply)
    const result = handler(event.body as never, event.from, event)
    if (!isPromise<unknown>(result)) {
      this.#answer(reply, result)
      return false
    }
    result.then(
      value => this.#answer(reply, value),
      error => this.fail(error),
    )
    return true
  }

  /** Gives a question away, with all that is owed to its asker; undefined if there is none, or it is answered. */
  handOver(envelope: Envelope): Reply | undefined {
    const { reply } = envelope as ActorEvent & { type: 'message' }
    return reply && this.#unanswered?.delete(reply) ? reply : undefined
  }

  #answer(reply: Reply, value: unknown): void {
    if (!this.#unanswered?.has(reply)) return
    try {
      reply.answer(value)
      this.#unanswered?.delete(reply)
    } catch (error) {
      // An answer that cannot be encoded. The asker still hears of it, since the question is unanswered.
      this.fail(error)
    }
  }

  #http(event: ActorEvent & { type: 'http' }): boolean {
    const { respond } = event
    this.#unresponded ??= new Set()
    this.#unresponded.add(respond)
    const done = (response: HttpResponse): void => {
      if (this.#unresponded?.delete(respond)) respond(response)
    }
    const failed = (error: unknown): void => {
      done(text(500, 'The request failed inside the server; its log says why.\n'))
      const { method, path } = event.request
      // Who only asks changes nothing (RFC 9110, 9.2.1): the actor is as good as it was before.
      if (method === 'GET' || method === 'HEAD') this.log.error({ error, path }, 'a request failed')
      else this.fail(error)
    }
    try {
      const result = event.handler(event.request)
      if (!isPromise(result)) {
        done(result)
        return false
      }
      result.then(done, failed)
      return true
    } catch (error) {
      failed(error)
      return false
    }
  }

  #watch(result: unknown): boolean {
    if (!isPromise<unknown>(result)) return false
    result.then(undefined, error => this.fail(error))
    return true
  }

  /** A handler threw: nothing can be said about the actor's state any more, so it ends. */
  fail(error: unknown): void {
    if (this.ended) return
    const lastEvents = this.lastEvents().map(flightText)
    this.log.error(
      { error, waiting: this.mailbox.length, last_events: new LogLines(lastEvents) },
      'the actor failed in one of its handlers and ends',
    )
    const { failureEnds } = this.actor
    this.#end('failed')
    if (failureEnds === 'process') this.#host.fatal(this, error, lastEvents)
  }

  #end(why: 'ended' | 'failed'): void {
    if (this.ended) return
    try {
      this.hooks?.finalize()
    } catch (error) {
      this.log.error({ error }, 'finalize failed')
    }
    this.ended = true
    for (const event of this.mailbox.drain()) refuse(event)
    for (const reply of this.#unanswered ?? NONE)
      reply.fail('FAILED', `${this.pid} ended before it answered`)
    this.#unanswered?.clear()
    for (const respond of this.#unresponded ?? NONE)
      respond(text(503, `${this.id} ended before it answered.\n`))
    this.#unresponded?.clear()
    for (const timer of this.#timers ?? NONE) timer.cancel()
    this.#timers?.clear()
    for (const clean of this.cleanups ?? NONE) clean()
    this.cleanups = undefined
    this.#host.ended(this, why)
    for (const done of this.waiters ?? NONE) done()
  }
}

/** Of each protocol, the entries' names by their names on the wire; shared by all who serve it. */
const NAMES = new WeakMap<Protocol, ReadonlyMap<string, string>>()

function namesOf(protocol: Protocol): ReadonlyMap<string, string> {
  let names = NAMES.get(protocol)
  if (!names) {
    names = new Map(Object.entries(protocol.wire).map(([name, wire]) => [wire, name]))
    NAMES.set(protocol, names)
  }
  return names
}

const AT_ONCE: TerminateOptions = {}
const NO_ROUTES: ReadonlyMap<string, Route> = new Map()
const NONE: readonly never[] = []
const NO_TIMER: Timer = { cancel: () => {} }

/** Tells whoever waits for an event's outcome that it will not be served. */
function refuse(event: ActorEvent): void {
  if (event.type === 'message') {
    event.charge?.served()
    event.reply?.fail('NO_SUCH_ACTOR', 'the actor has ended')
  } else if (event.type === 'http') event.respond(text(404, ''))
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
