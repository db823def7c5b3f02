// The main job, whole, in virtual time: what must survive, survives.

import t from 'tap'
import { collectingLogger } from '../../src/base/log.ts'
import type { Offer } from '../../src/messages/offer.ts'
import { isTerminal } from '../../src/messages/status.ts'
import { Cluster, type ClusterOptions, MASTER } from '../../src/sim/cluster.ts'
import { Batch } from './batch.ts'

const repeat = (command: string, times: number): string[] =>
  Array.from({ length: times }, () => command)

async function cluster(agents = 3, seed = 1, options: ClusterOptions = {}): Promise<Cluster> {
  const made = new Cluster(seed, options)
  await made.startMaster()
  for (let i = 0; i < agents; i++) made.startAgent()
  return made
}

t.test('tasks run on all agents and their ends are acknowledged', async t => {
  const c = await cluster()
  const { scheduler } = c.run(new Batch([...repeat('echo hi; sleep 1', 20), 'exit 3']))
  await c.until(() => scheduler.count('TASK_FINISHED') === 20, '20 tasks finished')
  await c.until(() => scheduler.last('t20') === 'TASK_FAILED', 'one failed')
  t.same(
    scheduler.statuses.get('t0')?.map(s => s.state),
    ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'],
  )
  t.equal(scheduler.statuses.get('t20')?.at(-1)?.message, 'Command exited with status 3')
  t.ok(
    c.agents.every(agent => agent.processes.launched.length >= 4),
    'all agents were used',
  )
  await c.world.advance(1_000)
  const state = await c.state()
  t.equal(state.frameworks[0]?.tasks.length, 0)
  t.equal(state.frameworks[0]?.completed_tasks.length, 21)
  t.ok(state.slaves.every(agent => agent.used_resources.cpus === 0))
  t.same(c.world.fatalities, [])
})

t.test(
  'a killed master comes back: same agents, same tasks, and the framework goes on',
  async t => {
    const c = await cluster()
    const { scheduler } = c.run(
      new Batch([...repeat('sleep 30', 6), ...repeat('sleep 1', 30)], { failover_timeout: 600 }),
    )
    await c.until(() => scheduler.count('TASK_RUNNING') >= 6, 'tasks run')
    const before = await c.state()
    c.crashMaster()
    await c.world.advance(3_000)
    await c.startMaster()
    await c.until(() => scheduler.count('TASK_FINISHED') === 36, 'all tasks finished', 120_000)
    const after = await c.state()
    t.same(
      after.slaves.map(agent => `${agent.pid} ${agent.id}`).sort(),
      before.slaves.map(agent => `${agent.pid} ${agent.id}`).sort(),
      'agents have the ids they had',
    )
    t.equal(after.frameworks[0]?.id, before.frameworks[0]?.id)
    for (const id of scheduler.statuses.keys()) t.equal(scheduler.ends(id), 1, `${id} ended once`)
    t.equal(
      c.agents.reduce((sum, agent) => sum + agent.processes.launched.length, 0),
      36,
      'no task was started twice',
    )
    t.same(c.world.fatalities, [])
  },
)

