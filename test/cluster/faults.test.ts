// Faults that machines and networks really have, one at a time, and what a whole cluster makes of them.

import t, { type Test } from 'tap'
import { seconds } from '../../src/base/duration.ts'
import type { RunTask, StatusUpdateMessage } from '../../src/messages/agent-registration.ts'
import type { Event } from '../../src/messages/scheduler-api.ts'
import { Cluster, MASTER } from '../../src/sim/cluster.ts'
import { BooksCheck } from '../../src/sim/books.ts'
import type { VirtualProgram } from '../../src/sim/virtual-processes.ts'
import { Batch } from './batch.ts'

const capabilities = [{ type: 'PARTITION_AWARE' }]

/** Runs with the books looked at after every event; at the end nothing may be left. */
async function withCluster(
  t: Test,
  agents: number,
  run: (c: Cluster) => Promise<void>,
  program?: () => VirtualProgram,
) {
  const books = new BooksCheck()
  const c = new Cluster(1, { inspect: books.attach, ...(program && { program }) })
  c.world.check('books', books.look)
  await c.startMaster()
  for (let i = 0; i < agents; i++) c.startAgent()
  await run(c)
  t.strictSame(books.lookAtAll(), [])
  await c.world.stop()
  await c.world.advance(seconds(30))
  t.strictSame(c.world.leftovers(), [])
}

t.test('an agent that stood still for minutes takes up where it was', t =>
  withCluster(t, 1, async c => {
    const { scheduler } = c.run(
      new Batch(['sleep 30', 'sleep 600'], { capabilities, checkpoint: true }),
    )
    await c.until(() => scheduler.count('TASK_RUNNING') === 2, 'tasks run')
    const { address } = c.agents[0]!
    c.world.pause(address)
    await c.until(() => scheduler.count('TASK_UNREACHABLE') === 2, 'it is given up', 180_000)
    await c.world.advance(120_000)
    c.world.unpause(address)
    await c.until(() => scheduler.last('t0') === 'TASK_FINISHED', 'what ended is told', 60_000)
    await c.until(() => scheduler.last('t1') === 'TASK_RUNNING', 'what runs is back', 60_000)
    await c.until(() => scheduler.last('t1') === 'TASK_FINISHED', 'it ends', 600_000)
    t.equal(c.agents[0]!.processes.launched.length, 2)
  }),
)

t.test('a master that stood still for minutes gives nobody up for that', t =>
  withCluster(t, 2, async c => {
    const { scheduler } = c.run(new Batch(Array(8).fill('sleep 900'), { failover_timeout: 900 }))
    await c.until(() => scheduler.count('TASK_RUNNING') === 8, 'tasks run')
    const before = (await c.state()).slaves.map(({ id }) => id)
    c.world.pause(MASTER)
    await c.world.advance(300_000)
    c.world.unpause(MASTER)
    await c.world.advance(60_000)
    const state = await c.state()
    t.strictSame(
      state.slaves.map(({ id }) => id),
      before,
    )
    t.equal(state.frameworks[0]?.connected, true)
    await c.until(() => scheduler.count('TASK_FINISHED') === 8, 'all tasks end', 900_000)
  }),
)

t.test('two schedulers come back each at the address of the other', t =>
  withCluster(t, 1, async c => {
    const more = { failover_timeout: 600 }
    const one = c.run(new Batch(['sleep 60'], { ...more, name: 'one' }))
    const two = c.run(new Batch(['sleep 60'], { ...more, name: 'two' }))
    const both = [one, two].map(({ scheduler }) => scheduler)
    await c.until(() => both.every(s => s.count('TASK_RUNNING') === 1), 'tasks run')
    c.world.crash(one.address)
    c.world.crash(two.address)
    const next = [
      c.run(new Batch([], { ...more, name: 'one', id: both[0]!.frameworkId! }), two.address),
      c.run(new Batch([], { ...more, name: 'two', id: both[1]!.frameworkId! }), one.address),
    ].map(({ scheduler }) => scheduler)
    await c.until(() => next.every(s => s.isSubscribed), 'both are back')
    await c.until(() => next.every(s => s.count('TASK_FINISHED') === 1), 'own tasks end', 90_000)
    t.strictSame(
      next.map(s => s.errors),
      [[], []],
    )
    t.equal((await c.state()).frameworks.length, 2)
  }),
)

t.test('a master whose disk is full ends, and the next one knows what was acknowledged', t =>
  withCluster(t, 1, async c => {
    await c.until(() => c.disk.syncs > 1, 'the agent is written')
    await c.world.advance(1_000)
    const before = (await c.state()).slaves[0]!.id
    c.disk.full = true
    const late = c.startAgent()
    await c.until(() => c.isDown(MASTER), 'it ends rather than forget')
    t.match(c.world.fatalities, [{ error: { code: 'store_failed' } }])
    t.notOk(c.isDown(late.address))
    c.disk.full = false
    await c.startMaster()
    await c.world.advance(30_000)
    const { slaves } = await c.state()
    t.equal(slaves.length, 2)
    t.ok(slaves.some(({ id }) => id === before))
  }),
)

