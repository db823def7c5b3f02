// A whole cluster in one process: many runtimes under one virtual clock, one network, one seed.

import type { Authenticator } from '../actors/authenticator.ts'
import type { Limits } from '../actors/limits.ts'
import type { Address } from '../actors/pid.ts'
import { Runtime } from '../actors/runtime.ts'
import type { RuntimeOptions } from '../actors/runtime-options.ts'
import type { Logger } from '../base/log.ts'
import { type Random, SeededRandom } from '../base/random.ts'
import type { NetworkTape } from './network-tape.ts'
import { type ProcessClock, type Skew, VirtualClock } from './virtual-clock.ts'
import { type Cut, VirtualNetwork } from './virtual-network.ts'

export interface WorldOptions {
  readonly seed?: number
  /** One-way latency range in milliseconds. */
  readonly latencyMs?: readonly [number, number]
  readonly log: Logger
  /** Of connections, where other than the real ones. */
  readonly limits?: Partial<Limits>
  /** How a process proves who it is, with chance that is its own; undefined: it does not. Default: none does. */
  readonly authenticator?: (address: Address, random: Random) => Authenticator | undefined
  /** Sends what actors of one process say to each other through codec and schemas too. Default true. */
  readonly isolate?: boolean
  /** What the network of an earlier world did (`world.network.record()`), to be done again. */
  readonly replay?: NetworkTape
  /** Hears of each problem that a check found. Default: the next `settle`, `advance` or `until` rejects with it. */
  readonly onProblem?: (text: string) => void
}

export interface Fatality {
  readonly actor: string
  readonly error: unknown
  /** What the actor was served last, a line each, oldest first. */
  readonly lastEvents: readonly string[]
}

/** What a process does when it starts, with a new runtime each time. */
export type Boot = (runtime: Runtime) => void

export interface StartOptions extends Pick<RuntimeOptions, 'record'> {
  /** Runs at once, and again at each `restart`. */
  readonly boot?: Boot
}

/** Answers with what does not hold, one line each; nothing, or undefined, if all does. */
export type Check = () => readonly string[] | undefined

interface Host {
  readonly runtime: Runtime
  readonly clock: ProcessClock
  readonly options: StartOptions
  state: 'alive' | 'stopped' | 'crashed'
}

export class World {
  readonly seed: number
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly network: VirtualNetwork
  readonly #hosts = new Map<Address, Host>()
  readonly #skews = new Map<Address, Skew>()
  readonly #checks = new Map<string, Check>()
  readonly #log: Logger
  readonly #limits: Partial<Limits> | undefined
  readonly #authenticator: WorldOptions['authenticator']
  readonly #isolate: boolean
  readonly #onProblem: ((text: string) => void) | undefined
  #problems: string[] = []
  /** What failed and would have ended its process. */
  readonly fatalities: Fatality[] = []

  constructor(options: WorldOptions) {
    this.seed = options.seed ?? 1
    this.#log = options.log
    this.#limits = options.limits
    this.#authenticator = options.authenticator
    this.#isolate = options.isolate ?? true
    this.#onProblem = options.onProblem
    this.clock = new VirtualClock()
    this.random = new SeededRandom(this.seed)
    this.network = new VirtualNetwork({
      clock: this.clock,
      random: new SeededRandom([this.seed, 1]),
      latencyMs: options.latencyMs ?? [0.1, 1],
      ...(options.replay && { replay: options.replay }),
    })
  }

