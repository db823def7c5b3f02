// Two programs. One serves a counter under a supervisor; the other adds to it, over the network, what it reads.
//
//     node dist/examples/counter/main.js serve 7000
//     node dist/examples/counter/main.js add 127.0.0.1:7000

import { createInterface } from 'node:readline'
import { pid } from '../../src/actors/pid.ts'
import { Supervisor } from '../../src/actors/supervisor.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { Adder } from './adder.ts'
import { Counter } from './counter.ts'

const [command, where = ''] = process.argv.slice(2)

if (command === 'serve') {
  const log = createLogger({ name: 'counter', level: 'info', format: 'text' })
  const listen = { ip: '127.0.0.1', port: Number(where) }
  const runtime = await systemRuntime({ log, listen })
  runtime.spawn(new Supervisor({ children: [{ id: 'counter', start: () => new Counter() }] }))
  console.log(`counting at ${runtime.address}`)
  process.once('SIGTERM', () => void runtime.shutdown())
  process.once('SIGINT', () => void runtime.shutdown())
} else if (command === 'add') {
  const log = createLogger({ name: 'adder', level: 'error', format: 'text' })
  const runtime = await systemRuntime({ log })
  const lines = createInterface({ input: process.stdin })
  await runtime.wait(runtime.spawn(new Adder(pid('counter', where), lines)))
  await runtime.shutdown()
} else {
  console.error('Usage: main.js serve PORT | main.js add HOST:PORT')
  process.exitCode = 1
}
