// The runtime of one process: its actors, the order in which they are served, and the way to other processes.

import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { type Actor, ATTACH, type Context } from './actor.ts'
import { Cell } from './cell.ts'
import type { Clock } from './clock.ts'
import { Complaints } from './complaints.ts'
import { Delivery } from './delivery.ts'
import {
  findRoute,
  type HttpRequest,
  type HttpResponse,
  NOT_FOUND,
  splitPath,
  text,
} from './http.ts'
import { Links } from './links.ts'
import { DEFAULT_LIMITS, type Limits } from './peer.ts'
import { Peers } from './peers.ts'
import { type Address, addressOf, idOf, type Pid, pid } from './pid.ts'
import type { Entries, Protocol, Ref } from './protocol.ts'
import type { Transport } from './transport.ts'

export interface RuntimeOptions {
  /** `host:port` by which other processes know this one; port 0 when it does not listen. */
  readonly address: Address
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly log: Logger
  readonly limits?: Partial<Limits>
  /** Sends local messages through codec and schemas too, so that no two actors can share an object. For tests. */
  readonly isolate?: boolean
  /** An actor without which the process is useless has failed. */
  readonly fatal?: (actor: Pid, error: unknown) => void
}

/** Events served in a row before the loop lets sockets and timers have their turn. */
const BATCH = 2_000
/**
 * More events than this waiting, and nothing more is read from other processes; fewer than that, and reading goes on.
 * No turn ever waits for something to be read, so the backlog always shrinks.
 */
const PAUSE_ABOVE = 50_000
const RESUME_BELOW = 10_000

export class Runtime {
  readonly address: Address
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Id of the actor that serves paths which name no actor: `/state` is then `/<delegate>/state`. */
  delegate: string | undefined

