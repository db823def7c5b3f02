// Tasks per second through the full path: offer, accept, launch, running, finished, both updates acknowledged.
//
// Three processes over loopback: the master with a registry on disk, one that hosts a hundred agents whose tasks take
// no time, one with frameworks that fill every offer with small tasks.

import { type Contest, experiment } from './harness.ts'
import { breakdownText } from './profile.ts'
import type { AgentsProgram } from './programs/agents.ts'
import type { MasterProgram } from './programs/master.ts'
import type { SchedulersProgram } from './programs/schedulers.ts'
import type { Scope } from './scope.ts'
import { openTransport } from './transport.ts'

const AGENTS = 100
const FRAMEWORKS = 4
/** Room for twenty tasks of 0.1 cpus and 32 MB, and nothing left over that would be offered to nobody's use. */
const AGENT_CPUS = 2
const AGENT_MEM_MB = 640

const WARM_UP_MS = 4_000
/** From the first launches of a run until as many tasks end as begin. */
const RAMP_MS = 500
const MEASURED_MS = 2_000
const PROFILED_MS = 3_000

const PER_SECOND = 'tasks.per_second'

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
  const cluster = await openCluster(scope)
  const transport = await openTransport(scope)
  await cluster.measure(WARM_UP_MS)
  return {
    ours: async () => ({ [PER_SECOND]: (await cluster.measure(MEASURED_MS)).tasksPerSecond }),
    yardstick: async () => ({ [PER_SECOND]: await transport() }),
    explain: async () => explain(await cluster.measure(PROFILED_MS, { profiled: true })),
  }
}

interface Measurement {
  readonly tasksPerSecond: number
  readonly messagesPerTask: number
  readonly tasksPerOffer: number
  /** CPU time of the master for a task. */
  readonly masterMicroseconds: number
  readonly profile: string | undefined
}

async function openCluster(scope: Scope) {
  const master = scope.program<MasterProgram>('master')
  const agents = scope.program<AgentsProgram>('agents')
  const schedulers = scope.program<SchedulersProgram>('schedulers')
  const address = await master.call('start', { workDir: scope.temporaryFolder() })
  await agents.call('start', {
    master: address,
    count: AGENTS,
    cpus: AGENT_CPUS,
    memMb: AGENT_MEM_MB,
  })
  await schedulers.call('start', { master: address, count: FRAMEWORKS })
  const count = async () => {
    const [there, here, masterCpuMs] = await Promise.all([
      agents.call('count'),
      schedulers.call('count'),
      master.call('cpuMs'),
    ])
    return { ...there, ...here, messages: there.messages + here.messages, masterCpuMs }
  }

  /** Starts launching, looks at the counts of a while in the middle, and waits until all tasks have ended. */
  async function measure(forMs: number, options: { profiled?: boolean } = {}): Promise<Measurement> {
    await schedulers.call('launch')
    await sleep(RAMP_MS)
    if (options.profiled) await master.call('startProfile')
    const before = await count()
    await sleep(forMs)
    const after = await count()
    const profile = options.profiled
      ? await master.call('stopProfile', { file: process.env['BENCH_PROFILE'] })
      : undefined
    await schedulers.call('stop')
    const finished = after.finished - before.finished
    return {
      tasksPerSecond: (finished / (after.atMs - before.atMs)) * 1_000,
      messagesPerTask: (after.messages - before.messages) / finished,
      tasksPerOffer: (after.launched - before.launched) / (after.offers - before.offers),
      masterMicroseconds: ((after.masterCpuMs - before.masterCpuMs) / finished) * 1_000,
      profile: profile && breakdownText(profile, 12),
    }
  }
  return { measure }
}

function explain(it: Measurement): string {
  return [
    `${PER_SECOND}: where the master's time goes (sampled while ${Math.round(it.tasksPerSecond)} tasks/s ran)`,
    it.profile,
    `  ${it.messagesPerTask.toFixed(1)} messages through the master a task, ${it.tasksPerOffer.toFixed(1)} tasks an offer, ` +
      `${Math.round(it.masterMicroseconds)} µs of the master's CPU a task`,
  ].join('\n')
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
