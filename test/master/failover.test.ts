import t from 'tap'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { Cluster, type FakeAgent, type FakeScheduler, PARTITION_AWARE } from './cluster.ts'

/** Comes back by itself, as real ones do. */
function faithful(c: Cluster, agent: FakeAgent, scheduler?: FakeScheduler): void {
  agent.onLost = () => c.world.clock.delay(100, () => agent.reregister())
  if (scheduler) scheduler.onLost = () => c.world.clock.delay(100, () => scheduler.subscribe())
}

t.test('after a failover agents are back under their ids, with all that they run', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const scheduler = await c.subscribed({ failover_timeout: 60, ...PARTITION_AWARE })
  await c.running(scheduler, agent, 't1')
  const { id: before } = await c.json('/state')
  await c.failover()
  const early = await c.json('/state')
  t.not(early.id, before)
  t.match([early.slaves, early.frameworks], [[], []])
  t.match(early.recovered_slaves, [{ id: agent.id, hostname: 'host-1', resources: { cpus: 4 } }])
  t.match((await c.json('/slaves')).recovered_slaves, [{ id: agent.id }])
  // The framework first: it knows more than the master, which therefore keeps silent.
  scheduler.subscribe()
  await c.settle()
  const known = scheduler.statuses.length
  scheduler.reconcile(['t1'], ['t1', agent.id])
  await c.settle()
  t.equal(scheduler.statuses.length, known)
  agent.update('t1', 'TASK_RUNNING')
  await c.settle()
  t.equal(scheduler.statuses.length, known, 'an agent has to register first')
  await c.reregister(agent)
  await c.settle()
  const state = await c.json('/state')
  t.match(state.slaves, [{ id: agent.id, used_resources: { cpus: 1 }, resources: { cpus: 4 } }])
  t.match(state.frameworks, [
    {
      id: scheduler.id,
      connected: true,
      recovered: false,
      tasks: [{ id: 't1', state: 'TASK_RUNNING' }],
    },
  ])
  t.same(state.recovered_slaves, [])
  t.equal(scheduler.statuses.length, known, 'what was never called lost is not announced')
  const offer = await c.revived(scheduler)
  t.same(
    offer.resources?.map(r => r.scalar?.value),
    [3, 4064],
  )
  agent.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
  const next = await c.registered()
  t.notOk(next.id!.startsWith(before), "new ids are the new master's")
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 8, mem: 8192 })
})

t.test('a framework that only agents know waits for its scheduler, but not for ever', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const short = await c.subscribed({ name: 'short', failover_timeout: 60 })
  await c.running(short, agent, 't1')
  const long = await c.subscribed({ name: 'long', failover_timeout: 3600 })
  await c.running(long, agent, 't2')
  c.world.crash(short.address)
  await c.failover()
  await c.reregister(agent)
  const recovered = { connected: false, active: false, recovered: true }
  t.match((await c.json('/frameworks')).frameworks, [
    { id: short.id, ...recovered, tasks: [{ id: 't1' }] },
    { id: long.id, ...recovered, tasks: [{ id: 't2' }] },
  ])
  const names = async () =>
    (await c.json('/frameworks')).frameworks.map((f: { name: string }) => f.name)
  await c.world.advance(599_000)
  t.same(await names(), ['short', 'long'])
  await c.world.advance(2_000)
  t.same(await names(), ['long'])
  t.same(agent.of('shutdown_framework'), [{ framework_id: { value: short.id } }])
  long.subscribe()
  await c.settle()
  await c.world.advance(4_000_000)
  t.match((await c.json('/frameworks')).frameworks, [
    { name: 'long', connected: true, tasks: [{ id: 't2' }] },
  ])
})

t.test(
  'an acknowledgement of an update that this master has not seen waits for the update',
  async t => {
    const c = await Cluster.start({ disk: new MemoryDisk() })
    const agent = await c.registered()
    const scheduler = await c.subscribed({ failover_timeout: 60, ...PARTITION_AWARE })
    await c.running(scheduler, agent, 't1')
    scheduler.acknowledges = false
    const uuid = agent.update('t1', 'TASK_FAILED')
    const failed = await c.status(scheduler, 't1', 'TASK_FAILED')
    await c.failover()
    // An agent that does not say which update of the task it sent last.
    const known = agent.tasks.get('t1')!
    delete known.status_update_state
    delete known.status_update_uuid
    await c.reregister(agent)
    scheduler.subscribe()
    await c.settle()
    const before = agent.of('status_update_acknowledgement').length
    scheduler.acknowledge(failed)
    await c.settle()
    t.equal(agent.of('status_update_acknowledgement').length, before, 'the agent is not told')
    t.match((await c.json('/state')).frameworks, [{ tasks: [{ id: 't1' }] }])
    // So it repeats the update, by which this master knows what is acknowledged.
    scheduler.acknowledges = true
    agent.say('status_update', {
      update: {
        framework_id: { value: scheduler.id! },
        agent_id: { value: agent.id! },
        status: { ...failed, uuid },
        timestamp: failed.timestamp!,
        uuid,
        latest_state: 'TASK_FAILED',
      },
    })
    await c.settle()
    t.equal(agent.of('status_update_acknowledgement').length, before + 1)
    t.match((await c.json('/state')).frameworks, [{ tasks: [], completed_tasks: [{ id: 't1' }] }])
  },
)

