// kill -9 of a real agent, again and again, while the tasks of a framework that checkpoints start, run and end: each of them ends
// once, as it truly did, and nothing is left.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { Batch } from '../cluster/batch.ts'
import { freePorts } from '../../bench/ports.ts'
import { RealCluster, until } from './real-cluster.ts'

/** The long form: MESOS_TEST_RESTARTS=300. */
const KILLS = Number(process.env['MESOS_TEST_RESTARTS'] ?? 4)
const TASKS_PER_KILL = 50

t.setTimeout(Math.max(180_000, KILLS * 20_000))

const ISOLATION = '--isolation=cgroups/mem,cgroups/pids,namespaces/pid'
const noCgroups = whyNoCgroups('/sys/fs/cgroup')
const launchers: readonly { name: string; flags: string[]; skip?: string }[] = [
  { name: 'posix', flags: [] },
  {
    name: 'linux',
    flags: ['--launcher=linux', ISOLATION, `--cgroups_root=mesos_restart_${process.pid}`],
    ...(noCgroups !== undefined && { skip: noCgroups }),
  },
]

/** Every third has ended before a kill is likely, most run through one. */
const status = (n: number): number => n % 4
const script = (n: number): string => `sleep ${((n * 7) % 30) / 10}; exit ${status(n)}`

for (const { name, flags, ...skip } of launchers) {
  t.test(`${name}: no task is lost, none ends twice, none otherwise than it did`, skip, async t => {
    const cluster = new RealCluster()
    try {
      await cluster.startMaster()
      const [port = 0] = await freePorts(1)
      let agent = await cluster.restartAgent('agent', port, ...flags)
      await agent.says(/registered with the master/)
      const count = KILLS * TASKS_PER_KILL
      const scheduler = new Batch(
        Array.from({ length: count }, (_, n) => script(n)),
        { checkpoint: true, failover_timeout: 600, capabilities: [{ type: 'PARTITION_AWARE' }] },
        { master: cluster.address, cpus: 1 },
      )
      await cluster.run(scheduler)
      const ended = (): number =>
        [...scheduler.statuses.keys()].filter(id => scheduler.ends(id) > 0).length
      for (let kill = 0; kill < KILLS; kill++) {
        const before = ended()
        // At some moment while tasks start and end.
        await until(() => ended() >= Math.min(before + 20, count), 'some have ended', 60_000)
        await new Promise(resolve => setTimeout(resolve, Math.random() * 300))
        agent.kill('SIGKILL')
        await agent.exited
        agent = await cluster.restartAgent('agent', port, ...flags)
        await agent.says(/back with the master/, 30_000)
      }
      await until(() => ended() === count, 'all have ended', 120_000)
      let dropped = 0
      for (let n = 0; n < count; n++) {
        const id = `t${n}`
        t.equal(scheduler.ends(id), 1, `${id} ended once: ${scheduler.told(id)}`)
        const last = scheduler.statuses.get(id)!.at(-1)!
        // A launch that was on its way when the agent died; nothing of it ran.
        const isDropped =
          last.state === 'TASK_DROPPED' ||
          (last.state === 'TASK_LOST' && last.reason === 'REASON_RECONCILIATION')
        if (isDropped) dropped++
        else if (status(n) === 0) t.equal(last.state, 'TASK_FINISHED', scheduler.told(id))
        else t.match(last, { state: 'TASK_FAILED', message: `status ${status(n)}` })
      }
      t.ok(dropped <= KILLS * 64, `${dropped} of ${count} were dropped`)
      const meta = join(cluster.dir, 'agent/meta/slaves/latest/frameworks')
      const left = (): string[] => {
        try {
          const all = readdirSync(meta, { recursive: true }).map(String)
          return all.filter(path => path.includes('/task.'))
        } catch {
          return ['what is being removed']
        }
      }
      await until(() => left().length === 0, 'nothing is left to be remembered', 30_000).catch(
        () => {
          const [task = ''] = left().map(path => /executors\/([^/]*)/.exec(path)?.[1] ?? '')
          const about = (log: string): string[] =>
            log.split('\n').filter(line => line.includes(task))
          t.same(left(), [], [...about(cluster.master.stderr), ...about(agent.stderr)].join('\n'))
        },
      )
      t.same(readdirSync(join(cluster.dir, 'agent-run/containers')), [])
      t.comment(`${KILLS} kills, ${count} tasks, ${dropped} dropped`)
    } finally {
      t.same(await cluster.stop(), [], 'no process is left behind')
    }
  })
}
