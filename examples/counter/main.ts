// Two processes and a supervisor: one keeps a counter, the other adds to it. It fails at unlucky numbers, and is there
// again a moment later, under the same address and with nothing counted.
//
//     node dist/examples/counter/main.js serve 7000
//     node dist/examples/counter/main.js 127.0.0.1:7000 1 2 13 3

import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import { pid } from '../../src/actors/pid.ts'
import { AskError, call, protocol, serve } from '../../src/actors/protocol.ts'
import { Supervisor } from '../../src/actors/supervisor.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'

const Counting = protocol('counting', {
  add: call(v.object({ number: v.number() }), v.object({ total: v.number() })),
})

class Counter extends Actor {
  #total = 0
  readonly serves = [
    serve(Counting, {
      add: ({ number }) => {
        if (number === 13) throw new Error('13 brings bad luck')
        this.#total += number
        return { total: this.#total }
      },
    }),
  ]
}

class Adder extends Actor {
  override readonly idPrefix = 'adder'
  readonly serves = []
  readonly #address: string
  readonly #numbers: readonly number[]

  constructor(address: string, numbers: readonly number[]) {
    super()
    this.#address = address
    this.#numbers = numbers
  }

  protected override async initialize(): Promise<void> {
    const counter = this.ref(Counting, pid('counter', this.#address))
    for (const number of this.#numbers) {
      try {
        const { total } = await counter.ask('add', { number }, { timeoutMs: 5_000 })
        console.log(`${number} makes ${total}`)
      } catch (error) {
        if (!(error instanceof AskError)) throw error
        console.log(`${number} was not added: ${error.message}`)
        await this.sleep(500)
      }
    }
    this.terminate()
  }
}

const [first = '', ...rest] = process.argv.slice(2)
const log = createLogger({ name: 'counter', level: 'info', format: 'text' })
if (first === 'serve') {
  const runtime = await systemRuntime({ log, listen: { ip: '127.0.0.1', port: Number(rest[0]) } })
  runtime.spawn(new Supervisor({ children: [{ id: 'counter', start: () => new Counter() }] }))
  console.log(`counting at ${runtime.address}`)
  process.once('SIGTERM', () => void runtime.shutdown())
  process.once('SIGINT', () => void runtime.shutdown())
} else {
  const runtime = await systemRuntime({ log })
  await runtime.wait(runtime.spawn(new Adder(first, rest.map(Number))))
  await runtime.shutdown()
}
