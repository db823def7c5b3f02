// Tasks per second through the full path: offer, accept, launch, running, finished, both updates acknowledged.

import { type Measurement, openCluster } from './cluster.ts'
import { type Contest, experiment } from './harness.ts'
import type { Scope } from './scope.ts'
import { openTransport } from './transport.ts'

const PER_SECOND = 'tasks.per_second'

const SIZE = { agents: 100, frameworks: 4 }
const WARM_UP_MS = 4_000
const MEASURED_MS = 2_000
const PROFILED_MS = 3_000

export const experiments = [
  experiment({
    figures: {
      [PER_SECOND]: {
        unit: 'tasks/s',
        yardstick: {
          what: 'small one-way messages between two processes over the bare transport',
          unit: 'messages/s',
        },
      },
    },
    open,
  }),
]

async function open(scope: Scope): Promise<Contest<typeof PER_SECOND>> {
  const cluster = await openCluster(scope, SIZE)
  const transport = await openTransport(scope)
  await cluster.measure(WARM_UP_MS)
  return {
    ours: async () => ({ [PER_SECOND]: (await cluster.measure(MEASURED_MS)).tasksPerSecond }),
    yardstick: async () => ({ [PER_SECOND]: await transport() }),
    explain: async () => explain(await cluster.measure(PROFILED_MS, { profiled: true })),
  }
}

function explain(it: Measurement): string {
  const { master, agents, schedulers } = it.cpuMicroseconds
  const messages = Math.round(it.tasksPerSecond * it.messagesPerTask).toLocaleString('en-US')
  return [
    `${PER_SECOND}: where the master's time goes, sampled while ${Math.round(it.tasksPerSecond)} tasks/s ran`,
    it.profile,
    `  A task is ${it.messagesPerTask.toFixed(1)} messages through the master (${messages} a second);`,
    `  an offer is ${it.tasksPerOffer.toFixed(1)} tasks.`,
    `  CPU for a task: master ${master.toFixed(0)} µs, schedulers ${schedulers.toFixed(0)} µs, agents ${agents.toFixed(0)} µs.`,
  ].join('\n')
}
