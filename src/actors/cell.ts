// The runtime's side of one actor: its mailbox, its turn, and all that dies with it.

import { assert } from '../base/assert.ts'
import type { Logger } from '../base/log.ts'
import type { Actor, Hooks } from './actor.ts'
import type { Timer } from './clock.ts'
import { type HttpResponse, type Route, text } from './http.ts'
import { type ActorEvent, type Handler, Mailbox, type Reply } from './mailbox.ts'
import type { Peer } from './peer.ts'
import type { Pid } from './pid.ts'
import type { Entry, Protocol } from './protocol.ts'

/** What a cell needs of its runtime. */
export interface CellHost {
  /** The cell has work now and had none before. */
  runnable(cell: Cell): void
  /** The cell has ended: take it off the books and tell those who are linked to it. */
  ended(cell: Cell): void
  /** The process is useless without the actor that failed. */
  fatal(cell: Cell, error: unknown): void
}

export interface Served {
  readonly entry: Entry
  readonly handler: Handler
  /** For actors of this process only. */
  readonly local: boolean
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
  waiters: (() => void)[] | undefined
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
  #lastWire: string | undefined
  #lastServed: Served | undefined
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
    if (this.#lastServed !== undefined && this.#lastWire === wire) return this.#lastServed
    for (const { protocol, handlers } of this.actor.serves) {
      const name = namesOf(protocol).get(wire)
      if (name === undefined) continue
      const entry = protocol.entries[name]!
      this.#lastServed = { entry, handler: handlers[name]!, local: protocol.local }
      this.#lastWire = wire
      return this.#lastServed
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

  /** Puts the end in front of everything that waits, which is thereby dropped. */
  terminateNow(): void {
    if (this.ended) return
    for (const event of this.mailbox.drain()) refuse(event)
    this.enqueue({ type: 'terminate' })
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
          this.#watch(event.run())
          // A timer may have resolved what a handler awaits: that continuation is part of this turn, too.
          return true
        case 'resume':
          event.run()
          return true
        case 'http':
          return this.#http(event)
        case 'exited':
          this.links?.delete(event.pid)
          return this.#watch(this.hooks!.exited(event.pid))
        case 'terminate':
          this.#end()
          return false
      }
    } catch (error) {
      this.fail(error)
      return false
    }
  }

  #message(event: ActorEvent & { type: 'message' }): boolean {
    const { reply } = event
    if (!reply) return this.#watch(event.handler(event.body as never, event.from))
    this.#unanswered ??= new Set()
    this.#unanswered.add(reply)
    const result = event.handler(event.body as never, event.from)
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
      this.fail(error)
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
    this.log.error(
      { error, waiting: this.mailbox.length },
      'the actor failed in one of its handlers and ends',
    )
    const { failureEnds } = this.actor
    this.#end()
    if (failureEnds === 'process') this.#host.fatal(this, error)
  }

  #end(): void {
    if (this.ended) return
    try {
      this.hooks?.finalize()
    } catch (error) {
      this.log.error({ error }, 'finalize failed')
    }
    this.ended = true
    for (const event of this.mailbox.drain()) refuse(event)
    for (const reply of this.#unanswered ?? [])
      reply.fail('FAILED', `${this.pid} ended before it answered`)
    this.#unanswered?.clear()
    for (const respond of this.#unresponded ?? [])
      respond(text(503, `${this.id} ended before it answered.\n`))
    this.#unresponded?.clear()
    for (const timer of this.#timers ?? []) timer.cancel()
    this.#timers?.clear()
    for (const clean of this.cleanups ?? []) clean()
    this.cleanups = undefined
    this.#host.ended(this)
    for (const done of this.waiters ?? []) done()
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

const NO_ROUTES: ReadonlyMap<string, Route> = new Map()
const NO_TIMER: Timer = { cancel: () => {} }

/** Tells whoever waits for an event's outcome that it will not be served. */
function refuse(event: ActorEvent): void {
  if (event.type === 'message') event.reply?.fail('NO_SUCH_ACTOR', 'the actor has ended')
  else if (event.type === 'http') event.respond(text(404, ''))
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
