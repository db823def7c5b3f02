// What an actor is: state that only its own turns touch, and the handlers that serve its messages.

import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Clock, Timer } from './clock.ts'
import type { HttpHandler } from './http.ts'
import type { BodyStream } from './http-stream.ts'
import type { MetricsScope } from './metrics.ts'
import type { Pid } from './pid.ts'
import type { Entries, Protocol, Ref, Served } from './protocol.ts'

/** What the runtime gives to an actor when it is spawned. */
export interface Context {
  readonly self: Pid
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E>
  delay(ms: number, run: () => unknown): Timer
  dispatch(run: () => unknown): void
  resume<T>(promise: Promise<T>): Promise<T>
  link(to: Pid): void
  unlink(to: Pid): void
  route(path: string, help: string, handler: HttpHandler): void
  stream(options: StreamOptions): BodyStream
  /** Names of its own go when it ends. */
  readonly metrics: MetricsScope
  /** How many events of a kind wait in its mailbox. */
  waiting(type: 'message' | 'dispatch' | 'http'): number
  spawn(actor: Actor, id?: string): Pid
  terminate(of: Pid): void
}

export interface StreamOptions {
  /** A client that leaves more than this unread is cut off. */
  readonly maxBufferedBytes?: number
  /** An event of the actor, once: the client has gone, or was cut off. */
  readonly onClosed?: (why: 'gone' | 'slow') => unknown
}

/** What the runtime calls. */
export interface Hooks {
  initialize(): unknown
  finalize(): void
  exited(pid: Pid): unknown
}

/** The runtime's way in; not for actors' authors. */
export const ATTACH = Symbol('attach')

/**
 * Subclass it, declare what it serves, and spawn it. One event is served at a time, in order, and to its end. A handler
 * may be `async`: what it awaits from `ask` or `resume` comes back through the mailbox, so its continuation is a turn
 * like any other, and never happens after the actor's end. Between two turns anything may have changed.
 */
export abstract class Actor {
  /** Conversations this actor takes part in: `[serve(SomeProtocol, { … })]`. */
  abstract readonly serves: readonly Served[]
  /** Ids are made from it when none is given: `prefix(1)`, `prefix(2)` … */
  readonly idPrefix: string = 'actor'
  /** What a thrown error ends: this actor alone, or (for those without which the process is useless) the process. */
  readonly failureEnds: 'actor' | 'process' = 'actor'

  #context: Context | undefined;

  [ATTACH](context: Context): Hooks {
    if (this.#context) throw new Error('an actor can be spawned once only')
    this.#context = context
    return {
      initialize: () => this.initialize(),
      finalize: () => this.finalize(),
      exited: pid => this.exited(pid),
    }
  }

  /** Everything below works from `initialize` on. */
  protected get context(): Context {
    if (!this.#context) throw new Error('the actor has not been spawned')
    return this.#context
  }

  get self(): Pid {
    return this.context.self
  }

  protected get clock(): Clock {
    return this.context.clock
  }

  protected get random(): Random {
    return this.context.random
  }

  protected get log(): Logger {
    return this.context.log
  }

  /** The first turn. */
  protected initialize(): void | Promise<void> {}

  /** The last turn: synchronous, nothing awaited in it comes back. */
  protected finalize(): void {}

  /** A linked actor ended, was never there, or cannot be reached any more (it may still live). Once, however often it was linked. */
  protected exited(_pid: Pid): void | Promise<void> {}

  /** A typed address, for telling and asking. */
  protected ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    return this.context.ref(definition, to)
  }

  /** Runs `run` as an event of this actor in `ms` milliseconds, unless it has ended by then. */
  protected delay(ms: number, run: () => unknown): Timer {
    return this.context.delay(ms, run)
  }

  /** Puts `run` at the end of this actor's mailbox. */
  protected dispatch(run: () => unknown): void {
    this.context.dispatch(run)
  }

  /** Makes a promise of the outside world (a disk, a child process) come back through the mailbox. */
  protected resume<T>(promise: Promise<T>): Promise<T> {
    return this.context.resume(promise)
  }

  protected link(to: Pid): void {
    this.context.link(to)
  }

  protected unlink(to: Pid): void {
    this.context.unlink(to)
  }

  /** Serves `/<id><path>`, and `<path>` itself if this actor is the process' delegate. */
  protected route(path: string, help: string, handler: HttpHandler): void {
    this.context.route(path, help, handler)
  }

  /**
   * A body for a response that goes on: `return { status: 200, stream }`, then write to it. It is broken off when the
   * actor ends.
   */
  protected stream(options: StreamOptions = {}): BodyStream {
    return this.context.stream(options)
  }

  /** Counters, gauges and timings of this actor, served at `/metrics`. They end with it. */
  protected get metrics(): MetricsScope {
    return this.context.metrics
  }

  protected spawn(actor: Actor, id?: string): Pid {
    return this.context.spawn(actor, id)
  }

  /** Ends an actor of this process; without an argument, this one, after the present turn. */
  protected terminate(of: Pid = this.self): void {
    this.context.terminate(of)
  }
}
