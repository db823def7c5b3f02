// A custom executor outlives the agent that started it: the next one takes it back, with its tasks, and gives it new ones.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { freePorts } from '../../bench/ports.ts'
import { pack, type TaskRequest } from '../../src/framework/packing.ts'
import { Scheduler } from '../../src/framework/scheduler.ts'
import type { Offer } from '../../src/messages/offer.ts'
import type { TaskStatus } from '../../src/messages/status.ts'
import { RealCluster, until } from './real-cluster.ts'

const PROGRAM = resolve('dist/examples/test-framework/executor.js')

const request = (id: string, ms: number): TaskRequest => ({
  name: id,
  task_id: { value: id },
  data: Buffer.from(String(ms)).toString('base64'),
  needs: { cpus: 0.1, mem: 32 },
  executor: {
    executor_id: { value: 'survivor' },
    command: { value: `exec ${process.execPath} ${PROGRAM}` },
    needs: { cpus: 0.1, mem: 64 },
  },
})

class Survival extends Scheduler {
  waiting: readonly TaskRequest[] = [request('short', 2_000), request('long', 600_000)]
  readonly told: Record<string, string[]> = {}

  constructor(master: string) {
    super({ master, framework: { name: 'survival', checkpoint: true, failover_timeout: 60 } })
  }

  more(id: string): void {
    this.dispatch(() => {
      this.waiting = [request(id, 0)]
      this.revive()
    })
  }

  end(value: string): void {
    this.dispatch(() => this.kill({ value }))
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      const { tasks, rest } = pack(offer, this.waiting)
      this.waiting = rest
      this.launch(offer, tasks)
    }
  }

  protected override update({ task_id: { value: id }, state, source }: TaskStatus): void {
    const said = (this.told[id] ??= [])
    // An update comes again until its acknowledgement has arrived.
    if (said.at(-1) !== `${state} by ${source}`) said.push(`${state} by ${source}`)
  }
}

t.test('a custom executor and its tasks outlive kill -9 of the agent', async t => {
  const cluster = new RealCluster()
  try {
    await cluster.startMaster()
    const [port = 0] = await freePorts(1)
    const first = await cluster.restartAgent('agent', port)
    await first.says(/registered with the master/)
    const scheduler = new Survival(cluster.address)
    await cluster.run(scheduler)
    const { told } = scheduler
    const states = (id: string): string[] => (told[id] ?? []).map(it => it.split(' ')[0]!)
    const runs = (id: string): boolean => states(id).at(-1) === 'TASK_RUNNING'
    await until(() => runs('short') && runs('long'), 'both run')
    const [before, ...others] = executors(cluster.dir)
    t.ok(before !== undefined && others.length === 0, 'one executor has both')

    first.kill('SIGKILL')
    await first.exited
    // Its short task ends while there is no agent.
    await new Promise(resolve => setTimeout(resolve, 2_500))
    const second = await cluster.restartAgent('agent', port)
    await second.says(/back with the master/)
    await until(() => states('short').includes('TASK_FINISHED'), 'what it said meanwhile arrives')
    t.same(executors(cluster.dir), [before], 'it is the same process')
    const all = ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']
    t.same(
      told['short'],
      all.map(state => `${state} by SOURCE_EXECUTOR`),
    )
    t.same(states('long'), ['TASK_STARTING', 'TASK_RUNNING'], 'the other one goes on')

    scheduler.more('new')
    await until(() => states('new').includes('TASK_FINISHED'), 'it takes new tasks')
    t.same(executors(cluster.dir), [before])
    scheduler.end('long')
    await until(() => states('long').includes('TASK_KILLED'), 'and is told to kill one')
    t.same(told['long']?.at(-1), 'TASK_KILLED by SOURCE_EXECUTOR')

    process.kill(before!, 'SIGKILL')
    await until(() => executors(cluster.dir).length === 0, 'it has ended')
    await second.says(/executor terminated with signal Killed/)
    second.kill('SIGTERM')
    await second.exited
    await (await cluster.restartAgent('agent', port, '--recover=cleanup')).exited
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})

/** Those of this cluster: the programs themselves, not the shells that wait for them. */
function executors(dir: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        const read = (file: string): string => readFileSync(join('/proc', pid, file), 'utf8')
        const [program, path] = read('cmdline').split('\0')
        return program === process.execPath && path === PROGRAM && read('environ').includes(dir)
      } catch {
        return false
      }
    })
    .map(Number)
}
