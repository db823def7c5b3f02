// What must survive the death of a process, with real processes and SIGKILL.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isTerminal } from '../../src/messages/status.ts'
import { freePorts } from '../../bench/ports.ts'
import { Batch } from '../cluster/batch.ts'
import { RealCluster, until } from './real-cluster.ts'

/** Runs a test on a cluster of its own, and looks afterwards that nothing of it is left. */
function scenario(
  title: string,
  agents: number,
  body: (t: Test, cluster: RealCluster) => Promise<void>,
): void {
  void t.test(title, async t => {
    const cluster = new RealCluster()
    try {
      await cluster.startMaster()
      await Promise.all(Array.from({ length: agents }, () => cluster.startAgent()))
      await body(t, cluster)
    } finally {
      t.same(await cluster.stop(), [], 'no process is left behind')
    }
  })
}

const repeat = (command: string, times: number): string[] =>
  Array.from({ length: times }, () => command)

scenario('kill -9 of the master: agents, tasks and framework go on', 2, async (t, cluster) => {
  const scheduler = new Batch(
    [...repeat('sleep 6', 3), ...repeat('true', 12)],
    { failover_timeout: 60 },
    // A launch may be on its way to the master when it dies: its task is lost, and launched again under another id.
    { again: true, master: cluster.address },
  )
  await cluster.run(scheduler)
  const long = ['t0', 't1', 't2']
  await until(() => long.every(id => scheduler.last(id) === 'TASK_RUNNING'), 'the long tasks run')
  const before = await cluster.state()
  cluster.master.kill('SIGKILL')
  await cluster.master.exited
  await cluster.startMaster()
  await until(async () => (await cluster.state()).slaves.length === 2, 'the agents are back')
  await until(
    async () => ((await cluster.state()).frameworks[0]?.tasks.length ?? 0) >= 3,
    'the running tasks are listed again',
  )
  const after = await cluster.state()
  t.not(after.id, before.id, 'it is another master')
  t.same(
    after.slaves.map(a => a.id).sort(),
    before.slaves.map(a => a.id).sort(),
    'agents keep their ids',
  )
  t.equal(after.frameworks[0]?.id, before.frameworks[0]?.id, 'so does the framework')
  await until(
    () => scheduler.count('TASK_FINISHED') === 15,
    'all tasks finish, new ones as well',
    60_000,
  )
  for (const [id, statuses] of scheduler.statuses) {
    t.equal(scheduler.ends(id), 1, `${id} ended once: ${scheduler.told(id)}`)
    // Only a launch that nobody heard of may be lost: what was once said to be there is not disturbed.
    const first = statuses[0]!.state
    if (!isTerminal(first)) t.equal(scheduler.last(id), 'TASK_FINISHED', `${id} finished`)
  }
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  scenario(
    `${signal} to an agent: the tasks of a framework that checkpoints go on, others end with it`,
    0,
    async (t, cluster) => {
      const [port = 0] = await freePorts(1)
      const first = await cluster.restartAgent('agent', port)
      await first.says(/registered with the master/)
      const keeps = new Batch(
        ['sleep 4; exit 3', 'sleep 1; exit 5'],
        { checkpoint: true, failover_timeout: 60 },
        { master: cluster.address },
      )
      const forgets = new Batch(['sleep 1000'], {}, { master: cluster.address })
      await cluster.run(keeps)
      await cluster.run(forgets)
      await until(
        () => keeps.count('TASK_RUNNING') === 2 && forgets.count('TASK_RUNNING') === 1,
        'all run',
      )
      const before = (await cluster.state()).slaves[0]!.id
      first.kill(signal)
      await first.exited
      await until(() => cluster.leftovers().some(left => /sleep 4/.test(left)), 'one goes on')
      await until(
        () => !cluster.leftovers().some(left => /sleep 1000/.test(left)),
        'the other one has ended',
      )
      await new Promise(resolve => setTimeout(resolve, 1_500))
      const second = await cluster.restartAgent('agent', port)
      await second.says(/back with the master/)
      t.equal((await cluster.state()).slaves[0]!.id, before)
      await until(() => keeps.count('TASK_FAILED') === 2, 'both have ended')
      t.match(keeps.statuses.get('t0')!.at(-1), { message: 'Command exited with status 3' })
      t.match(keeps.statuses.get('t1')!.at(-1), { message: 'Command exited with status 5' })
      second.kill('SIGTERM')
      await second.exited
      const cleaner = await cluster.restartAgent('agent', port, '--recover=cleanup')
      await cleaner.exited
      t.equal(cleaner.exit?.code, 0)
      const third = await cluster.restartAgent('agent', port)
      await third.says(/registered with the master/)
    },
  )
}

for (const aware of [false, true]) {
  const expected = aware ? 'TASK_UNREACHABLE' : 'TASK_LOST'
  scenario(
    `kill -9 of an agent: its tasks are ${expected}, and run elsewhere`,
    0,
    async (t, cluster) => {
      const agent = await cluster.startAgent()
      const capabilities = aware ? [{ type: 'PARTITION_AWARE' }] : []
      const scheduler = new Batch(
        repeat('sleep 1000', 2),
        { capabilities },
        { again: true, master: cluster.address },
      )
      await cluster.run(scheduler)
      await until(() => scheduler.count('TASK_RUNNING') === 2, 'tasks run')
      t.ok(taskProcesses(cluster) >= 2)
      await cluster.startAgent()
      agent.kill('SIGKILL')
      await until(() => scheduler.count(expected) === 2, 'they are given up')
      await until(() => scheduler.count('TASK_FINISHED') === 2, 'they are launched again and end')
      await until(() => taskProcesses(cluster) === 0, 'of the dead agent nothing runs on')
    },
  )
}

scenario('kill -9 of a custom executor: its tasks fail with the reason', 1, async (t, cluster) => {
  const framework = cluster.command('examples/test-framework/main', [cluster.address], {
    TOTAL_TASKS: '2',
    TASK_DURATION: '60secs',
  })
  await framework.says(/TASK_RUNNING[\s\S]*TASK_RUNNING/)
  const executor = processes(/test-framework\/executor\.js/, cluster.dir)
  t.equal(executor.length, 1, 'two tasks share one executor')
  process.kill(executor[0]!, 'SIGKILL')
  await framework.exited
  t.equal(framework.exit?.code, 1)
  t.match(framework.stdout, /TASK_FAILED \(REASON_EXECUTOR_TERMINATED/)
  t.match(framework.stdout, /0 of 2 tasks finished/)
})

scenario(
  'kill -9 of a framework: after failover_timeout its tasks are killed',
  1,
  async (t, cluster) => {
    const framework = cluster.command('examples/test-framework/main', [
      cluster.address,
      '--total_tasks=2',
      '--task_duration=10mins',
      '--failover_timeout=2secs',
    ])
    await framework.says(/TASK_RUNNING[\s\S]*TASK_RUNNING/)
    framework.kill('SIGKILL')
    await until(
      async () => (await cluster.state()).frameworks[0]?.connected === false,
      'the master has noticed',
    )
    t.equal((await cluster.state()).frameworks[0]?.tasks.length, 2, 'its tasks go on meanwhile')
    await until(async () => (await cluster.state()).frameworks.length === 0, 'it is removed')
    await until(
      () => processes(/test-framework\/executor\.js/, cluster.dir).length === 0,
      'its executor has ended',
    )
    const state = await cluster.state()
    t.equal(state.slaves[0]?.used_resources.cpus, 0, 'its resources are free')
    t.same(
      state.completed_frameworks[0]?.completed_tasks.map(task => task.state),
      ['TASK_KILLED', 'TASK_KILLED'],
    )
  },
)

/** Pids of living processes of this cluster whose command line matches. */
function processes(pattern: RegExp, dir: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        const read = (file: string): string => readFileSync(join('/proc', pid, file), 'utf8')
        return pattern.test(read('cmdline').replaceAll('\0', ' ')) && read('environ').includes(dir)
      } catch {
        return false
      }
    })
    .map(Number)
}

const taskProcesses = (cluster: RealCluster): number => processes(/sleep 1000/, cluster.dir).length