t.test('what ended while there was no master is told by its updates, in their order', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const scheduler = await c.subscribed({ failover_timeout: 60, ...PARTITION_AWARE })
  await c.running(scheduler, agent, 't1')
  await c.failover()
  // None of its updates has been sent yet.
  const known = agent.tasks.get('t1')!
  known.state = 'TASK_FINISHED'
  delete known.status_update_state
  delete known.status_update_uuid
  await c.reregister(agent)
  scheduler.subscribe()
  await c.settle()
  scheduler.reconcile(['t1', agent.id])
  await c.settle()
  t.match(scheduler.statuses.at(-1), { state: 'TASK_STAGING', reason: 'REASON_RECONCILIATION' })
  const uuid = agent.update('t1', 'TASK_FINISHED')
  await c.settle()
  const ends = scheduler.statuses.filter(({ state }) => state === 'TASK_FINISHED')
  t.match(ends, [{ uuid }])
})

t.test('agents that do not come back in time are unreachable', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agents = [await c.registered(), await c.registered(), await c.registered()]
  const scheduler = await c.subscribed(PARTITION_AWARE)
  await c.failover()
  scheduler.subscribe()
  await c.reregister(agents[0]!)
  await c.world.advance(601_000)
  t.same(
    scheduler.of('FAILURE').map(e => e.failure.agent_id?.value),
    agents.slice(1).map(a => a.id),
  )
  const state = await c.json('/state')
  t.match([state.recovered_slaves, state.unreachable_slaves], [[], 2])
  scheduler.reconcile(['t', agents[1]!.id])
  await c.settle()
  t.match(scheduler.statuses.at(-1), { state: 'TASK_UNREACHABLE' })
  // Late is not too late.
  await c.reregister(agents[1]!)
  await c.failover()
  t.same(
    (await c.json('/state')).recovered_slaves.map((a: { id: string }) => a.id),
    [agents[0]!.id, agents[1]!.id],
  )
})

t.test('what is said while the registry is read is served afterwards', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk(), syncMs: 100 })
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  c.crashMaster()
  await c.world.advance(1_000)
  await c.startMaster()
  await c.settle()
  const early = await c.get('/state')
  t.match([early.status, early.body], [503, 'Master has not finished recovery\n'])
  t.equal((await c.get('/registrar(1)/registry')).status, 503)
  t.equal((await c.get('/health')).status, 200)
  const subscriptions = scheduler.of('SUBSCRIBED').length
  agent.reregister()
  scheduler.subscribe()
  await c.settle()
  t.equal((await c.get('/state')).status, 503)
  t.equal(scheduler.of('SUBSCRIBED').length, subscriptions)
  await c.leading()
  await c.settle()
  t.match((await c.json('/state')).slaves, [{ id: agent.id }])
  t.match((await c.json('/state')).frameworks, [{ id: scheduler.id }])
})

t.test('a registration that was not written is not answered; it is asked again', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = c.agent()
  agent.register()
  await c.world.advance(1.2)
  c.crashMaster()
  await c.startMaster()
  await c.leading()
  t.equal(agent.id, undefined)
  t.same((await c.json('/state')).recovered_slaves, [])
  await c.register(agent)
  t.match((await c.json('/registrar(1)/registry')).agents, [{ id: { value: agent.id } }])
})

t.test('the registry is snapshot and truncated, and still read as a whole', async t => {
  const disk = new MemoryDisk()
  const c = await Cluster.start({ disk })
  const stays = await c.registered()
  const goes = c.agent()
  for (let i = 0; i < 520; i++) {
    goes.id = undefined
    await c.register(goes)
    goes.say('unregister_agent', { agent_id: { value: goes.id! } })
    await c.settle()
  }
  const position = c.log.records.find(r => r.message.startsWith('registry snapshot'))?.fields[
    'position'
  ]
  t.ok(position)
  await c.failover()
  t.same(
    (await c.json('/registrar(1)/registry')).agents.map((a: { id: object }) => a.id),
    [{ value: stays.id }],
  )
  await c.register(c.agent())
  t.same(c.world.fatalities, [])
})

t.test('a disk that fails ends the process, rather than a word that is not kept', async t => {
  const disk = new MemoryDisk()
  const c = await Cluster.start({ disk })
  disk.failure = new Error('no space left on device')
  const agent = c.agent()
  agent.register()
  await c.settle()
  t.equal(agent.id, undefined)
  t.match(c.world.fatalities, [{ actor: 'registrar(1)@10.0.0.1:5050' }])
})

t.test('agents and schedulers that come back by themselves need nobody', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const scheduler = await c.subscribed({ failover_timeout: 60 })
  faithful(c, agent, scheduler)
  await c.running(scheduler, agent, 't1')
  for (let i = 0; i < 3; i++) {
    c.crashMaster()
    await c.world.advance(5_000)
    await c.startMaster()
    await c.leading()
    await c.world.advance(30_000)
    t.match((await c.json('/state')).frameworks, [{ connected: true, tasks: [{ id: 't1' }] }])
  }
})

t.test('agents that were given up long ago, or are too many, are forgotten', async t => {
  const c = await Cluster.start({
    disk: new MemoryDisk(),
    flags: {
      registry_max_agent_age: '1hrs',
      registry_max_agent_count: '2',
      registry_gc_interval: '10mins',
    },
  })
  const lost: string[] = []
  const unreachable = async () =>
    (await c.json('/registrar(1)/registry')).unreachable.map(
      (a: { id: { value: string } }) => a.id.value,
    )
  for (let i = 0; i < 3; i++) {
    const agent = await c.registered()
    lost.push(agent.id!)
    c.world.crash(agent.runtime.address)
    await c.world.advance(100_000)
  }
  t.same(await unreachable(), lost)
  await c.world.advance(600_000)
  t.same(await unreachable(), lost.slice(1))
  await c.world.advance(4_000_000)
  t.same(await unreachable(), [])
  t.equal((await c.json('/state')).unreachable_slaves, 0)
  await c.failover()
  t.same(await unreachable(), [])
})
