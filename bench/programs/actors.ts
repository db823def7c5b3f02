// The actors that are measured: alone in one process, or at both ends of a connection.

import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import { type Pid, pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, type Ref, serve } from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { message } from '../../src/messages/schema.ts'
import { serveCommands } from '../program.ts'

const Note = message({ number: v.number(), text: v.string() })
type Note = v.InferOutput<typeof Note>
const TEXT = 'a note'

const Sink = protocol('bench.sink', {
  note: cast(Note),
  count: call(message({}), message({ notes: v.number() })),
  echo: call(Note, message({ number: v.number() })),
})
const Ring = protocol('bench.ring', {
  token: cast(message({ hops: v.number() })),
})
const Idle = protocol('bench.idle', { stop: cast(message({})) })

/** What is handed over in one turn, be it notes or actors: the sender shares its thread with those who receive. */
const BATCH = 1_000

class Receiver extends Actor {
  #notes = 0
  readonly serves = [
    serve(Sink, {
      note: () => {
        this.#notes++
      },
      count: () => ({ notes: this.#notes }),
      echo: ({ number }) => ({ number }),
    }),
  ]
}

/** Sends so many notes and then asks how many came. */
class Sender extends Actor {
  readonly serves = []
  readonly #to: Pid
  readonly #count: number
  readonly #done: (notes: number) => void
  #sent = 0
  #ref!: Ref<(typeof Sink)['entries']>

  constructor(to: Pid, count: number, done: (notes: number) => void) {
    super()
    this.#to = to
    this.#count = count
    this.#done = done
  }

  protected override initialize(): void {
    this.#ref = this.ref(Sink, this.#to)
    this.#send()
  }

  #send(): void {
    const end = Math.min(this.#sent + BATCH, this.#count)
    for (; this.#sent < end; this.#sent++) {
      this.#ref.tell('note', { number: this.#sent, text: TEXT })
    }
    if (this.#sent < this.#count) return this.dispatch(() => this.#send())
    void this.#ref.ask('count', {}).then(({ notes }) => {
      this.#done(notes)
      this.terminate()
    })
  }
}

class Member extends Actor {
  readonly #next: Pid
  readonly #arrived: () => void
  #ref!: Ref<(typeof Ring)['entries']>
  readonly serves = [
    serve(Ring, {
      token: ({ hops }) => {
        if (hops === 0) this.#arrived()
        else this.#ref.tell('token', { hops: hops - 1 })
      },
    }),
  ]

  constructor(next: Pid, arrived: () => void) {
    super()
    this.#next = next
    this.#arrived = arrived
  }

  protected override initialize(): void {
    this.#ref = this.ref(Ring, this.#next)
  }
}

class Sleeper extends Actor {
  readonly serves = [serve(Idle, { stop: () => this.terminate() })]
  readonly #ended: () => void

  constructor(ended: () => void) {
    super()
    this.#ended = ended
  }

  protected override finalize(): void {
    this.#ended()
  }
}

/** Keeps so many questions open until it has asked them all. */
class Asker extends Actor {
  readonly serves = []
  readonly #to: Pid
  readonly #count: number
  readonly #open: number
  readonly #done: () => void

  constructor(o: { to: Pid; count: number; open: number; done: () => void }) {
    super()
    this.#to = o.to
    this.#count = o.count
    this.#open = o.open
    this.#done = o.done
  }

  protected override async initialize(): Promise<void> {
    const to = this.ref(Sink, this.#to)
    const each = this.#count / this.#open
    const asking = async (): Promise<void> => {
      for (let number = 0; number < each; number++) {
        const answer = await to.ask('echo', { number, text: TEXT })
        if (answer.number !== number) throw new Error(`${answer.number} instead of ${number}`)
      }
    }
    await Promise.all(Array.from({ length: this.#open }, asking))
    this.#done()
    this.terminate()
  }
}

let runtime: Runtime | undefined
let receiver: Pid | undefined
let ring: Ref<(typeof Ring)['entries']> | undefined
let arrived = (): void => {}

function started(): Runtime {
  if (!runtime) throw new Error('not started')
  return runtime
}

const commands = serveCommands({
  /** With `listen` its receiver can be reached from elsewhere; resolves to that one's pid. */
  async start({ listen }: { listen: boolean }): Promise<Pid> {
    runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'actors' }),
      ...(listen && { listen: { ip: '127.0.0.1', port: 0 } }),
    })
    receiver = runtime.spawn(new Receiver(), 'receiver')
    return receiver
  },

  /** Resolves to the milliseconds that so many notes took, from one actor to another. */
  async send({ to, count }: { to?: Pid; count: number }): Promise<number> {
    const target = to ?? receiver!
    const sink = started().ref(Sink, target)
    const before = (await sink.ask('count', {})).notes
    const startedMs = performance.now()
    const after = await new Promise<number>(done => {
      started().spawn(new Sender(target, count, done))
    })
    const tookMs = performance.now() - startedMs
    if (after - before !== count) throw new Error(`${after - before} of ${count} notes arrived`)
    return tookMs
  },

  openRing({ size }: { size: number }): void {
    const address = started().address
    for (let i = 0; i < size; i++) {
      started().spawn(new Member(pid(`m${(i + 1) % size}`, address), () => arrived()), `m${i}`)
    }
    ring = started().ref(Ring, pid('m0', address))
  },

  async pass({ tokens, hops }: { tokens: number; hops: number }): Promise<number> {
    const startedMs = performance.now()
    await new Promise<void>(done => {
      let left = tokens
      arrived = () => {
        if (--left === 0) done()
      }
      for (let i = 0; i < tokens; i++) ring!.tell('token', { hops })
    })
    return performance.now() - startedMs
  },

  /** Time to start so many and to end them, by a message to each; what each takes in between. */
  async spawnAndEnd({ count }: { count: number }): Promise<{ tookMs: number; bytesEach: number }> {
    const pids: Pid[] = []
    const before = usedBytes()
    const startedMs = performance.now()
    let ended = 0
    let done = (): void => {}
    const end = (): void => {
      if (++ended === count) done()
    }
    const sink = started().ref(Sink, receiver!)
    for (let i = 1; i <= count; i++) {
      pids.push(started().spawn(new Sleeper(end)))
      // The receiver stands behind them in the queue: each has served its first event when that one answers.
      if (i % BATCH === 0) await sink.ask('count', {})
    }
    const spawnedMs = performance.now() - startedMs
    // Eight bytes each are the list in which this benchmark keeps them.
    const bytesEach = (usedBytes() - before) / count - 8
    const endingMs = performance.now()
    const allEnded = new Promise<void>(resolve => {
      done = resolve
    })
    for (const [i, it] of pids.entries()) {
      started().ref(Idle, it).tell('stop', {})
      if (i % BATCH === 0) await sink.ask('count', {})
    }
    await allEnded
    return { tookMs: spawnedMs + performance.now() - endingMs, bytesEach }
  },

  /** Resolves to the milliseconds that so many questions took. */
  async ask(o: { to: Pid; actors: number; openEach: number; count: number }): Promise<number> {
    const startedMs = performance.now()
    const count = o.count / o.actors
    const each = () =>
      new Promise<void>(done => {
        started().spawn(new Asker({ to: o.to, count, open: o.openEach, done }))
      })
    await Promise.all(Array.from({ length: o.actors }, each))
    return performance.now() - startedMs
  },
})

export type ActorsProgram = typeof commands

/** What is alive, after a collection; needs Node's `--expose-gc`. */
function usedBytes(): number {
  if (!globalThis.gc) throw new Error('run with --expose-gc')
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
