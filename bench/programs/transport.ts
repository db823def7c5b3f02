// One end of a bare connection: an actor that counts, or one that sends small messages to it as fast as they are taken.

import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, type Ref, serve } from '../../src/actors/protocol.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { serveCommands } from '../program.ts'

const Sink = protocol('bench.sink', {
  note: cast(v.object({ number: v.number(), text: v.string() })),
  /** Answers with the number of notes so far, after all that were sent before it. */
  count: call(v.object({}), v.object({ notes: v.number() })),
})

/** Notes between two questions, and how many questions may be open: the sender never runs far ahead. */
const BATCH = 1_000
const OPEN_BATCHES = 4

class Counter extends Actor {
  #notes = 0
  readonly serves = [
    serve(Sink, {
      note: () => {
        this.#notes++
      },
      count: () => ({ notes: this.#notes }),
    }),
  ]
}

let runtime: Runtime | undefined
let to: Ref<(typeof Sink)['entries']> | undefined

const commands = serveCommands({
  async receive(): Promise<Pid> {
    runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'receiver' }),
      listen: { ip: '127.0.0.1', port: 0 },
    })
    return runtime.spawn(new Counter(), 'sink')
  },

  async connect({ sink }: { sink: Pid }): Promise<void> {
    runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'sender' }),
    })
    to = runtime.ref(Sink, sink)
    await to.ask('count', {})
  },

  /** Sends for this long, and returns how many messages a second the other side has served. */
  async send({ forMs }: { forMs: number }): Promise<number> {
    if (!to) throw new Error('not connected')
    const sink = to
    const before = (await sink.ask('count', {})).notes
    const startedMs = performance.now()
    const batches = async (): Promise<void> => {
      while (performance.now() - startedMs < forMs) {
        for (let number = 0; number < BATCH; number++) sink.tell('note', { number, text: 'a note' })
        await sink.ask('count', {})
      }
    }
    await Promise.all(Array.from({ length: OPEN_BATCHES }, batches))
    const { notes } = await sink.ask('count', {})
    return ((notes - before) / (performance.now() - startedMs)) * 1_000
  },
})

export type TransportProgram = typeof commands
