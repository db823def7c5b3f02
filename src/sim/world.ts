// A whole cluster in one process: many runtimes under one virtual clock, one network, one seed.

import type { Limits } from '../actors/peer.ts'
import type { Address } from '../actors/pid.ts'
import { Runtime, type RuntimeOptions } from '../actors/runtime.ts'
import type { Logger } from '../base/log.ts'
import { SeededRandom } from '../base/random.ts'
import { type ProcessClock, VirtualClock } from './virtual-clock.ts'
import { VirtualNetwork } from './virtual-network.ts'

export interface WorldOptions {
  readonly seed?: number
  /** One-way latency range in milliseconds. */
  readonly latencyMs?: readonly [number, number]
  readonly log: Logger
  /** Of connections, where other than the real ones. */
  readonly limits?: Partial<Limits>
}

export interface Fatality {
  readonly actor: string
  readonly error: unknown
  /** What the actor was served last, a line each, oldest first. */
  readonly lastEvents: readonly string[]
}

interface Host {
  readonly runtime: Runtime
  readonly clock: ProcessClock
  state: 'alive' | 'stopped' | 'crashed'
}

export class World {
  readonly seed: number
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly network: VirtualNetwork
  readonly #hosts = new Map<Address, Host>()
  readonly #log: Logger
  readonly #limits: Partial<Limits> | undefined
  /** What failed and would have ended its process. */
  readonly fatalities: Fatality[] = []

  constructor(options: WorldOptions) {
    this.seed = options.seed ?? 1
    this.#log = options.log
    this.#limits = options.limits
    this.clock = new VirtualClock()
    this.random = new SeededRandom(this.seed)
    this.network = new VirtualNetwork({
      clock: this.clock,
      random: new SeededRandom([this.seed, 1]),
      latencyMs: options.latencyMs ?? [0.1, 1],
    })
  }

  /** Starts a process at `address`; port 0 for one that does not listen. After a crash the address is free again. `record`: whose events are written down. */
  start(address: Address, options: Pick<RuntimeOptions, 'record'> = {}): Runtime {
    if (this.#hosts.get(address)?.state === 'alive') {
      throw new Error(`a process at ${address} is running already`)
    }
    const clock = this.clock.fork()
    const runtime = new Runtime({
      address,
      clock,
      random: new SeededRandom([
        this.random.integer(0x1_0000_0000),
        this.random.integer(0x1_0000_0000),
      ]),
      transport: this.network.transport(address),
      log: this.#log.child({ host: address }),
      isolate: true,
      ...(this.#limits && { limits: this.#limits }),
      ...options,
      fatal: (actor, error, lastEvents) => {
        this.fatalities.push({ actor, error, lastEvents })
        this.crash(address)
      },
    })
    this.#hosts.set(address, { state: 'alive', runtime, clock })
    return runtime
  }

  /** The process dies at once, as by SIGKILL. */
  crash(address: Address): void {
    const host = this.#hosts.get(address)
    if (host?.state !== 'alive') return
    host.state = 'crashed'
    host.clock.stop()
    this.network.kill(address)
  }

  settle(): Promise<void> {
    return this.clock.settle()
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms)
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

  /** Ends all processes, as they end on SIGTERM: in order, each with all that it started. */
  async stop(): Promise<void> {
    for (const host of this.#hosts.values()) {
      if (host.state !== 'alive') continue
      const done = host.runtime.shutdown()
      await this.advance(1_000)
      await done
      host.state = 'stopped'
    }
  }

  /**
   * What is still there and should not be once all have stopped: one line for each process with living actors or
   * timers, and one for open connections. For a test's end: `t.strictSame(world.leftovers(), [])`.
   */
  leftovers(): string[] {
    const lines: string[] = []
    for (const [address, { runtime, clock, state }] of this.#hosts) {
      if (runtime.actors.length > 0 && state !== 'crashed') {
        lines.push(`${address}: actors ${runtime.actors.join(', ')}`)
      }
      if (clock.pending > 0) lines.push(`${address}: ${clock.pending} timers`)
    }
    const { connections } = this.network
    if (connections > 0) lines.push(`${connections} connections`)
    return lines
  }
}
