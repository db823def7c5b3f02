// One process of a replicated log on the real disk, and the one who appends to it. The writer is an actor in the
// process of the elected replica, as the master's registrar is.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import type { Address, Pid } from '../../src/actors/pid.ts'
import { call, protocol, type Ref, serve } from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { FileStorage, Log, LogService, Reader, Writer } from '../../src/log/log.ts'
import { CpuProfile } from '../cpu-profile.ts'
import { serveCommands } from '../program.ts'
import { percentile } from '../statistics.ts'

const PAYLOAD_BYTES = 128
/** A log's user gives up what it does not need any more; etcd and ZooKeeper take a snapshot after so many. */
const TRUNCATED_EACH = 100_000
/** So many under way, where a log is only to become large. */
const GROWING = 4_096
const GROW_MS = 5_000
const POLL_MS = 20
const LONG_MS = 600_000

/** `last`: the highest position of one. */
const Appends = v.object({ appends: v.number(), ms: v.number(), last: v.number() })
const LoadProtocol = protocol(
  'bench.load',
  {
    elect: call(v.object({}), v.object({})),
    append: call(v.object({ outstanding: v.number(), forMs: v.number() }), Appends),
    grow: call(v.object({ forMs: v.number() }), Appends),
    add: call(v.object({ outstanding: v.number(), count: v.number() }), Appends),
    has: call(v.object({ position: v.number() }), v.object({})),
    oneByOne: call(v.object({ count: v.number() }), v.object({ p50: v.number(), p99: v.number() })),
  },
  { local: true },
)

class Load extends Actor {
  readonly #logPid: Pid
  readonly #bytes = new Uint8Array(PAYLOAD_BYTES).fill(0x61)
  #writer!: Writer
  #truncateAt = TRUNCATED_EACH

  readonly serves = [
    serve(LoadProtocol, {
      elect: () => this.#elect(),
      append: ({ outstanding, forMs }) => {
        const endMs = performance.now() + forMs
        return this.#append(outstanding, () => performance.now() < endMs)
      },
      grow: ({ forMs }) => {
        this.#truncateAt = Number.POSITIVE_INFINITY
        const endMs = performance.now() + forMs
        return this.#append(GROWING, () => performance.now() < endMs)
      },
      add: ({ outstanding, count }) => {
        this.#truncateAt = Number.POSITIVE_INFINITY
        let left = count
        return this.#append(outstanding, () => left-- > 0)
      },
      has: ({ position }) => this.#has(position),
      oneByOne: ({ count }) => this.#oneByOne(count),
    }),
  ]

  constructor(logPid: Pid) {
    super()
    this.#logPid = logPid
  }

  async #elect(): Promise<object> {
    this.#writer = new Writer(this.ref(LogService, this.#logPid))
    while ((await this.#writer.start()) === undefined);
    return {}
  }

  async #append(outstanding: number, more: () => boolean): Promise<v.InferOutput<typeof Appends>> {
    const startedMs = performance.now()
    let appends = 0
    let last = 0
    const chain = async (): Promise<void> => {
      while (more()) {
        const position = await this.#one()
        appends++
        last = Math.max(last, position)
        if (position >= this.#truncateAt) await this.#truncate(position)
      }
    }
    await Promise.all(Array.from({ length: outstanding }, chain))
    return { appends, ms: performance.now() - startedMs, last }
  }

  /** Resolves when this process' replica has learned what is there. */
  async #has(position: number): Promise<object> {
    const reader = new Reader(this.ref(LogService, this.#logPid))
    for (;;) {
      try {
        await reader.read(position, position)
        return {}
      } catch {
        await new Promise<void>(resolve => this.delay(POLL_MS, resolve))
      }
    }
  }

  async #oneByOne(count: number): Promise<{ p50: number; p99: number }> {
    const times: number[] = []
    for (let i = 0; i < count; i++) {
      const startedMs = performance.now()
      await this.#one()
      times.push(performance.now() - startedMs)
    }
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
  }

  async #one(): Promise<number> {
    const position = await this.#writer.append(this.#bytes)
    if (position !== undefined) return position
    throw new Error('leadership was lost: another process appends to this log')
  }

  async #truncate(position: number): Promise<void> {
    this.#truncateAt = position + TRUNCATED_EACH
    await this.#writer.truncate(position)
  }
}

let runtime: Runtime | undefined
let load: Ref<(typeof LoadProtocol)['entries']> | undefined
let log: Log | undefined
const profile = new CpuProfile()

function started<T>(it: T | undefined): T {
  if (it === undefined) throw new Error('the replica is not started')
  return it
}

const commands = serveCommands({
  async listen({ port = 0 }: { port?: number } = {}): Promise<Address> {
    runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'replica' }),
      listen: { ip: '127.0.0.1', port },
      fatal: (_, error) => {
        throw error
      },
    })
    return runtime.address
  },

  /** Opens the directory, and takes part in the ensemble; resolves to how long reading the directory took. */
  async open({ directory, replicas }: { directory: string; replicas: Address[] }): Promise<number> {
    const startedMs = performance.now()
    const quorum = Math.floor(replicas.length / 2) + 1
    log = await Log.open({ storage: new FileStorage({ directory }), quorum, replicas })
    const openedMs = performance.now() - startedMs
    load = started(runtime).ref(
      LoadProtocol,
      started(runtime).spawn(new Load(started(runtime).spawn(log, 'log(1)'))),
    )
    return openedMs
  },

  elect: () => started(load).ask('elect', {}),
  append: (how: { outstanding: number; forMs: number }) =>
    started(load).ask('append', how, { timeoutMs: 60_000 }),
  /** Appends for a while, and truncates nothing; resolves to the bytes on disk. */
  async grow({ directory }: { directory: string }): Promise<number> {
    await started(load).ask('grow', { forMs: GROW_MS }, { timeoutMs: 10 * GROW_MS })
    const sizes = readdirSync(directory).map(file => statSync(join(directory, file)).size)
    return sizes.reduce((sum, size) => sum + size, 0)
  },

  /** So many more, and none is truncated. */
  add: (how: { outstanding: number; count: number }) =>
    started(load).ask('add', how, { timeoutMs: LONG_MS }),
  /** Resolves when the replica of this process has learned what is at a position. */
  has: (what: { position: number }) => started(load).ask('has', what, { timeoutMs: LONG_MS }),

  async close(): Promise<void> {
    await started(runtime).shutdown()
    await started(log).closed
  },

  oneByOne: (how: { count: number }) => started(load).ask('oneByOne', how, { timeoutMs: 60_000 }),

  startProfile: () => profile.start(),
  stopProfile: ({ file }: { file: string | undefined }) => profile.stop(file),
})

export type ReplicaProgram = typeof commands
