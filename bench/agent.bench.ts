// What an agent does to run a task, beside crun with the same limits and namespaces.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../src/actors/system-clock.ts'
import { whyNoCgroups } from '../src/agent/containerizer/cgroup-tree.ts'
import type { Containerizer } from '../src/agent/containerizer/containerizer.ts'
import { startContainerizer } from '../src/agent/containerizer/start.ts'
import { agentFlags } from '../src/agent/flags.ts'
import { isolationOf } from '../src/agent/options.ts'
import type { LaunchedProcess } from '../src/agent/processes.ts'
import { parseFlags } from '../src/base/flags.ts'
import { silentLogger } from '../src/base/log.ts'
import { crunMissing, openCrun } from './crun.ts'
import { type Contest, experiment } from './harness.ts'
import type { Scope } from './scope.ts'

const LAUNCH = 'agent.launch'
const LAUNCHES = 'agent.launches'
const BESIDE = 'agent.memory_beside_task'

const HIERARCHY = '/sys/fs/cgroup'
const ISOLATION = 'cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid'

const ONE_BY_ONE = 30
const AT_A_TIME = 8
const MANY = 120
const SLEEPERS = 40
const SETTLE_MS = 500

const crun = { what: 'crun run, the same limits and namespaces, from a shell' }

export const experiments = [
  experiment({
    figures: {
      [LAUNCH]: { unit: 'ms', yardstick: crun, goal: { atMost: 1.5 } },
    },
    skip: missing,
    open: scope =>
      openRuns(scope, LAUNCH, ONE_BY_ONE, 1, (seconds, count) => (seconds * 1000) / count),
  }),
  experiment({
    figures: {
      [LAUNCHES]: { unit: 'tasks/s', yardstick: crun, goal: { atLeast: 1 } },
    },
    skip: missing,
    open: scope => openRuns(scope, LAUNCHES, MANY, AT_A_TIME, (seconds, count) => count / seconds),
  }),
  experiment({
    figures: {
      [BESIDE]: {
        unit: 'kB',
        yardstick: { what: 'a megabyte: what a task may cost beside itself' },
        goal: { atMost: 1 },
      },
    },
    skip: () => whyNoCgroups(HIERARCHY),
    open: openMemory,
  }),
]

function missing(): string | undefined {
  return whyNoCgroups(HIERARCHY) ?? crunMissing()
}

async function open(
  scope: Scope,
): Promise<{ readonly containers: Containerizer; readonly folder: string }> {
  const folder = scope.temporaryFolder()
  // In memory, as /var/run is on most machines.
  const memory = mkdtempSync('/dev/shm/mesos-bench-')
  scope.defer(() => rmSync(memory, { recursive: true, force: true }))
  const runtimeDir = join(memory, 'run')
  const parsed = parseFlags(agentFlags, {
    argv: [
      '--master=127.0.0.1:1',
      '--launcher=linux',
      `--isolation=${ISOLATION}`,
      `--cgroups_root=mesos_bench_${process.pid}`,
      '--cgroups_enable_cfs',
    ],
    env: {},
    readFile: () => '',
  })
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'))
  const containers = await startContainerizer({
    flags: parsed.values,
    isolation: isolationOf(parsed.values.isolation),
    runtimeDir,
    machineBytes: 2 ** 33,
    clock: systemClock,
    log: silentLogger,
  })
  scope.defer(() => containers.close())
  return { containers, folder }
}

let launched = 0

function launch(containers: Containerizer, folder: string, ...argv: [string, ...string[]]) {
  return containers.launch({
    containerId: `bench-${++launched}`,
    argv,
    env: { PATH: '/usr/bin:/bin' },
    cwd: folder,
    stdoutPath: join(folder, 'stdout'),
    stderrPath: join(folder, 'stderr'),
    resources: { cpus: 0.5, memMb: 64 },
  })
}

/** From the launch to the end that is known, everything of it gone. */
async function openRuns<Name extends string>(
  scope: Scope,
  name: Name,
  count: number,
  width: number,
  value: (seconds: number, count: number) => number,
): Promise<Contest<Name>> {
  const { containers, folder } = await open(scope)
  const yardstick = openCrun(scope)
  const asValues = (seconds: number) => ({ [name]: value(seconds, count) }) as Record<Name, number>
  return {
    ours: async () => {
      let left = count
      const from = performance.now()
      const work = async (): Promise<void> => {
        while (left-- > 0) await (await launch(containers, folder, '/bin/true')).exited
      }
      await Promise.all(Array.from({ length: width }, work))
      return asValues((performance.now() - from) / 1000)
    },
    yardstick: async () => asValues(await yardstick.run(count, width)),
  }
}

/** What processes that are no task of ours take of memory, shared pages in parts. */
async function openMemory(scope: Scope): Promise<Contest<typeof BESIDE>> {
  const { containers, folder } = await open(scope)
  return {
    ours: async () => {
      const tasks: LaunchedProcess[] = []
      for (let i = 0; i < SLEEPERS; i++) {
        tasks.push(await launch(containers, folder, '/bin/sleep', '1000'))
      }
      await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
      const leaders = new Set(tasks.map(({ pid }) => pid))
      const kb = besideKb(leaders) / SLEEPERS
      for (const { pid } of tasks) containers.killTree(pid, 'SIGKILL')
      await Promise.all(tasks.map(({ exited }) => exited))
      return { [BESIDE]: kb }
    },
    yardstick: () => ({ [BESIDE]: 1024 }),
  }
}

function besideKb(sessions: ReadonlySet<number>): number {
  let sum = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const [, comm, rest] = /\((.*)\) (.*)/s.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))!
      if (comm === 'sleep' || !sessions.has(Number(rest!.split(' ')[3]))) continue
      const [, pss] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/smaps_rollup`, 'utf8'))!
      sum += Number(pss)
    } catch {
      // It has ended.
    }
  }
  return sum
}
