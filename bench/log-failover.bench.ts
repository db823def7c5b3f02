// From the death of the master that leads to the first write of the next one: in general, and with a large registry.

import { join } from 'node:path'
import { experiment } from './harness.ts'
import { type Failover, LEADS, Masters, stepsText } from './masters.ts'
import type { RegistryProgram } from './programs/registry.ts'
import { median, percentile } from './statistics.ts'

const P99 = 'log_failover.p99'
const READABLE = 'log_failover.registry_50000'

const KILLS = 100
const AGENTS = 50_000
const LIMIT_S = 1
const READ_LIMIT_MS = 30_000

export const experiments = [
  experiment({
    figures: {
      [P99]: {
        unit: 's',
        yardstick: { what: 'the limit, a constant; Mesos with ZooKeeper took 4 to 8 s (NSDI ’11)' },
        goal: { atMost: 1 },
      },
    },
    runs: 1,
    open: async scope => {
      const masters = await Masters.open(scope)
      await masters.failover()
      const all: Failover[] = []
      return {
        async ours() {
          for (let kill = 0; kill < KILLS; kill++) all.push(await masters.failover())
          return { [P99]: percentile(timesOf(all), 0.99) / 1_000 }
        },
        yardstick: () => ({ [P99]: LIMIT_S }),
        explain: () => Promise.resolve(explain(P99, all)),
      }
    },
  }),
  experiment({
    figures: {
      [READABLE]: {
        unit: 's',
        yardstick: { what: 'the limit, a constant' },
        goal: { atMost: 1 },
      },
    },
    open: async scope => {
      const masters = await Masters.open(scope, async dirs => {
        const maker = scope.program<RegistryProgram>('registry')
        const directories = dirs.map(dir => join(dir, 'replicated_log'))
        await maker.call('make', { directories, agents: AGENTS })
      })
      const all: Failover[] = []
      return {
        async ours() {
          const times = await masters.failover()
          all.push(times)
          await readRegistry(masters.addressOf(masters.leader!))
          return { [READABLE]: times.get(LEADS)! / 1_000 }
        },
        yardstick: () => ({ [READABLE]: LIMIT_S }),
        explain: () => Promise.resolve(explain(READABLE, all)),
      }
    },
  }),
]

const timesOf = (all: readonly Failover[]): number[] => all.map(times => times.get(LEADS)!)

function explain(name: string, all: readonly Failover[]): string {
  const times = timesOf(all)
  const of = (p: number): string => Math.round(percentile(times, p)).toString()
  return [
    `${name}: after the kill of the leader, medians of ${all.length}`,
    stepsText(all, median),
    `  in all p50 ${of(0.5)} ms, p90 ${of(0.9)} ms, p99 ${of(0.99)} ms, max ${of(1)} ms`,
  ].join('\n')
}

/** Throws unless the master has all agents. */
async function readRegistry(address: string): Promise<void> {
  const answer = await fetch(`http://${address}/registrar(1)/registry`, {
    signal: AbortSignal.timeout(READ_LIMIT_MS),
  })
  const { agents } = (await answer.json()) as { agents: readonly unknown[] }
  if (agents.length !== AGENTS)
    throw new Error(`${address} has ${agents.length} of ${AGENTS} agents in its registry`)
}
