// One who speaks to many: as an actor to actors, each behind a connection of its own; and by hand, ready bytes to sockets.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import * as v from 'valibot'
import { WebSocket, WebSocketServer } from 'ws'
import { Actor } from '../../src/actors/actor.ts'
import { encode } from '../../src/actors/codec.ts'
import { FRAME } from '../../src/actors/frames.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { cast, protocol, type Refs, serve } from '../../src/actors/protocol.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { message } from '../../src/messages/schema.ts'
import { serveCommands } from '../program.ts'

const News = protocol('bench.news', {
  note: cast(message({ number: v.number(), text: v.string() })),
})
const Crowd = protocol('bench.crowd', { join: cast(message({})), heard: cast(message({})) })
const NOTE = { number: 1_000, text: 'a note' }

/** Calls back when a count has been reached, and begins anew. */
class Countdown {
  #left = 0
  #done = (): void => {}

  from(count: number): Promise<void> {
    this.#left = count
    return new Promise(done => {
      this.#done = done
    })
  }

  readonly down = (): void => {
    if (--this.#left === 0) this.#done()
  }
}

const countdown = new Countdown()
/** Of the last one who heard, the answer: all have heard. */
let heardByAll = (): void => {}
let left = 0
let size = 0

class Speaker extends Actor {
  readonly #crowd: Pid[] = []
  #refs: Refs<(typeof News)['entries']> | undefined
  readonly serves = [
    serve(Crowd, {
      join: (_, from) => {
        this.#crowd.push(from)
        countdown.down()
      },
      heard: () => heardByAll(),
    }),
  ]

  speak(): void {
    this.dispatch(() => {
      this.#refs ??= this.refs(News, this.#crowd)
      this.#refs.tell('note', NOTE)
    })
  }
}

class Listener extends Actor {
  readonly #speaker: Pid
  readonly serves = [
    serve(News, {
      note: () => {
        if (--left > 0) return
        left = size
        this.ref(Crowd, this.#speaker).tell('heard', {})
      },
    }),
  ]

  constructor(speaker: Pid) {
    super()
    this.#speaker = speaker
  }

  protected override initialize(): void {
    this.ref(Crowd, this.#speaker).tell('join', {})
  }
}

const speaker = new Speaker()
let server: WebSocketServer | undefined
const log = createLogger({ level: 'warn', format: 'text', name: 'crowd' })

/** CPU time that it takes to say it so many times, each time when all have heard the last one. */
async function cpuMsOf(times: number, say: () => void): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) {
    const heard = new Promise<void>(done => {
      heardByAll = done
    })
    say()
    await heard
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

const commands = serveCommands({
  async speaker(): Promise<Pid> {
    const runtime = await systemRuntime({ log, listen: { ip: '127.0.0.1', port: 0 } })
    return runtime.spawn(speaker, 'speaker')
  },

  joined({ count }: { count: number }): Promise<void> {
    return countdown.from(count)
  },

  /** So many runtimes, with a listener each. */
  async listeners({ to, count }: { to: Pid; count: number }): Promise<void> {
    left = size = count
    for (let i = 0; i < count; i++)
      (await systemRuntime({ log })).spawn(new Listener(to), 'listener')
  },

  speak({ times }: { times: number }): Promise<number> {
    return cpuMsOf(times, () => speaker.speak())
  },

  async listen(): Promise<number> {
    server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
    server.on('connection', ws => {
      countdown.down()
      ws.on('message', () => heardByAll())
    })
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },

  connect({ port, count }: { port: number; count: number }): void {
    left = size = count
    for (let i = 0; i < count; i++) {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false })
      ws.on('message', () => {
        if (--left > 0) return
        left = size
        ws.send('heard')
      })
    }
  },

  /** The same message as `speak`, to the byte, encoded beforehand. */
  send({ times }: { times: number }): Promise<number> {
    const bytes = encode([[FRAME.tell, 'listener', 'speaker', News.wire.note, NOTE]])
    return cpuMsOf(times, () => {
      for (const ws of server!.clients) ws.send(bytes)
    })
  },
})

export type CrowdProgram = typeof commands