t.test('launches that a dying master swallowed are asked about, and made again', async t => {
  const c = await cluster(1)
  class Unlucky extends Batch {
    #launched = false
    protected override offers(offers: readonly Offer[]): void {
      super.offers(offers)
      // In the same turn: the ACCEPT has not left this process yet.
      if (!this.#launched) c.crashMaster()
      this.#launched = true
    }
  }
  const { scheduler } = c.run(
    new Unlucky(repeat('sleep 1', 3), { failover_timeout: 600 }, { again: true }),
  )
  await c.world.advance(3_000)
  t.equal(c.agents[0]!.processes.launched.length, 0, 'nothing was launched')
  await c.startMaster()
  await c.until(() => scheduler.count('TASK_LOST') === 3, 'they are reported lost', 120_000)
  t.equal(scheduler.statuses.get('t0')?.[0]?.reason, 'REASON_RECONCILIATION')
  await c.until(() => scheduler.count('TASK_FINISHED') === 3, 'they are launched again', 60_000)
  t.same(c.world.fatalities, [])
})

for (const aware of [false, true]) {
  const capabilities = aware ? [{ type: 'PARTITION_AWARE' }] : []
  const expected = aware ? 'TASK_UNREACHABLE' : 'TASK_LOST'
  t.test(`a killed agent: tasks are ${expected} and run elsewhere`, async t => {
    const c = await cluster(2)
    const { scheduler } = c.run(
      new Batch(repeat('sleep 1000', 8), { capabilities }, { again: true }),
    )
    await c.until(() => scheduler.count('TASK_RUNNING') === 8, 'both agents are full')
    c.crashAgent(c.agents[0]!)
    await c.until(() => scheduler.count(expected) === 4, 'the tasks of one are given up')
    const another = c.startAgent()
    await c.until(
      () => another.processes.launched.length === 4,
      'they are launched on another agent',
    )
    t.equal(c.agents[1]!.processes.alive, 4)
    await c.until(() => scheduler.count('TASK_FINISHED') === 4, 'and end there')
    t.same(c.world.fatalities, [])
  })
}

t.test('a framework that is gone for longer than its failover_timeout is removed', async t => {
  const c = await cluster(1)
  const { scheduler, address } = c.run(new Batch(repeat('sleep 1000', 4), { failover_timeout: 20 }))
  await c.until(() => scheduler.count('TASK_RUNNING') === 4, 'tasks run')
  c.world.crash(address)
  await c.world.advance(19_000)
  t.equal(c.agents[0]!.processes.alive, 4, 'its tasks go on')
  t.equal((await c.state()).frameworks[0]?.connected, false)
  await c.world.advance(12_000)
  t.equal(c.agents[0]!.processes.alive, 0, 'its tasks are killed')
  const state = await c.state()
  t.equal(state.frameworks.length, 0)
  t.equal(state.completed_frameworks.length, 1)
  t.equal(state.slaves[0]?.used_resources.cpus, 0)
  const { scheduler: next } = c.run(new Batch(repeat('sleep 1', 4)))
  await c.until(() => next.count('TASK_FINISHED') === 4, 'the resources are there for others')
})

t.test('a scheduler that comes back in time keeps its tasks', async t => {
  const c = await cluster(1)
  const { scheduler, address } = c.run(new Batch(repeat('sleep 30', 4), { failover_timeout: 60 }))
  await c.until(() => scheduler.count('TASK_RUNNING') === 4, 'tasks run')
  const id = scheduler.frameworkId!
  c.world.crash(address)
  await c.world.advance(10_000)
  const { scheduler: second } = c.run(new Batch([], { failover_timeout: 60, id }))
  await c.until(() => second.frameworkId !== undefined && second.isSubscribed, 'subscribed again')
  second.reconcile()
  await c.until(() => second.count('TASK_FINISHED') === 4, 'its tasks end', 60_000)
  t.equal(c.agents[0]!.processes.launched.length, 4)
})

t.test('50 frameworks that always want more get their share', async t => {
  const c = await cluster(3)
  class Greedy extends Batch {
    #next = 0
    protected override offers(offers: readonly Offer[]): void {
      this.waiting = Array.from({ length: 12 }, (_, i) => ({
        name: 'greedy',
        task_id: { value: `g${this.#next + i}` },
        command: { value: `sleep ${0.2 + 0.1 * ((this.#next + i) % 5)}` },
        needs: { cpus: 1, mem: 64 },
      }))
      this.#next += 12
      super.offers(offers)
    }
  }
  const frameworks = Array.from({ length: 50 }, () => c.run(new Greedy([])).scheduler)
  await c.until(() => frameworks.every(f => f.frameworkId), 'all subscribed')
  const cpuMs = new Map<string, number>()
  const stepMs = 50
  for (let ms = 0; ms < 30_000; ms += stepMs) {
    await c.world.advance(stepMs)
    for (const framework of (await c.state()).frameworks) {
      const used = framework.used_resources.cpus * stepMs
      cpuMs.set(framework.id, (cpuMs.get(framework.id) ?? 0) + used)
    }
  }
  const shares = [...cpuMs.values()].sort((a, b) => a - b)
  const total = shares.reduce((sum, share) => sum + share, 0)
  t.equal(shares.length, 50)
  t.ok(total > 0.8 * 12 * 30_000, `the cluster is kept busy: ${(total / (12 * 300)).toFixed(0)} %`)
  t.ok(
    shares[0]! >= total / 50 / 2,
    `the least has ${((shares[0]! * 50) / total).toFixed(2)} of its fair share`,
  )
  t.same(c.world.fatalities, [])
})

t.test('a partition of an agent: it is given up by its silence, and comes back', async t => {
  const c = await cluster(1)
  const capabilities = [{ type: 'PARTITION_AWARE' }]
  const { scheduler } = c.run(new Batch(repeat('sleep 600', 4), { capabilities, checkpoint: true }))
  await c.until(() => scheduler.count('TASK_RUNNING') === 4, 'tasks run')
  c.world.network.partition([c.agents[0]!.address], [MASTER])
  await c.until(() => scheduler.count('TASK_UNREACHABLE') === 4, 'unreachable', 120_000)
  t.equal((await c.state()).slaves.length, 0)
  c.world.network.heal()
  await c.until(() => scheduler.count('TASK_RUNNING') === 4, 'back', 60_000)
  t.equal(
    scheduler.statuses.get('t0')?.at(-1)?.reason,
    'REASON_AGENT_REREGISTERED',
    'the scheduler is told that they run after all',
  )
  await c.until(() => scheduler.count('TASK_FINISHED') === 4, 'they end where they began', 900_000)
  t.equal(c.agents[0]!.processes.launched.length, 4)
})

t.test('the same seed gives the same run', async t => {
  const transcript = async (seed: number): Promise<string> => {
    const log = collectingLogger('info')
    const c = await cluster(3, seed, { log })
    const { scheduler } = c.run(new Batch(repeat('sleep 1', 40), { failover_timeout: 60 }))
    await c.world.advance(1_500)
    c.crashMaster()
    await c.world.advance(500)
    await c.startMaster()
    await c.until(() => scheduler.count('TASK_FINISHED') === 40, 'all finished', 120_000)
    return log.records.map(r => JSON.stringify([r.level, r.message, r.fields])).join('\n')
  }
  const first = await transcript(7)
  t.equal(await transcript(7), first)
  t.not(await transcript(8), first)
})

for (const seed of [1, 2, 3, 4, 5, 6]) {
  t.test(`random kills, seed ${seed}: every task ends once, nothing stays allocated`, async t => {
    const c = await cluster(3, seed)
    const { random } = c.world
    const capabilities = [{ type: 'PARTITION_AWARE' }]
    const options = { failover_timeout: 3_600, capabilities }
    const { scheduler } = c.run(new Batch(repeat('sleep 2', 60), options))
    for (let round = 0; round < 6; round++) {
      await c.world.advance(500 + random.integer(2_500))
      const kind = random.integer(3)
      if (kind === 0) {
        c.crashMaster()
        await c.world.advance(random.integer(4_000))
        await c.startMaster()
      } else if (kind === 1) {
        const agent = c.agents[random.integer(3)]!
        c.crashAgent(agent)
        await c.world.advance(random.integer(3_000))
        c.restartAgent(agent)
      } else {
        const agent = c.agents[random.integer(3)]!
        c.world.network.partition([agent.address], [MASTER])
        await c.world.advance(random.integer(30_000))
        c.world.network.heal()
      }
    }
    await c.until(() => scheduler.waiting.length === 0, 'all launched', 600_000)
    await c.world.advance(900_000)
    scheduler.reconcile([...scheduler.statuses.keys()].map(value => ({ task_id: { value } })))
    await c.world.advance(5_000)
    for (const [id, statuses] of scheduler.statuses) {
      const ends = statuses.filter(s => isTerminal(s.state) && s.reason !== 'REASON_RECONCILIATION')
      t.ok(ends.length <= 1, `${id}: ${statuses.map(s => s.state).join(' ')}`)
    }
    const state = await c.state()
    t.equal(state.slaves.length, 3)
    t.ok(
      state.slaves.every(agent => agent.used_resources.cpus === 0),
      'nothing is used',
    )
    t.same(c.world.fatalities, [])
  })
}
