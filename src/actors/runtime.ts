// The runtime of one process: its actors, the order in which they are served, and the way to other processes.

import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { type Actor, ATTACH, type TerminateOptions, type WaitOptions } from './actor.ts'
import { Builtins } from './builtins.ts'
import { Cell, type CellHost } from './cell.ts'
import { CellContext, type ContextHost } from './cell-context.ts'
import type { Clock, Timer } from './clock.ts'
import { Complaints } from './complaints.ts'
import { Delivery } from './delivery.ts'
import { Firewall, type FirewallRules } from './firewall.ts'
import {
  findRoute,
  type HttpRequest,
  type HttpResponse,
  NOT_FOUND,
  splitPath,
  text,
  withJsonp,
} from './http.ts'
import { Links } from './links.ts'
import { INITIALIZE } from './mailbox.ts'
import { Metrics } from './metrics.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { Peers } from './peers.ts'
import { type Address, addressOf, idOf, type Pid, pid } from './pid.ts'
import type { Entries, Protocol, Ref, Refs } from './protocol.ts'
import type { RuntimeOptions, SpawnOptions } from './runtime-options.ts'

/** Events served in a row before the loop lets sockets and timers have their turn. */
const BATCH = 2_000
/** Bytes sent in a row before it does: only then do the sockets get on with them. */
const BATCH_BYTES = 1024 * 1024
/**
 * More events than this waiting that nobody is charged for (backlog.ts), such as what actors here say to each other, and
 * nothing more is read from other processes; fewer than that, and reading goes on.
 */
const PAUSE_ABOVE = 50_000
const RESUME_BELOW = 10_000
/** Cells taken from the queue of runnable ones before their places are given back. */
const MOVE_AT = 1_024

/** Runs that were cut short by continuations, before what they said is sent without waiting for the next. */
const MOST_UNSENT_RUNS = 32

export class Runtime {
  readonly address: Address
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics = new Metrics()
  /** Id of the actor that serves paths which name no actor: `/state` is then `/<delegate>/state`. */
  delegate: string | undefined

  readonly #options: RuntimeOptions
  readonly #cells = new Map<string, Cell>()
  readonly #idCounts = new Map<string, number>()
  readonly #peers: Peers
  readonly #links: Links
  readonly #delivery: Delivery
  readonly #assets = new Map<string, HttpResponse>()
  readonly #firewall = new Firewall()
  readonly #builtins: Builtins
  readonly #cellHost: CellHost & { nowMs: number }
  readonly #contextHost: ContextHost
  /** A queue from `#firstRunnable` on: taking from it moves nothing, and a million may stand in it. */
  #runnable: (Cell | undefined)[] = []
  #firstRunnable = 0
  #scheduled = false
  /** Continuations of the turn served last may still be waiting to run. */
  #yielding = false
  #running = false
  #paused = false

