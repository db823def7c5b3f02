// One who sends to two: small notes to a peer that reads them, large loads to one that does not read any more.

import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, type Ref, serve } from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { message } from '../../src/messages/schema.ts'
import { serveCommands } from '../program.ts'

const Sink = protocol('bench.sink', {
  note: cast(message({ number: v.number(), text: v.string() })),
  load: cast(message({ text: v.string() })),
  count: call(message({}), message({ notes: v.number() })),
})
type SinkRef = Ref<(typeof Sink)['entries']>

/** Notes of a turn. */
const BATCH = 1_000
/** Notes under way: so many are sent before an answer to the first of them has come. */
const OPEN_BATCHES = 4
const LOAD_BYTES = 64 * 1024
const LOAD = 'x'.repeat(LOAD_BYTES)

class Receiver extends Actor {
  #notes = 0
  readonly serves = [
    serve(Sink, {
      note: () => {
        this.#notes++
      },
      load: () => {},
      count: () => ({ notes: this.#notes }),
    }),
  ]
}

/** Sends so many notes, and along with them so many bytes of loads, evenly; then says what it took. */
class Sender extends Actor {
  readonly serves = []
  readonly #order: Order
  readonly #done: (figures: Figures) => void
  #loadedBytes = 0

  constructor(order: Order, done: (figures: Figures) => void) {
    super()
    this.#order = order
    this.#done = done
  }

  protected override async initialize(): Promise<void> {
    const { to, loadsTo, notes, loadBytes } = this.#order
    const sink = this.ref(Sink, to)
    const stuck = loadsTo === undefined ? undefined : this.ref(Sink, loadsTo)
    let peak = 0
    let sent = 0
    const startedMs = performance.now()
    const batches = async (): Promise<void> => {
      while (sent < notes) {
        const end = sent + BATCH
        while (sent < end) sink.tell('note', { number: sent++, text: 'a note' })
        this.#load(stuck, (sent / notes) * loadBytes)
        // Asking the system costs about as much as a batch.
        if (sent % (8 * BATCH) === 0) peak = Math.max(peak, process.memoryUsage.rss())
        await sink.ask('count', {})
      }
    }
    await Promise.all(Array.from({ length: OPEN_BATCHES }, batches))
    this.#done({ tookMs: performance.now() - startedMs, peakBytes: peak })
    this.terminate()
  }

  #load(stuck: SinkRef | undefined, dueBytes: number): void {
    for (; stuck && this.#loadedBytes < dueBytes; this.#loadedBytes += LOAD_BYTES) {
      stuck.tell('load', { text: LOAD })
    }
  }
}

interface Order {
  readonly to: Pid
  /** Absent: there is no other peer. */
  readonly loadsTo?: Pid
  readonly notes: number
  readonly loadBytes: number
}

interface Figures {
  readonly tookMs: number
  /** How large the process was, at most (its resident set). */
  readonly peakBytes: number
}

let runtime: Runtime | undefined

const commands = serveCommands({
  async receive(): Promise<Pid> {
    runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'receiver' }),
      listen: { ip: '127.0.0.1', port: 0 },
    })
    return runtime.spawn(new Receiver(), 'sink')
  },

  /** What one peer may leave unread. That a peer was given up is what is wanted, and no news. */
  async start({ maxQueuedBytes }: { maxQueuedBytes: number }): Promise<void> {
    const log = createLogger({ level: 'error', format: 'text', name: 'sender' })
    runtime = await systemRuntime({ log, limits: { maxQueuedBytes } })
  },

  /** Resolves when there is a connection. */
  async reach({ to }: { to: Pid }): Promise<void> {
    await runtime!.ref(Sink, to).ask('count', {})
  },

  send(order: Order): Promise<Figures> {
    return new Promise(done => void runtime!.spawn(new Sender(order, done)))
  },
})

export type StuckProgram = typeof commands