  readonly #options: RuntimeOptions
  readonly #cells = new Map<string, Cell>()
  readonly #idCounts = new Map<string, number>()
  readonly #peers: Peers
  readonly #links: Links
  readonly #delivery: Delivery
  readonly #assets = new Map<string, HttpResponse>()
  #runnable: Cell[] = []
  #scheduled = false
  #running = false
  #paused = false

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.address = options.address
    this.clock = options.clock
    this.random = options.random
    this.log = options.log
    const complaints = new Complaints(options.log.child({ actor: 'peers' }), options.clock)
    this.#peers = new Peers({
      address: options.address,
      incarnation: options.random.uuid(),
      transport: options.transport,
      clock: options.clock,
      log: options.log.child({ actor: 'peers' }),
      complaints,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      host: {
        received: (peer, frame) => this.#delivery.received(peer, frame),
        lost: (peer, reason) => {
          this.#delivery.lost(peer, reason)
          this.#links.lost(peer)
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
  }

  /** Starts an actor. Its `initialize` is its first event. Throws if the id is taken. */
  spawn(actor: Actor, id?: string): Pid {
    const name = id ?? this.#generateId(actor.idPrefix)
    if (this.#cells.has(name)) throw new Error(`an actor with the id '${name}' exists already`)
    const self = pid(name, this.address)
    const log = this.log.child({ actor: name })
    const cell = new Cell(name, self, actor, log, {
      runnable: c => this.#enqueue(c),
      ended: c => {
        this.#cells.delete(c.id)
        this.#links.ended(c)
      },
      fatal: (c, error) => this.#options.fatal?.(c.pid, error),
    })
    cell.hooks = actor[ATTACH](this.#context(cell))
    this.#cells.set(name, cell)
    cell.enqueue({ type: 'dispatch', run: () => cell.hooks!.initialize() })
    return self
  }

  /** Ends an actor: at once, dropping what waits in its mailbox, or (`drain`) after all of that has been served. */
  terminate(of: Pid, options: { readonly drain?: boolean } = {}): void {
    const cell = this.#cells.get(idOf(of))
    if (!cell || addressOf(of) !== this.address) return
    if (options.drain) cell.enqueue({ type: 'terminate' })
    else cell.terminateNow()
  }

  /** Resolves when the actor has ended; false if there is none. */
  wait(of: Pid): Promise<boolean> {
    const cell = this.#cells.get(idOf(of))
    if (!cell || addressOf(of) !== this.address) return Promise.resolve(false)
    return new Promise(resolve => cell.waiters.push(() => resolve(true)))
  }

  /** A typed address for code that is no actor: answers come as plain promises. */
  ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    return this.#delivery.ref(definition, to, undefined)
  }

  /** Serves a fixed response at a path, such as a page's files; actors' routes come first. */
  provide(path: string, response: HttpResponse): void {
    this.#assets.set(path, response)
  }

  /** Answers an HTTP request: an actor's route, a provided asset, or 404. */
  http(request: HttpRequest): Promise<HttpResponse> {
    if (request.path === '/__processes__') return Promise.resolve(this.#processes())
    const target = splitPath(request.path, id => this.#cells.has(id), this.delegate)
    const cell = target && this.#cells.get(target.id)
    const route = cell && findRoute(cell.routes, target.rest)
    if (!cell || !route) return Promise.resolve(this.#assets.get(request.path) ?? NOT_FOUND)
    return new Promise(respond =>
      cell.enqueue({ type: 'http', request, handler: route.handler, respond }),
    )
  }

  /** Ids of all living actors. */
  get actors(): readonly string[] {
    return [...this.#cells.keys()]
  }

  /** Messages dropped since the start, and why. */
  get dropped(): { readonly malformed: number; readonly unknown: number } {
    return {
      malformed: this.#peers.malformed + this.#delivery.malformed,
      unknown: this.#delivery.unknown,
    }
  }

  /** Ends all actors and connections, and stops listening. */
  async shutdown(): Promise<void> {
    // More than once, since an actor may start another one in its last turn.
    while (this.#cells.size > 0) {
      const cells = [...this.#cells.values()]
      for (const cell of cells) cell.terminateNow()
      await Promise.all(cells.map(cell => this.wait(cell.pid)))
    }
    this.#peers.close()
    await this.#options.transport.close()
  }

  #generateId(prefix: string): string {
    const count = (this.#idCounts.get(prefix) ?? 0) + 1
    this.#idCounts.set(prefix, count)
    return `${prefix}(${count})`
  }

  #context(cell: Cell): Context {
    const { clock } = this
    return {
      self: cell.pid,
      clock,
      random: this.random,
      log: cell.log,
      ref: (definition, to) => this.#delivery.ref(definition, to, cell),
      delay: (ms, run) => {
        // Once it has fired it is an event in the mailbox, and one before it may still cancel it.
        let cancelled = false
        const event = { type: 'dispatch', run: () => (cancelled ? undefined : run()) } as const
        const timer = cell.addTimer(fired =>
          clock.delay(ms, () => {
            fired()
            cell.enqueue(event)
          }),
        )
        return {
          cancel: () => {
            cancelled = true
            timer.cancel()
          },
        }
      },
      dispatch: run => cell.enqueue({ type: 'dispatch', run }),
      resume: promise => this.#delivery.resume(cell, promise),
      link: to => this.#links.link(cell, to),
      unlink: to => this.#links.unlink(cell, to),
      route: (path, help, handler) => cell.routes.set(path, { path, help, handler }),
      spawn: (actor, id) => this.spawn(actor, id),
      terminate: of => this.terminate(of),
    }
  }

  #enqueue(cell: Cell): void {
    cell.queued = true
    this.#runnable.push(cell)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#running) return
    this.#scheduled = true
    this.clock.soon(() => this.#run())
  }

  /**
   * Serves runnable actors in turn, each with what it had when its turn came, then sends what they said. It stops where
   * continuations are ready to run, since they belong to the turn just served, and goes on after them.
   */
  #run(): void {
    this.#scheduled = false
    this.#running = true
    let served = 0
    let mustYield = false
    while (!mustYield && served < BATCH) {
      const cell = this.#runnable.shift()
      if (!cell) break
      let left = cell.mailbox.length
      while (left-- > 0 && !mustYield && served++ < BATCH) mustYield = cell.turn()
      cell.queued = cell.mailbox.length > 0
      if (cell.queued) this.#runnable.push(cell)
    }
    this.#running = false
    this.#peers.flush()
    if (this.#runnable.length > 0) this.#schedule()
    if (this.#paused || served >= BATCH) this.#limitBacklog()
  }

  #limitBacklog(): void {
    let waiting = 0
    for (const cell of this.#runnable) waiting += cell.mailbox.length
    if (waiting > PAUSE_ABOVE) this.#paused = true
    else if (waiting < RESUME_BELOW) this.#paused = false
    this.#peers.pause(this.#paused)
  }

  #processes(): HttpResponse {
    const rows = [...this.#cells.values()].map(cell => ({
      id: cell.id,
      events: cell.mailbox.peek().map(event => ({
        type: event.type.toUpperCase(),
        ...(event.type === 'message' && { name: event.name, from: event.from }),
      })),
    }))
    return { ...text(200, JSON.stringify(rows)), headers: { 'content-type': 'application/json' } }
  }
}
