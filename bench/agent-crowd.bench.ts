// An agent with a thousand tasks: what it takes of memory, what its statistics cost, how long a restart takes until it has all of
// them again; and how many tasks a second go through a whole cluster, beside crun in a loop. Real processes, real containers.

import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemRuntime } from '../src/actors/system-runtime.ts'
import { whyNoCgroups } from '../src/agent/containerizer/cgroup-tree.ts'
import { silentLogger } from '../src/base/log.ts'
import { pack, type TaskRequest } from '../src/framework/packing.ts'
import { Scheduler } from '../src/framework/scheduler.ts'
import type { Offer } from '../src/messages/offer.ts'
import { isTerminal, type TaskStatus } from '../src/messages/status.ts'
import { crunMissing, openCrun } from './crun.ts'
import { type Contest, experiment } from './harness.ts'
import { freePorts } from './ports.ts'
import type { Scope } from './scope.ts'

const THROUGH = 'agent_crowd.tasks'
const MEMORY = 'agent_crowd.memory'
const STATISTICS = 'agent_crowd.statistics'
const RESTART = 'agent_crowd.restart'

const HIERARCHY = '/sys/fs/cgroup'
const ISOLATION = 'cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid'
const TASKS = 500
const CROWD = 1_000
const LIMIT_MS = 240_000
const LOOKS = 8
const TICKS_PER_SECOND = 100

const limit = (what: string) => ({ what, unit: '' })

export const experiments = [
  experiment({
    figures: {
      [THROUGH]: {
        unit: 'tasks/s',
        yardstick: { what: 'crun run, the same limits and namespaces, one after the other' },
        goal: { atLeast: 1 },
      },
    },
    runs: 3,
    skip: missing,
    open: openThrough,
  }),
  experiment({
    figures: {
      [MEMORY]: { unit: 'MB', yardstick: limit('150 MB'), goal: { atMost: 1 } },
      [STATISTICS]: { unit: '% of a core', yardstick: limit('5 %'), goal: { atMost: 1 } },
      [RESTART]: { unit: 's', yardstick: limit('2 s'), goal: { atMost: 1 } },
    },
    runs: 1,
    skip: missing,
    open: openCrowd,
  }),
]

function missing(): string | undefined {
  if (!existsSync(built('agent'))) return 'dist/ is missing: npm run build'
  return whyNoCgroups(HIERARCHY) ?? crunMissing()
}

const built = (program: string): string => join(process.cwd(), `dist/mesos-${program}.js`)

/** Launches all it has as soon as there is an offer. */
class Crowd extends Scheduler {
  waiting: readonly TaskRequest[] = []
  running = 0
  finished = 0
  failed: string | undefined
  reached: () => void = () => {}

  constructor(master: string) {
    super({
      master,
      framework: { name: 'crowd', user: 'root', checkpoint: true, failover_timeout: 600 },
    })
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      const { tasks, rest } = pack(offer, this.waiting)
      this.waiting = rest
      if (tasks.length > 0) this.launch(offer, tasks, { refuse_seconds: 0 })
      else this.decline(offer, { refuse_seconds: 0.1 })
    }
  }

  protected override update({ state, message }: TaskStatus): void {
    if (state === 'TASK_RUNNING') this.running++
    if (state === 'TASK_FINISHED') this.finished++
    else if (isTerminal(state)) this.failed = `${state}: ${message}`
    this.reached()
  }

  /** Ends all that runs, and waits until it is gone: with the agent it would not end. */
  async leave(agent: string): Promise<void> {
    this.teardown()
    for (;;) {
      const state = (await (await fetch(`${agent}/state`)).json()) as State
      if (state.frameworks.length === 0) return
      await new Promise(resolve => setTimeout(resolve, 200))
    }
  }

  /** Launches these, and waits until so many are where they should be. */
  async run(tasks: readonly TaskRequest[], done: () => boolean): Promise<void> {
    this.waiting = tasks
    this.revive()
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the tasks did not come to an end')), LIMIT_MS)
      this.reached = () => {
        if (this.failed !== undefined) reject(new Error(this.failed))
        if (done()) resolve()
        if (done() || this.failed !== undefined) clearTimeout(late)
      }
    })
  }
}

let named = 0

const tasksOf = (count: number, command: string): TaskRequest[] =>
  Array.from({ length: count }, () => ({
    name: 'task',
    task_id: { value: `task-${++named}` },
    command: { value: command.split(' ')[0]!, shell: false, arguments: command.split(' ') },
    needs: { cpus: 0.01, mem: 32 },
  }))