  /**
   * Starts a process at `address`; port 0 for one that does not listen. After a crash the address is free again, for
   * whatever process comes next.
   */
  start(address: Address, options: StartOptions = {}): Runtime {
    if (this.#hosts.get(address)?.state === 'alive') {
      throw new Error(`a process at ${address} is running already`)
    }
    const clock = this.clock.fork(this.#skews.get(address))
    const random = new SeededRandom([
      this.random.integer(0x1_0000_0000),
      this.random.integer(0x1_0000_0000),
    ])
    const authenticator = this.#authenticator?.(address, random)
    const runtime = new Runtime({
      address,
      clock,
      random,
      ...(authenticator && { authenticator }),
      transport: this.network.transport(address, clock),
      log: this.#log.child({ host: address }),
      isolate: this.#isolate,
      ...(this.#limits && { limits: this.#limits }),
      ...(options.record && { record: options.record }),
      fatal: (actor, error, lastEvents) => {
        // What else fails in a process that is ending is nobody's concern.
        if (this.isAlive(address)) this.fatalities.push({ actor, error, lastEvents })
        this.crash(address)
      },
    })
    this.#hosts.set(address, { state: 'alive', runtime, clock, options })
    options.boot?.(runtime)
    return runtime
  }

  /** The clock, and the gate, of the process at `address`. */
  process(address: Address): ProcessClock {
    const host = this.#hosts.get(address)
    if (!host) throw new Error(`nothing was ever started at ${address}`)
    return host.clock
  }

  /** Whether a process runs at `address`; one that is paused does. */
  isAlive(address: Address): boolean {
    return this.#hosts.get(address)?.state === 'alive'
  }

  /** The process dies at once, as by SIGKILL. */
  crash(address: Address): void {
    const host = this.#hosts.get(address)
    if (host?.state !== 'alive') return
    host.state = 'crashed'
    host.clock.stop()
    this.network.kill(address)
  }

  /** Starts the program of the process at `address` again, which is killed first if it lives. */
  restart(address: Address): Runtime {
    const options = this.#hosts.get(address)?.options
    if (!options?.boot) {
      throw new Error(`it is not known what runs at ${address}: start it with a boot`)
    }
    this.crash(address)
    return this.start(address, options)
  }

  /** The process stands still, as after SIGSTOP: its connections stay, and what comes for it waits for `unpause`. */
  pause(address: Address): void {
    this.#hosts.get(address)?.clock.pause()
  }

  /** The process goes on, as after SIGCONT. */
  unpause(address: Address): void {
    this.#hosts.get(address)?.clock.unpause()
  }

  /**
   * Gives the machine at `address` a wrong clock. Its rate holds at once; by how much it is ahead is seen by processes
   * that start later, since a process goes by a clock that never steps.
   */
  skew(address: Address, skew: Skew): void {
    this.#skews.set(address, skew)
    const host = this.#hosts.get(address)
    if (host?.state === 'alive') host.clock.skew({ rate: skew.rate ?? 1 })
  }

  /** As `network.partition`. */
  partition(
    some: readonly Address[],
    others: readonly Address[],
    options?: { readonly oneWay?: boolean },
  ): Cut {
    return this.network.partition(some, others, options)
  }

  /**
   * Lets `look` run after every step: each timer, delivery and disk completion with all that followed from it at once.
   * It should look only at what may have changed since. Of a name there is one check, the latest.
   */
  check(name: string, look: Check): void {
    this.#checks.set(name, look)
    this.clock.afterStep = () => this.#look()
  }

  #look(): void {
    for (const [name, look] of this.#checks) {
      for (const text of look() ?? []) {
        const problem = `${name}: ${text}`
        if (this.#onProblem) this.#onProblem(problem)
        else this.#problems.push(problem)
      }
    }
  }

  async settle(): Promise<void> {
    await this.clock.settle()
    this.#throwProblems()
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms)
    this.#throwProblems()
  }

  #throwProblems(): void {
    if (this.#problems.length === 0) return
    const lines = this.#problems.splice(0, 20).join('\n')
    this.#problems = []
    throw new Error(`did not hold (seed ${this.seed}): ${lines}`)
  }

  /** Lets time pass, in small steps, until `reached` holds; throws after `limitMs`. */
  async until(reached: () => boolean, what: string, limitMs = 60_000): Promise<void> {
    const end = this.clock.now() + limitMs
    await this.settle()
    while (!reached()) {
      if (this.clock.now() >= end) {
        throw new Error(`not within ${limitMs} virtual ms: ${what} (seed ${this.seed})`)
      }
      await this.advance(10)
    }
  }

  /** Ends all processes, as they end on SIGTERM: one soon after the other, each with all that it started. */
  async stop(): Promise<void> {
    const ends: Promise<void>[] = []
    for (const host of this.#hosts.values()) {
      if (host.state !== 'alive') continue
      host.clock.unpause()
      ends.push(host.runtime.shutdown().then(() => void (host.state = 'stopped')))
      await this.advance(1)
    }
    await this.advance(1_000)
    await Promise.all(ends)
  }

  /**
   * What is still there and should not be once all have stopped: one line for each process with living actors, links,
   * questions or timers, and one for open connections. For a test's end: `t.strictSame(world.leftovers(), [])`.
   */
  leftovers(): string[] {
    const lines: string[] = []
    for (const [address, { runtime, clock, state }] of this.#hosts) {
      if (runtime.actors.length > 0 && state !== 'crashed') {
        lines.push(`${address}: actors ${runtime.actors.join(', ')}`)
      }
      const { links, questions } = runtime.ties
      if (links > 0 && state !== 'crashed') lines.push(`${address}: ${links} links`)
      if (questions > 0 && state !== 'crashed') lines.push(`${address}: ${questions} questions`)
      if (clock.pending > 0) lines.push(`${address}: ${clock.pending} timers`)
    }
    const { connections } = this.network
    if (connections > 0) lines.push(`${connections} connections`)
    return lines
  }
}
