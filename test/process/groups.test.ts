// A task group on a real cluster, as mesos-execute launches it: tasks that share a directory, and that die together.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { whyNoCgroups } from '../../src/agent/containerizer/cgroup-tree.ts'
import { RealCluster } from './real-cluster.ts'

const why = whyNoCgroups('/sys/fs/cgroup')
const contained =
  why === undefined
    ? [
        '--launcher=linux',
        `--cgroups_root=mesos_test_${process.pid}_group`,
        '--isolation=filesystem/linux,namespaces/pid',
      ]
    : []

const SHARED = {
  type: 'MESOS',
  volumes: [
    {
      mode: 'RW',
      container_path: 'shared',
      source: { type: 'SANDBOX_PATH', sandbox_path: { type: 'PARENT', path: 'common' } },
    },
  ],
}

const task = (id: string, value: string, more: object = {}) => ({
  name: id,
  task_id: { value: id },
  command: { value },
  resources: [
    { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
  ],
  ...more,
})

t.test('task groups by mesos-execute', async t => {
  const cluster = new RealCluster()
  try {
    await cluster.startMaster()
    await cluster.startAgent(undefined, ...contained)
    const execute = (...tasks: object[]) => {
      const file = join(cluster.dir, 'group.json')
      writeFileSync(file, JSON.stringify({ tasks }))
      const master = `--master=${cluster.address}`
      return cluster.command('mesos-execute', [master, `--task_group=${file}`])
    }
    if (contained.length > 0) {
      const wait = 'until [ -e shared/note ]; do sleep 0.05; done; cat shared/note'
      const both = execute(
        task('reads', wait, { container: SHARED }),
        task('writes', 'echo between us >shared/new; mv shared/new shared/note', {
          container: SHARED,
        }),
      )
      await both.exited
      t.equal(both.exit?.code, 0, both.output)
      t.match(both.stdout, /Submitted task group with tasks \[ 'reads', 'writes' \] to agent '/)
      t.match(both.stdout, /^between us$/m)
    } else t.comment(`volumes are not tried: ${why}`)
    const check = {
      type: 'COMMAND',
      delay_seconds: 0,
      interval_seconds: 0.1,
      grace_period_seconds: 1,
      command: { value: 'test -e up' },
    }
    const sick = execute(
      task('sick', 'touch up; sleep 1; rm up; sleep 1000', { health_check: check }),
      task('other', 'sleep 1000'),
    )
    await sick.exited
    t.match(sick.stdout, /TASK_RUNNING for task 'sick'[\s\S]{0,160}healthy\?: true/)
    t.match(sick.stdout, /TASK_KILLED for task 'sick'[\s\S]{0,160}healthy\?: false/)
    t.match(sick.stdout, /TASK_KILLED for task 'other'/)
    const broken = execute(task('stays', 'sleep 1000'), task('fails', 'sleep 0.2; exit 3'))
    await broken.exited
    t.equal(broken.exit?.code, 1, broken.output)
    t.match(
      broken.stdout,
      /TASK_FAILED for task 'fails'\n {2}message: 'Command exited with status 3'/,
    )
    t.match(broken.stdout, /TASK_KILLED for task 'stays'/)
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
