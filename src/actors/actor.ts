// What an actor is: state that only its own turns touch, and the handlers that serve its messages.
// docs/actors.md shows how to write one.

import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Clock, Timer } from './clock.ts'
import type { HttpHandler } from './http.ts'
import type { BodyStream } from './http-stream.ts'
import type { ExitReason } from './mailbox.ts'
import type { MetricsScope } from './metrics.ts'
import type { Pid } from './pid.ts'
import type { Entries, Envelope, Handler, Protocol, Ref, Refs, Served } from './protocol.ts'

/** What the runtime gives to an actor when it is spawned. */
export interface Context {
  readonly self: Pid
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E>
  refs<E extends Entries>(definition: Protocol<E>, to: readonly Pid[]): Refs<E>
  delay(ms: number, run: () => unknown): Timer
  dispatch(run: () => unknown): void
  resume<T>(promise: Promise<T>): Promise<T>
  link(to: Pid, options?: LinkOptions): void
  unlink(to: Pid): void
  route(path: string, help: string, handler: HttpHandler): void
  stream(options: StreamOptions): BodyStream
  /** Names of its own go when it ends. */
  readonly metrics: MetricsScope
  /** How many events of a kind wait in its mailbox. */
  waiting(type: 'message' | 'dispatch' | 'http'): number
  spawn(actor: Actor, id?: string): Pid
  terminate(of: Pid, options?: TerminateOptions): void
  waitFor(of: Pid, options: WaitOptions): Promise<boolean>
  defer<A extends unknown[]>(run: (...args: A) => unknown): (...args: A) => void
}

export interface TerminateOptions {
  /** What waits in the mailbox is served first; otherwise it is dropped, and whoever asked is told so. */
  readonly drain?: boolean
}

export interface LinkOptions {
  /**
   * Whoever links doubts that the connection to that process, which looks open here, is still one. It is pinged at once, and given
   * up if nothing is heard for as long as a greeting may take (`greetingLimitMs`, 10 s): all links over it then break,
   * and the next message or link dials anew. Otherwise (libprocess' REUSE) a connection that is there is believed, and
   * one that died silently is found out by the ordinary pings.
   */
  readonly reconnect?: boolean
}

export interface WaitOptions {
  /** Milliseconds; without it there is no limit. */
  readonly timeoutMs?: number
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
  exited(pid: Pid, why: ExitReason): unknown
  /** Absent: handlers are called as they are. */
  [WRAP]?(name: string, handler: Handler): Handler
}

/** No name, since an actor may have a method of any name. */
export const WRAP = Symbol('wrap')

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
    // What is protected from others is the runtime's to call; a wrapper each would be a quarter of an idle actor's memory.
    return this as unknown as Hooks
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

  /**
   * A linked actor ended, failed, was never there, or cannot be reached any more (it may still live): `why` says which.
   * Once, however often it was linked; the link is gone then.
   */
  protected exited(_pid: Pid, _why: ExitReason): void | Promise<void> {}

  /** A typed address, for telling and asking. */
  protected ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    return this.context.ref(definition, to)
  }

  /** Typed addresses of many, for telling all of them the same: it is encoded once. */
  protected refs<E extends Entries>(definition: Protocol<E>, to: readonly Pid[]): Refs<E> {
    return this.context.refs(definition, to)
  }

  /** Runs `run` as an event of this actor in `ms` milliseconds, unless it has ended by then. */
  protected delay(ms: number, run: () => unknown): Timer {
    return this.context.delay(ms, run)
  }

  /**
   * Comes back, through the mailbox, in `ms` milliseconds, and never after the actor's end: for `await this.sleep(100)` in
   * the middle of a handler. Other events are served meanwhile.
   */
  protected sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.context.delay(ms, resolve))
  }

  /** Puts `run` at the end of this actor's mailbox. From outside of the actor, prefer `defer`. */
  protected dispatch(run: () => unknown): void {
    this.context.dispatch(run)
  }

  /**
   * For callbacks that others call: `child.on('exit', this.defer(status => …))`. Whoever calls what is returned puts
   * `run`, with those arguments, at the end of this actor's mailbox; after the actor's end nothing happens.
   */
  protected defer<A extends unknown[]>(run: (...args: A) => unknown): (...args: A) => void {
    return this.context.defer(run)
  }

  /** Makes a promise of the outside world (a disk, a child process) come back through the mailbox. */
  protected resume<T>(promise: Promise<T>): Promise<T> {
    return this.context.resume(promise)
  }

  /**
   * Serves a protocol by handing all of its messages over to another actor, as they are:
   * `serves = [serve(Mine, { … }), this.delegate(Theirs, () => this.#worker)]`. Answers go straight to whoever asked.
   */
  protected delegate<E extends Entries>(definition: Protocol<E>, to: () => Pid): Served {
    const handler = (name: keyof E) => (body: never, _: Pid, envelope: Envelope) =>
      this.ref(definition, to()).forward(envelope, name, body)
    const names = Object.keys(definition.entries)
    return {
      protocol: definition,
      handlers: Object.fromEntries(names.map(name => [name, handler(name)])),
    }
  }

  /** Asks to be told of an actor's end, by `exited`, once. One that is not there has ended: that is told at once. */
  protected link(to: Pid, options?: LinkOptions): void {
    this.context.link(to, options)
  }

  /** Nothing is heard of that actor's end any more, not even of one that waits in the mailbox already. */
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

  /** Starts another actor in this process. Throws if the id is taken. Its end is not tied to this one's; see `Supervisor`. */
  protected spawn(actor: Actor, id?: string): Pid {
    return this.context.spawn(actor, id)
  }

  /**
   * Ends an actor of this process; without an argument, this one, after the present turn. What waits in its mailbox is
   * dropped, or with `{ drain: true }` served before the end.
   */
  protected terminate(of: Pid = this.self, options?: TerminateOptions): void {
    this.context.terminate(of, options)
  }

  /**
   * Comes back when an actor of this process has ended: true; false if there is none, or it has not ended in time. An
   * actor that waits for itself waits for ever.
   */
  protected waitFor(of: Pid, options: WaitOptions = {}): Promise<boolean> {
    return this.context.waitFor(of, options)
  }
}