t.test('updates that come again with another connection change nothing', t =>
  withCluster(t, 1, async c => {
    const { scheduler } = c.run(
      new Batch(['sleep 1', 'sleep 90'], { capabilities, checkpoint: true, failover_timeout: 600 }),
    )
    const rule = c.world.network.duplicate(
      ({ message, body }) =>
        message === 'master.agent/status_update' ||
        (message === 'scheduler/event' && (body as Event).type === 'UPDATE'),
    )
    await c.until(() => scheduler.last('t0') === 'TASK_FINISHED', 'one ended')
    rule.stop()
    c.world.network.reset(MASTER)
    await c.until(() => scheduler.last('t1') === 'TASK_FINISHED', 'the other one too', 120_000)
    t.ok(rule.count > 4, `${rule.count} messages came twice`)
    t.equal(scheduler.ends('t0'), 1)
    t.equal(scheduler.ends('t1'), 1)
    // The last acknowledgement is on its way.
    await c.world.advance(100)
    t.equal((await c.state()).frameworks[0]?.tasks.length, 0)
  }),
)

t.test('clocks that disagree by hours, and in their pace, are no hindrance', async t => {
  const c = new Cluster(1)
  c.world.skew(MASTER, { rate: 1.2, offsetMs: -7_200_000 })
  c.world.skew('10.0.1.1:5051', { rate: 0.8, offsetMs: 7_200_000 })
  await c.startMaster()
  c.startAgent()
  const { scheduler } = c.run(new Batch(Array(12).fill('sleep 100')))
  await c.until(() => scheduler.count('TASK_FINISHED') === 12, 'all tasks end', 400_000)
  t.equal(scheduler.count('TASK_LOST'), 0)
  t.same(c.world.fatalities, [])
})

t.test('a launch that never reached its agent ends once, also after a failover', t =>
  withCluster(t, 1, async c => {
    const more = { capabilities, failover_timeout: 600, checkpoint: true }
    const { scheduler } = c.run(new Batch(['sleep 600', 'sleep 1'], more))
    const [, late] = scheduler.waiting
    scheduler.waiting = scheduler.waiting.slice(0, 1)
    await c.until(() => scheduler.last('t0') === 'TASK_RUNNING', 'the agent has the framework')
    scheduler.waiting = [late!]
    const { network } = c.world
    const lost = network.drop(
      ({ message, body }) =>
        message === 'agent.master/run_task' && (body as RunTask).task.task_id.value === 't1',
    )
    // What the agent says of it does not get through before the failover.
    const updates = network.drop(
      ({ message, body }) =>
        message === 'master.agent/status_update' &&
        (body as StatusUpdateMessage).update.status.task_id.value === 't1',
    )
    await c.until(() => lost.count === 1, 'its launch is lost')
    network.cutOff(c.agents[0]!.address)
    await c.until(() => updates.count > 0, 'the agent says that it has no such task')
    c.crashMaster()
    await c.startMaster()
    await c.until(() => scheduler.isSubscribed, 'subscribed again')
    await c.world.advance(5_000)
    scheduler.reconcile([
      { task_id: { value: 't1' }, agent_id: scheduler.statuses.get('t0')![0]!.agent_id! },
    ])
    await c.world.advance(1_000)
    updates.stop()
    await c.world.advance(60_000)
    const ends = scheduler.statuses.get('t1')!.map(({ state }) => state)
    t.same([...new Set(ends)], ['TASK_DROPPED'])
    t.equal((await c.state()).frameworks[0]?.tasks.length, 1, 'and leaves the books')
  }),
)

t.test('what a framework that ended still holds on an agent is not counted twice', t => {
  const stubborn = () => ({ ignoresSigterm: true })
  return withCluster(
    t,
    1,
    async c => {
      const more = { failover_timeout: 600, checkpoint: true }
      const first = c.run(new Batch(Array(4).fill('first'), more)).scheduler
      await c.until(() => first.count('TASK_RUNNING') === 4, 'the agent is full')
      const second = c.run(new Batch(Array(4).fill('second'), more)).scheduler
      first.teardown()
      await c.until(() => second.count('TASK_RUNNING') === 4, 'what it had is given out')
      const { processes } = c.agents[0]!
      t.equal(processes.alive, 8, 'its tasks take no notice of being asked to end')
      c.crashMaster()
      await c.startMaster()
      await c.world.advance(1_500)
      const [agent] = (await c.state()).slaves
      t.match(agent, { active: true, used_resources: { cpus: 4 } })
      t.equal(processes.alive, 8)
      await c.until(() => processes.alive === 4, 'they are killed')
      t.equal(second.count('TASK_RUNNING'), 4)
    },
    stubborn,
  )
})

for (const when of ['it is registered', 'the master reads its registry'] as const) {
  t.test(`an agent that dies while ${when} leaves its id to no other`, t =>
    withCluster(t, 0, async c => {
      if (when === 'it is registered') await c.world.advance(5_000)
      c.disk.syncMs = 200
      const host = c.startAgent('cpus:8;mem:4096')
      await c.world.advance(50)
      c.crashAgent(host)
      host.resources = 'cpus:2;mem:1024'
      await c.world.advance(50)
      c.restartAgent(host)
      await c.world.advance(30_000)
      const { slaves } = await c.state()
      t.equal(slaves.length, 1)
      t.match(slaves[0], { active: true, resources: { cpus: 2 } })
      const { scheduler } = c.run(new Batch(Array(2).fill('sleep 1')))
      await c.until(() => scheduler.count('TASK_FINISHED') === 2, 'tasks run there')
    }),
  )
}