  /** Events served since sockets and timers were let have their turn. */
  #servedInARow = 0
  /** Runs since what was said was sent. */
  #unsentRuns = 0
  readonly #runSoon = (): void => {
    this.#scheduled = false
    this.#run()
  }

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.address = options.address
    this.clock = options.clock
    this.random = options.random
    this.log = options.log
    this.#builtins = new Builtins({
      clock: options.clock,
      log: options.log,
      metrics: this.metrics,
      cells: () => this.#cells.values(),
      ...(options.profiler && { profiler: options.profiler }),
      ...(options.system && { system: options.system }),
    })
    this.#countDropped()
    const complaints = new Complaints(options.log.child({ actor: 'peers' }), options.clock)
    this.#peers = new Peers({
      address: options.address,
      incarnation: options.random.uuid(),
      transport: options.transport,
      clock: options.clock,
      log: options.log.child({ actor: 'peers' }),
      complaints,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      metrics: this.metrics,
      ...(options.authenticator && { authenticator: options.authenticator }),
      host: {
        received: (peer, frame) => this.#delivery.received(peer, frame),
        delivered: () => this.#runNow(),
        lost: (peer, reason) => {
          this.#delivery.lost(peer, reason)
          this.#links.lost(peer, reason)
        },
      },
    })
    const shared = {
      address: options.address,
      clock: options.clock,
      log: options.log.child({ actor: 'runtime' }),
      complaints,
      peers: this.#peers,
      isolate: options.isolate ?? false,
      cell: (id: string) => this.#cells.get(id),
      wake: () => this.#schedule(),
    }
    this.#links = new Links(shared)
    this.#delivery = new Delivery({ ...shared, links: this.#links })
    this.#cellHost = {
      nowMs: 0,
      startMs: options.clock.now(),
      runnable: cell => this.#enqueue(cell),
      ended: (cell, why) => {
        this.#cells.delete(cell.id)
        this.#links.ended(cell, why)
      },
      fatal: (cell, error, lastEvents) => options.fatal?.(cell.pid, error, lastEvents),
    }
    this.#contextHost = {
      clock: options.clock,
      random: options.random,
      metrics: this.metrics,
      links: this.#links,
      delivery: this.#delivery,
      spawn: (actor, id) => this.spawn(actor, id),
      terminate: (of, options) => this.terminate(of, options),
      wait: (of, timer) => this.#wait(of, timer),
    }
  }

  /**
   * Starts an actor. Its `initialize` is its first event. Throws if the id is taken. `record`: what happens to it is
   * written down, for a replay.
   */
  spawn(actor: Actor, id?: string, { record }: SpawnOptions = {}): Pid {
    const name = id ?? this.#generateId(actor.idPrefix)
    if (this.#cells.has(name)) throw new Error(`an actor with the id '${name}' exists already`)
    const self = pid(name, this.address)
    const cell = new Cell(name, self, actor, this.log, this.#cellHost)
    const context = new CellContext(cell, this.#contextHost)
    const recorder = record ?? this.#options.record?.(name)
    cell.hooks = recorder
      ? recorder.hooks(actor[ATTACH](recorder.attach(context, actor.constructor.name)))
      : actor[ATTACH](context)
    this.#cells.set(name, cell)
    cell.enqueue(INITIALIZE)
    return self
  }

  /**
   * Ends an actor of this process: at once, dropping what waits in its mailbox, or (`drain`) after all of that has been
   * served. A turn that is being served runs to its end. Nothing happens if there is no such actor.
   */
  terminate(of: Pid, options: TerminateOptions = {}): void {
    const cell = this.#cells.get(idOf(of))
    if (!cell || addressOf(of) !== this.address) return
    cell.terminate(options)
  }

  /**
   * Resolves to true when the actor has ended; to false if this process has none of that name, or if it has not ended
   * after `timeoutMs`.
   */
  wait(of: Pid, { timeoutMs }: WaitOptions = {}): Promise<boolean> {
    if (timeoutMs === undefined) return this.#wait(of)
    return this.#wait(of, run => this.clock.delay(timeoutMs, run))
  }

  #wait(of: Pid, startTimer?: (run: () => void) => Timer): Promise<boolean> {
    const cell = this.#cells.get(idOf(of))
    if (!cell || addressOf(of) !== this.address) return Promise.resolve(false)
    return new Promise(resolve => {
      const waiters = (cell.waiters ??= new Set())
      const done = (): void => {
        timer?.cancel()
        resolve(true)
      }
      waiters.add(done)
      const timer = startTimer?.(() => {
        waiters.delete(done)
        resolve(false)
      })
    })
  }

  /** A typed address for code that is no actor: answers come as plain promises. */
  ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    return this.#delivery.ref(definition, to, undefined)
  }

  /** The same for many, who are told the same. */
  refs<E extends Entries>(definition: Protocol<E>, to: readonly Pid[]): Refs<E> {
    return this.#delivery.refs(definition, to, undefined)
  }

  /** Serves a fixed response at a path, such as a page's files; actors' routes come first. */
  provide(path: string, response: HttpResponse): void {
    this.#assets.set(path, response)
  }

  /** Which endpoints are refused from now on. */
  installFirewall(rules: FirewallRules): void {
    this.#firewall.install(rules)
  }

  /** Answers an HTTP request: what every process serves, an actor's route, a provided asset, or 404. */
  async http(request: HttpRequest): Promise<HttpResponse> {
    try {
      return withJsonp(request, await this.#answer(request))
    } catch (error) {
      // What every process serves failed; a failing actor's request has been answered.
      this.log.error({ error, path: request.path }, 'a request failed')
      return text(500, 'The request failed inside the server; its log says why.\n')
    }
  }

  #answer(request: HttpRequest): HttpResponse | Promise<HttpResponse> {
    const { path } = request
    const target = splitPath(path, id => this.#cells.has(id), this.delegate)
    const cell = target && this.#cells.get(target.id)
    const own = cell && findRoute(cell.routes, target.rest)
    const builtin = this.#builtins.find(path)
    const route = builtin && !(builtin.yields && own) ? builtin : own
    const endpoints =
      own && route === own
        ? [`/${cell.id}${own.path}`, `/${cell.id}${target.rest}`]
        : [route?.path ?? path]
    if (this.#firewall.refuses(endpoints, this.delegate)) {
      return text(403, `Endpoint '${path}' is disabled`)
    }
    if (!route) return this.#assets.get(path) ?? NOT_FOUND
    const { handler } = route
    if (route !== own) return handler(request)
    return new Promise(respond => cell!.enqueue({ type: 'http', request, handler, respond }))
  }

  /** Ids of all living actors. */
  get actors(): readonly string[] {
    return [...this.#cells.keys()]
  }

  /** What ties this process to others: links of its actors, and questions that wait for their answers. */
  get ties(): { readonly links: number; readonly questions: number } {
    return { links: this.#links.count, questions: this.#delivery.questions }
  }

  /** Who the process at an address has proved to be; undefined if it is not connected, or nobody proves anything here. */
  principalOf(address: Address): string | undefined {
    return this.#peers.find(address)?.principal
  }

  #countDropped(): void {
    for (const why of ['malformed', 'unknown', 'oversized'] as const) {
      this.metrics.gauge(`actors/dropped/${why}`, () => this.dropped[why])
    }
  }

  /** Messages dropped since the start, and why. */
  get dropped(): {
    readonly malformed: number
    readonly unknown: number
    readonly oversized: number
  } {
    return {
      malformed: this.#peers.malformed + this.#delivery.malformed,
      oversized: this.#delivery.oversized,
      unknown: this.#delivery.unknown,
    }
  }

  /** Ends all actors and connections, and stops listening. */
  async shutdown(): Promise<void> {
    // More than once, since an actor may start another one in its last turn.
    while (this.#cells.size > 0) {
      const cells = [...this.#cells.values()]
      for (const cell of cells) cell.terminate()
      await Promise.all(cells.map(cell => this.wait(cell.pid)))
    }
    this.#builtins.close()
    this.#peers.close()
    await this.#options.transport.close()
  }

  #generateId(prefix: string): string {
    const count = (this.#idCounts.get(prefix) ?? 0) + 1
    this.#idCounts.set(prefix, count)
    return `${prefix}(${count})`
  }

  #enqueue(cell: Cell): void {
    cell.queued = true
    this.#runnable.push(cell)
    this.#schedule()
  }

  #nextRunnable(): Cell | undefined {
    const cell = this.#runnable[this.#firstRunnable]
    if (!cell) return undefined
    this.#runnable[this.#firstRunnable++] = undefined
    if (this.#firstRunnable >= MOVE_AT && this.#firstRunnable * 2 >= this.#runnable.length) {
      this.#runnable = this.#runnable.slice(this.#firstRunnable)
      this.#firstRunnable = 0
    }
    return cell
  }

  #schedule(letOthers = false): void {
    if (this.#scheduled || this.#running) return
    this.#scheduled = true
    this.clock.soon(this.#runSoon, letOthers)
  }

  /**
   * Serves what a message brought before the next one is read: its objects then die young, and an answer leaves without
   * another round of the loop. Where continuations of a turn are still to run, it waits for them.
   */
  #runNow(): void {
    if (!this.#running && !this.#yielding) this.#run()
  }

  /**
   * Serves runnable actors in turn, each with what it had when its turn came, then sends what they said. It stops where
   * continuations are ready to run, since they belong to the turn just served, and goes on after them.
   */
  #run(): void {
    this.#running = true
    this.#cellHost.nowMs = Math.round(this.clock.now() - this.#cellHost.startMs)
    let served = 0
    let mustYield = false
    // An actor whose turns are asynchronous never serves a whole batch, however long its mailbox has become.
    let crowded = false
    while (!mustYield && served < BATCH && this.#peers.sending.sentEarlyBytes < BATCH_BYTES) {
      const cell = this.#nextRunnable()
      if (!cell) break
      let left = cell.mailbox.length
      while (left-- > 0 && !mustYield && served++ < BATCH) mustYield = cell.turn()
      cell.served()
      cell.queued = cell.mailbox.length > 0
      if (cell.queued) this.#runnable.push(cell)
      crowded ||= cell.mailbox.length > RESUME_BELOW
    }
    this.#running = false
    this.#servedInARow += served
    const letOthers =
      this.#servedInARow >= BATCH || this.#peers.sending.sentEarlyBytes >= BATCH_BYTES
    // What continuations say belongs to this turn. They run at once, so it can wait for them, and they for their like.
    if (mustYield && !letOthers && this.#unsentRuns < MOST_UNSENT_RUNS) this.#unsentRuns++
    else {
      this.#unsentRuns = 0
      this.#peers.sending.flush()
    }
    this.#yielding = mustYield
    if (mustYield || this.#runnable.length > this.#firstRunnable) {
      if (letOthers) this.#servedInARow = 0
      this.#schedule(letOthers)
    }
    if (this.#paused || crowded || served >= BATCH) this.#limitBacklog()
    if (this.#peers.backlog.paused > 0) this.#peers.backlog.review()
  }

  #limitBacklog(): void {
    // Each has one event at least: a million of them need no counting.
    const charged = this.#peers.backlog.events
    let waiting = this.#runnable.length - this.#firstRunnable - charged
    if (waiting <= PAUSE_ABOVE) waiting = -charged
    for (let at = this.#firstRunnable; at < this.#runnable.length && waiting <= PAUSE_ABOVE; at++) {
      waiting += this.#runnable[at]!.mailbox.length
    }
    if (waiting > PAUSE_ABOVE) this.#paused = true
    else if (waiting < RESUME_BELOW) this.#paused = false
    this.#peers.pause(this.#paused)
  }
}