async function openCluster(scope: Scope) {
  const [masterPort = 0, agentPort = 0] = await freePorts(2)
  const [masterDir, agentDir] = [scope.temporaryFolder(), scope.temporaryFolder()]
  const memory = mkdtempSync('/dev/shm/mesos-bench-')
  scope.defer(() => rmSync(memory, { recursive: true, force: true }))
  const start = (program: string, ...args: string[]): ChildProcess =>
    scope.start(process.execPath, [built(program), '--ip=127.0.0.1', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  const says = (child: ChildProcess, what: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      let text = ''
      child.stderr!.on('data', (bytes: Buffer) => {
        text = (text + bytes.toString()).slice(-100_000)
        if (what.test(text)) resolve()
      })
      child.once('exit', code => reject(new Error(`it ended with ${code}: ${text.slice(-500)}`)))
    })
  const startAgent = (): ChildProcess =>
    start(
      'agent',
      `--port=${agentPort}`,
      `--master=127.0.0.1:${masterPort}`,
      `--work_dir=${agentDir}`,
      `--runtime_dir=${memory}/run`,
      '--resources=cpus:1000;mem:1000000;disk:100000',
      '--launcher=linux',
      `--isolation=${ISOLATION}`,
      `--cgroups_root=mesos_bench_${process.pid}_crowd`,
      '--cgroups_enable_cfs',
    )
  const master = start('master', `--port=${masterPort}`, `--work_dir=${masterDir}`)
  await says(master, /leading/)
  const agent = startAgent()
  await says(agent, /registered with the master/)
  const runtime = await systemRuntime({ log: silentLogger })
  scope.defer(() => runtime.shutdown())
  const crowd = new Crowd(`127.0.0.1:${masterPort}`)
  runtime.spawn(crowd)
  const url = `http://127.0.0.1:${agentPort}`
  return { crowd, agent, startAgent, says, url }
}

async function openThrough(scope: Scope): Promise<Contest<typeof THROUGH>> {
  const { crowd } = await openCluster(scope)
  const crun = openCrun(scope)
  return {
    ours: async () => {
      const from = performance.now()
      const before = crowd.finished
      await crowd.run(tasksOf(TASKS, '/bin/true'), () => crowd.finished - before === TASKS)
      return { [THROUGH]: (TASKS * 1000) / (performance.now() - from) }
    },
    yardstick: async () => ({ [THROUGH]: TASKS / (await crun.run(TASKS, 1)) }),
  }
}

async function openCrowd(
  scope: Scope,
): Promise<Contest<typeof MEMORY | typeof STATISTICS | typeof RESTART>> {
  const cluster = await openCluster(scope)
  const { crowd, says, startAgent, url } = cluster
  return {
    ours: async () => {
      await crowd.run(tasksOf(CROWD, '/bin/sleep 1000'), () => crowd.running === CROWD)
      const memory = residentMb(cluster.agent.pid!)
      const idle = await share(cluster.agent.pid!, () => Promise.resolve())
      const asked = await share(cluster.agent.pid!, async () => {
        const statistics = (await (await fetch(`${url}/monitor/statistics`)).json()) as unknown[]
        if (statistics.length !== CROWD) throw new Error(`${statistics.length} have statistics`)
      })
      cluster.agent.kill('SIGKILL')
      const from = performance.now()
      await says(startAgent(), /back with the master/)
      const seconds = (performance.now() - from) / 1000
      const state = (await (await fetch(`${url}/state`)).json()) as State
      const tasks = state.frameworks[0]!.executors.reduce(
        (sum, { tasks: own }) => sum + own.length,
        0,
      )
      if (tasks !== CROWD || crowd.finished > 0) throw new Error(`${tasks} tasks are there again`)
      await crowd.leave(url)
      return { [MEMORY]: memory, [STATISTICS]: asked - idle, [RESTART]: seconds }
    },
    yardstick: () => ({ [MEMORY]: 150, [STATISTICS]: 5, [RESTART]: 2 }),
  }
}

interface State {
  readonly frameworks: readonly { readonly executors: readonly { readonly tasks: unknown[] }[] }[]
}

function residentMb(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kb) / 1024
}

/** Of a core, in per cent, while something is done once a second. */
async function share(pid: number, act: () => Promise<void>): Promise<number> {
  const ticks = (): number => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  }
  const before = ticks()
  const from = performance.now()
  for (let i = 1; i <= LOOKS; i++) {
    await act()
    await new Promise(resolve =>
      setTimeout(resolve, Math.max(0, from + i * 1000 - performance.now())),
    )
  }
  const seconds = (performance.now() - from) / 1000
  return ((ticks() - before) / TICKS_PER_SECOND / seconds) * 100
}
