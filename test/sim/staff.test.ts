// Simulated executors: processes of their own, which run tasks until they are told to end them.

import t from 'tap'
import type { TaskID } from '../../src/messages/ids.ts'
import { Cluster } from '../../src/sim/cluster.ts'
import { EXECUTOR_COMMAND, Staff } from '../../src/sim/staff.ts'
import { TaskRuns } from '../../src/sim/task-runs.ts'
import { Batch } from '../cluster/batch.ts'

class Employer extends Batch {
  override kill(id: TaskID): void {
    super.kill(id)
  }
}

t.test('a task that is killed ends in its executor, which leaves when it is idle', async t => {
  const violations: string[] = []
  const runs = new TaskRuns(text => violations.push(text))
  const staff: Staff = new Staff(() => cluster.world, runs)
  const cluster: Cluster = new Cluster(1, { program: (host, spec) => staff.program(host, spec)! })
  await cluster.startMaster()
  const agent = cluster.startAgent()
  const employer = new Employer([])
  employer.waiting = ['t0', 't1'].map(value => ({
    name: 'sleep 1000',
    task_id: { value },
    executor: {
      executor_id: { value: 'staff' },
      command: { value: EXECUTOR_COMMAND },
      needs: { cpus: 0.1, mem: 32 },
    },
    needs: { cpus: 1, mem: 64 },
  }))
  cluster.run(employer)
  await cluster.until(() => employer.count('TASK_RUNNING') === 2, 'tasks run')
  t.equal(agent.processes.alive, 1)
  for (const value of ['t0', 'never', 't1']) employer.kill({ value })
  await cluster.until(() => employer.count('TASK_KILLED') === 2, 'tasks are killed')
  await cluster.world.advance(30_000)
  t.equal(agent.processes.alive, 0)
  t.strictSame([employer.ends('t0'), employer.ends('t1')], [1, 1])
  t.strictSame(violations, [])
})
