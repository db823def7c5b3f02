// A cluster that does nothing but move tasks: the real master, agents whose tasks take no time, frameworks that always
// want more. Three processes over loopback.

import { breakdownText } from './profile.ts'
import type { AgentsProgram } from './programs/agents.ts'
import type { MasterProgram } from './programs/master.ts'
import type { SchedulersProgram } from './programs/schedulers.ts'
import type { Scope } from './scope.ts'

/** Room for twenty tasks of 0.1 cpus and 32 MB, with nothing left over that would be offered and be of no use. */
const AGENT_CPUS = 2
const AGENT_MEM_MB = 640
/** From the first launches of a run until as many tasks end as begin. */
const RAMP_MS = 500

export interface Measurement {
  readonly tasksPerSecond: number
  /** Messages that went into or out of the master. */
  readonly messagesPerTask: number
  readonly tasksPerOffer: number
  /** CPU time for a task, by process. */
  readonly cpuMicroseconds: Readonly<Record<'master' | 'agents' | 'schedulers', number>>
  /** Lines of text: where the master's time went. */
  readonly profile: string | undefined
}

export type Cluster = Awaited<ReturnType<typeof openCluster>>

/** Starts all three processes; resolves when all agents are registered and all frameworks subscribed. */
export async function openCluster(scope: Scope, size: { agents: number; frameworks: number }) {
  const master = scope.program<MasterProgram>('master')
  const agents = scope.program<AgentsProgram>('agents')
  const schedulers = scope.program<SchedulersProgram>('schedulers')
  const address = await master.call('start', { workDir: scope.temporaryFolder() })
  const each = { master: address, cpus: AGENT_CPUS, memMb: AGENT_MEM_MB }
  await agents.call('start', { ...each, count: size.agents })
  await schedulers.call('start', { master: address, count: size.frameworks })

  const launch = () => schedulers.call('launch')
  /** Launches no more, and waits until all tasks have ended. */
  const stop = () => schedulers.call('stop')

  async function count() {
    const [there, here, ...cpuMs] = await Promise.all([
      agents.call('count'),
      schedulers.call('count'),
      master.call('cpuMs'),
      agents.call('cpuMs'),
      schedulers.call('cpuMs'),
    ])
    const [masterMs, agentsMs, schedulersMs] = cpuMs
    return {
      ...there,
      ...here,
      messages: there.messages + here.messages,
      cpuMs: { master: masterMs, agents: agentsMs, schedulers: schedulersMs },
    }
  }

  /** Starts launching, looks at the counts at both ends of a while in the middle, and stops. */
  async function measure(
    forMs: number,
    options: { profiled?: boolean } = {},
  ): Promise<Measurement> {
    await launch()
    await sleep(RAMP_MS)
    if (options.profiled) await master.call('startProfile')
    const before = await count()
    await sleep(forMs)
    const after = await count()
    const profile = options.profiled
      ? await master.call('stopProfile', { file: process.env['BENCH_PROFILE'] })
      : undefined
    await stop()
    const finished = after.finished - before.finished
    const cpu = (of: keyof typeof after.cpuMs): number =>
      ((after.cpuMs[of] - before.cpuMs[of]) / finished) * 1_000
    return {
      tasksPerSecond: (finished / (after.atMs - before.atMs)) * 1_000,
      messagesPerTask: (after.messages - before.messages) / finished,
      tasksPerOffer: (after.launched - before.launched) / (after.offers - before.offers),
      cpuMicroseconds: {
        master: cpu('master'),
        agents: cpu('agents'),
        schedulers: cpu('schedulers'),
      },
      profile: profile && breakdownText(profile, 12),
    }
  }
  return { launch, stop, count, measure }
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
