import t from 'tap'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { Cluster, executor, type FakeAgent, MASTER, PARTITION_AWARE, task } from './cluster.ts'

/** The same agent, as a new process with the same memory. */
function reborn(c: Cluster, agent: FakeAgent, address: string): FakeAgent {
  const again = c.agent({ ...agent.options, address })
  again.id = agent.id
  again.resources = agent.resources
  for (const [id, known] of agent.tasks) again.tasks.set(id, known)
  for (const [id, known] of agent.frameworks) again.frameworks.set(id, known)
  again.executors.push(...agent.executors)
  return again
}

const HOST = '10.0.1.1:5051'

t.test('registering again is answered again, under the same id', async t => {
  const c = await Cluster.start()
  const agent = c.agent()
  agent.register()
  agent.register()
  await c.settle()
  agent.register()
  await c.settle()
  t.same(
    agent.of('registered').map(r => [r.agent_id.value, r.connection.total_ping_timeout_seconds]),
    [
      [agent.id, 75],
      [agent.id, 75],
    ],
  )
  t.match(agent.id, /-S0$/)
  const { slaves } = await c.json('/slaves')
  t.match(slaves, [{ id: agent.id, active: true, deactivated: false, pid: `slave(1)@${HOST}` }])
})

t.test('an agent that is gone takes its offers and tasks with it', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const lost = await c.subscribed({ name: 'old' })
  await c.running(lost, agent, 't1')
  const aware = await c.subscribed({ name: 'aware', ...PARTITION_AWARE })
  const kept = await c.subscribed({ name: 'kept', checkpoint: true })
  await c.running(aware, agent, 't2')
  await c.running(kept, agent, 't3')
  const offer = await c.revived(kept)
  c.world.crash(HOST)
  await c.settle()
  t.match(await c.status(lost, 't1', 'TASK_LOST'), {
    reason: 'REASON_AGENT_DISCONNECTED',
    source: 'SOURCE_MASTER',
    message: 'Agent host-1 disconnected',
    uuid: undefined,
  })
  const status = await c.status(aware, 't2', 'TASK_UNREACHABLE')
  t.ok(status.unreachable_time)
  t.same(
    kept.states('t3'),
    ['TASK_RUNNING'],
    'the executor of a checkpointing framework may live on',
  )
  t.same(
    kept.of('RESCIND').map(e => e.rescind.offer_id),
    [offer.id],
  )
  kept.accept([offer], [task('t4', offer)])
  await c.status(kept, 't4', 'TASK_LOST')
  t.match((await c.json('/state')).slaves, [{ active: false, used_resources: { cpus: 1 } }])
  await c.world.advance(80_000)
  t.match(await c.status(kept, 't3', 'TASK_LOST'), {
    reason: 'REASON_AGENT_REMOVED',
    message: 'Agent host-1 is unreachable: health check timed out',
  })
  t.match(
    kept.of('FAILURE').map(e => e.failure),
    [{ agent_id: { value: agent.id } }],
  )
  const state = await c.json('/state')
  t.match([state.slaves, state.unreachable_slaves], [[], 1])
  // Known to be out of reach, and for the registry as well.
  aware.reconcile(['t2'], ['t2', agent.id])
  await c.settle()
  t.match(aware.statuses.slice(-2), [
    { state: 'TASK_UNREACHABLE', agent_id: { value: agent.id } },
    { state: 'TASK_UNREACHABLE' },
  ])
})

t.test('silence is counted: five pings of fifteen seconds', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  await c.running(scheduler, agent, 't1')
  await c.world.advance(200_000)
  t.equal(agent.of('ping').length, 14)
  t.ok(agent.of('ping').every(p => p.connected))
  agent.answersPings = false
  await c.world.advance(50_000)
  agent.answersPings = true
  await c.world.advance(100_000)
  t.same(scheduler.of('FAILURE'), [], 'one answer in time is enough')
  agent.answersPings = false
  const from = c.world.clock.now()
  await c.world.until(() => scheduler.of('FAILURE').length > 0, 'given up', 100_000)
  const tookMs = c.world.clock.now() - from
  t.ok(tookMs > 60_000 && tookMs < 90_000, `${tookMs} ms`)
  t.match(await c.status(scheduler, 't1', 'TASK_LOST'), { reason: 'REASON_AGENT_REMOVED' })
  // It has heard nothing of this and reports on: it is asked to register again, and what it runs is back.
  agent.update('t1', 'TASK_RUNNING')
  await c.settle()
  t.same(agent.of('ping').at(-1), { connected: false })
  agent.answersPings = true
  await c.reregister(agent)
  t.match(scheduler.statuses.at(-1), {
    task_id: { value: 't1' },
    state: 'TASK_RUNNING',
    reason: 'REASON_AGENT_REREGISTERED',
    source: 'SOURCE_MASTER',
  })
  const state = await c.json('/state')
  t.match(state.slaves, [{ id: agent.id, used_resources: { cpus: 1 } }])
  t.match(state.frameworks, [{ tasks: [{ id: 't1' }], unreachable_tasks: [], completed_tasks: [] }])
  t.equal(state.unreachable_slaves, 0)
  agent.update('t1', 'TASK_FINISHED')
  await c.settle()
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 4, mem: 4096 })
})

t.test('an agent that comes back says what it runs, and is told what it should run', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed({ checkpoint: true, failover_timeout: 1000 })
  await c.running(scheduler, agent, 't1')
  await c.running(scheduler, agent, 't2')
  const ended = await c.subscribed({ name: 'ended', checkpoint: true })
  await c.running(ended, agent, 't3')
  c.world.crash(HOST)
  await c.settle()
  ended.say({ type: 'TEARDOWN' })
  const renamed = { ...scheduler.info, name: 'renamed' }
  scheduler.say({ type: 'UPDATE_FRAMEWORK', update_framework: { framework_info: renamed } })
  await c.settle()
  const again = reborn(c, agent, HOST)
  again.tasks.delete('t2')
  await c.reregister(again)
  await c.settle()
  t.match(again.of('reregistered')[0], {
    agent_id: { value: agent.id },
    reconciliations: [
      { framework_id: { value: scheduler.id }, statuses: [{ task_id: { value: 't2' } }] },
    ],
  })
  t.same(again.of('shutdown_framework'), [{ framework_id: { value: ended.id } }])
  t.match(again.of('update_framework'), [{ framework: { name: 'renamed' } }])
  t.same(scheduler.states('t1'), ['TASK_RUNNING'], 'what was never called lost is not announced')
  again.update('t2', 'TASK_LOST', { reason: 'REASON_RECONCILIATION' }, scheduler.id)
  await c.status(scheduler, 't2', 'TASK_LOST')
  again.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 4, mem: 4096 })
})

t.test('tasks that were called lost with a broken connection are back with it', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  const own = { executor: executor('e1', 'cpus:0.5'), command: undefined }
  await c.running(scheduler, agent, 't1', own)
  c.world.crash(HOST)
  await c.status(scheduler, 't1', 'TASK_UNREACHABLE')
  scheduler.reconcile(['t1', agent.id])
  await c.settle()
  t.match(scheduler.statuses.at(-1), { state: 'TASK_UNREACHABLE' })
  const again = reborn(c, agent, HOST)
  await c.reregister(again)
  await c.settle()
  t.match(scheduler.statuses.at(-1), {
    state: 'TASK_RUNNING',
    reason: 'REASON_AGENT_REREGISTERED',
    executor_id: { value: 'e1' },
  })
  t.match((await c.json('/state')).frameworks, [
    { tasks: [{ id: 't1' }], unreachable_tasks: [], executors: [{ executor_id: 'e1' }] },
  ])
  t.match((await c.json('/state')).slaves, [{ used_resources: { cpus: 1.5 } }])
})

t.test('with one ping that may be missed, an agent that answers is kept', async t => {
  const c = await Cluster.start({
    flags: { max_agent_ping_timeouts: '1', agent_ping_timeout: '1secs' },
  })
  const scheduler = await c.subscribed()
  const agent = await c.registered()
  await c.world.advance(60_000)
  t.same(scheduler.of('FAILURE'), [])
  t.equal(agent.of('registered')[0]!.connection.total_ping_timeout_seconds, 2)
  agent.answersPings = false
  await c.world.until(() => scheduler.of('FAILURE').length > 0, 'given up', 2_500)
})

t.test('what an agent said before it had the last answer is not what it runs', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed({ ...PARTITION_AWARE, checkpoint: true })
  await c.running(scheduler, agent, 't1')
  // As if this had been on its way since before the first answer and the task; and the agent has been given up since.
  agent.answersPings = false
  await c.world.until(() => scheduler.of('FAILURE').length > 0, 'given up', 100_000)
  agent.registration = undefined
  const tasks = new Map(agent.tasks)
  agent.tasks.clear()
  agent.reregister()
  for (const [id, task] of tasks) agent.tasks.set(id, task)
  await c.settle()
  const [answer] = agent.of('registered')
  t.strictSame(agent.of('ping').at(-2), { connected: false, registration: answer!.registration })
  t.equal(agent.of('reregistered').length, 1, 'it asked once more')
  t.match(scheduler.statuses.at(-1), { state: 'TASK_RUNNING', task_id: { value: 't1' } })
  const names = [answer, ...agent.of('reregistered')].map(body => body?.registration)
  t.equal(new Set(names).size, 2, 'each answer has a name of its own')
})

t.test('more tasks than one message holds come back in several', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed({ ...PARTITION_AWARE, checkpoint: true })
  await c.running(scheduler, agent, 't1')
  await c.running(scheduler, agent, 't2')
  await c.failover()
  const running = async () => {
    const [framework] = (await c.json('/state')).frameworks as { tasks: { id: string }[] }[]
    return framework?.tasks.map(({ id }) => id).sort() ?? []
  }
  void agent.reregisterInParts(part => part !== 0)
  await c.settle()
  t.strictSame(agent.of('reregistered'), [], 'of an attempt that is not whole nothing is taken')
  void agent.reregisterInParts(part => part !== 1)
  await c.settle()
  t.strictSame(agent.of('reregistered'), [])
  void agent.reregisterInParts()
  await c.settle()
  t.strictSame(agent.taken, [false, true, true, true])
  t.equal(agent.of('reregistered').length, 1)
  t.strictSame(await running(), ['t1', 't2'])
})

t.test('a task that ended, and that its agent has forgotten, is not asked about', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed({ ...PARTITION_AWARE, checkpoint: true })
  await c.running(scheduler, agent, 't1')
  scheduler.acknowledges = false
  agent.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
  c.world.crash(HOST)
  await c.settle()
  // As if an acknowledgement that an earlier connection carried had reached it.
  const again = reborn(c, agent, HOST)
  again.tasks.delete('t1')
  await c.reregister(again)
  t.strictSame(again.of('reregistered')[0]!.reconciliations, [])
  t.match((await c.json('/state')).frameworks, [{ tasks: [], completed_tasks: [{ id: 't1' }] }])
})

t.test('a task that ended before its connection broke is listed once', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  await c.running(scheduler, agent, 't1')
  scheduler.acknowledges = false
  agent.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
  c.world.crash(HOST)
  await c.settle()
  const completed = async () =>
    ((await c.json('/state')).frameworks as { completed_tasks: { id: string }[] }[])[0]!
      .completed_tasks.length
  t.equal(await completed(), 1, 'of a framework without checkpoints')
  const again = reborn(c, agent, HOST)
  await c.reregister(again)
  scheduler.acknowledges = true
  again.update('t1', 'TASK_FINISHED')
  await c.world.until(() => again.of('status_update_acknowledgement').length > 0, 'acknowledged')
  await c.settle()
  t.equal(await completed(), 1)
})

t.test('of a task that ended under an agent that is away nothing else is said', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  await c.running(scheduler, agent, 't1')
  scheduler.acknowledges = false
  agent.update('t1', 'TASK_FAILED')
  await c.status(scheduler, 't1', 'TASK_FAILED')
  c.world.crash(HOST)
  await c.settle()
  scheduler.reconcile(['t1', agent.id])
  await c.world.advance(1_000)
  const again = reborn(c, agent, HOST)
  await c.reregister(again)
  scheduler.reconcile(['t1', agent.id])
  await c.settle()
  t.match(scheduler.statuses.at(-1), { state: 'TASK_FAILED', reason: 'REASON_RECONCILIATION' })
  t.notOk(scheduler.states('t1').includes('TASK_GONE'), 'it is never said to be gone')
})

t.test(
  'an unreachable task that its agent does not bring back is gone, and its id is free',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed(PARTITION_AWARE)
    await c.running(scheduler, agent, 't1')
    c.world.crash(HOST)
    await c.status(scheduler, 't1', 'TASK_UNREACHABLE')
    const again = reborn(c, agent, HOST)
    again.tasks.clear()
    await c.reregister(again)
    const offer = await c.offer(scheduler)
    scheduler.accept([offer], [task('t1', offer)], 0)
    t.match(await c.status(scheduler, 't1', 'TASK_ERROR'), {
      message: 'Task reuses the ID of an unreachable task: t1',
    })
    scheduler.reconcile(['t1'])
    await c.status(scheduler, 't1', 'TASK_GONE')
    const next = await c.offer(scheduler)
    scheduler.accept([next], [task('t1', next)])
    await c.world.until(() => again.tasks.has('t1'), 't1 is there')
  },
)

t.test('a new agent at the same address takes the place of the one before', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const aware = await c.subscribed({ ...PARTITION_AWARE, checkpoint: true })
  await c.running(aware, agent, 't1')
  const flighty = await c.subscribed({ name: 'flighty', ...PARTITION_AWARE })
  await c.running(flighty, agent, 't2')
  c.world.crash(HOST)
  await c.status(flighty, 't2', 'TASK_UNREACHABLE')
  const next = await c.registered({ address: HOST, hostname: 'host-1' })
  await c.settle()
  t.not(next.id, agent.id)
  t.match(await c.status(aware, 't1', 'TASK_GONE'), {
    reason: 'REASON_AGENT_REMOVED',
    message: 'Agent host-1 removed: a new agent registered at the same address',
  })
  await c.status(flighty, 't2', 'TASK_GONE')
  const state = await c.json('/state')
  t.match(state.slaves, [{ id: next.id }])
  t.equal(state.slaves.length, 1)
  t.equal(state.unreachable_slaves, 0)
  await c.world.advance(200_000)
  t.same(
    next.of('ping').filter(p => !p.connected),
    [],
    'it is not taken for the one before',
  )
})

t.test(
  'one that lost its power is replaced too, though nobody saw its connection break',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed({ ...PARTITION_AWARE, checkpoint: true })
    await c.running(scheduler, agent, 't1')
    // Nothing of its end gets out, and it is back before anybody wonders.
    c.world.network.partition([MASTER], [HOST])
    c.world.crash(HOST)
    c.world.network.heal()
    t.match((await c.json('/state')).slaves, [{ id: agent.id, active: true }])
    const next = await c.registered({ address: HOST, hostname: 'host-1' })
    t.not(next.id, agent.id)
    t.match(await c.status(scheduler, 't1', 'TASK_GONE'), { reason: 'REASON_AGENT_REMOVED' })
    t.match(
      (await c.json('/state')).slaves.map((slave: { id: string }) => slave.id),
      [next.id],
    )
    t.same(c.world.fatalities, [])
  },
)

t.test('an agent that comes back at the address of another takes its place', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  c.world.crash(HOST)
  await c.settle()
  const middle = await c.registered({ address: HOST, hostname: 'host-1' })
  c.world.crash(HOST)
  await c.settle()
  const again = reborn(c, agent, HOST)
  await c.reregister(again)
  t.match(
    (await c.json('/state')).slaves.map((s: { id: string }) => s.id),
    [agent.id],
  )
  await c.world.advance(200_000)
  t.same(
    again.of('ping').filter(p => !p.connected),
    [],
  )
  t.not(middle.id, agent.id)
})

t.test('an agent that unregisters is gone for good', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  await c.running(scheduler, agent, 't1')
  agent.say('unregister_agent', { agent_id: { value: agent.id! } })
  t.match(await c.status(scheduler, 't1', 'TASK_GONE'), {
    message: 'Agent host-1 removed: it unregistered',
  })
  const state = await c.json('/state')
  t.match([state.slaves, state.unreachable_slaves], [[], 0])
})

t.test('an agent that came back smaller or elsewhere', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed({ checkpoint: true })
  await c.running(scheduler, agent, 't1')
  c.world.crash(HOST)
  await c.settle()
  const moved = reborn(c, agent, '10.0.9.9:5051')
  moved.reregister()
  await c.world.until(() => moved.of('shutdown').length > 0, 'it is refused')
  t.same(moved.of('shutdown'), [
    { message: 'Agent attempted to reregister with different IP / hostname' },
  ])
  const smaller = reborn(c, agent, HOST)
  smaller.resources = 'cpus:0.5;mem:1024'
  await c.reregister(smaller)
  t.same(
    (await c.offer(scheduler)).resources?.map(r => [r.name, r.scalar?.value]),
    [['mem', 992]],
    'what was refused is offered anew',
  )
  smaller.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 0.5, mem: 1024 })
})

t.test(
  'of two tasks with one id the one that came back later is killed, and its end kept from its scheduler',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed()
    await c.running(scheduler, agent, 't1')
    c.world.crash(HOST)
    await c.status(scheduler, 't1', 'TASK_LOST')
    const other = await c.registered()
    const offer = await c.offer(scheduler)
    scheduler.accept([offer], [task('t1', offer)])
    await c.world.until(() => other.tasks.has('t1'), 't1 runs elsewhere')
    const again = reborn(c, agent, HOST)
    await c.reregister(again)
    await c.settle()
    t.same(
      again.of('kill_task').map(k => k.task_id.value),
      ['t1'],
    )
    const uuid = again.update('t1', 'TASK_KILLED')
    await c.settle()
    t.same(
      again.of('status_update_acknowledgement').map(a => a.uuid),
      [uuid],
    )
    t.same(scheduler.states('t1'), ['TASK_RUNNING', 'TASK_LOST'])
    other.update('t1', 'TASK_FINISHED')
    await c.status(scheduler, 't1', 'TASK_FINISHED')
    scheduler.say({ type: 'TEARDOWN' })
    await c.settle()
    t.same(await c.offeredToNewcomer(), { cpus: 8, mem: 8192 })
  },
)

t.test('a cut that heals soon costs nothing; a longer one, until the agent is back', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  agent.onLost = () => agent.reregister()
  const scheduler = await c.subscribed()
  await c.running(scheduler, agent, 't1')
  const cut = async (ms: number) => {
    c.world.network.partition(['10.0.0.1:5050'], [HOST])
    await c.world.advance(ms)
    c.world.network.heal()
    await c.world.advance(60_000)
  }
  await cut(8_000)
  t.same(scheduler.states('t1'), ['TASK_RUNNING'])
  await cut(100_000)
  t.same(scheduler.states('t1'), ['TASK_RUNNING', 'TASK_LOST', 'TASK_RUNNING'])
  t.match((await c.json('/state')).slaves, [{ active: true, used_resources: { cpus: 1 } }])
})

t.test(
  'a stale report of an agent that was never away brings nothing back, and loses nothing',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed()
    const own = { executor: executor('e1', 'cpus:0.5'), command: undefined }
    await c.running(scheduler, agent, 't1')
    const t1 = { ...agent.tasks.get('t1')! }
    agent.update('t1', 'TASK_FINISHED')
    await c.status(scheduler, 't1', 'TASK_FINISHED')
    await c.running(scheduler, agent, 't2', own)
    await c.settle()
    // As if it had been written before t1's end was acknowledged and t2 arrived.
    const t2 = agent.tasks.get('t2')!
    const e1 = agent.executors.splice(0)
    agent.tasks.clear()
    agent.tasks.set('t1', t1)
    await c.reregister(agent)
    t.match(agent.of('reregistered')[0]!.reconciliations, [
      { statuses: [{ task_id: { value: 't2' } }] },
    ])
    const state = await c.json('/state')
    t.match(state.frameworks, [
      {
        tasks: [{ id: 't2' }],
        completed_tasks: [{ id: 't1' }],
        executors: [{ executor_id: 'e1' }],
      },
    ])
    t.equal(state.frameworks[0].tasks.length, 1)
    t.match(state.slaves, [{ used_resources: { cpus: 1.5 } }])
    agent.tasks.clear()
    agent.tasks.set('t2', t2)
    agent.executors.push(...e1)
  },
)

t.test(
  'an end that is heard while a list without the task is being served is not taken for an old one',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed(PARTITION_AWARE)
    await c.running(scheduler, agent, 't1')
    scheduler.acknowledges = false
    // As if it had been written before the task arrived, which ended since.
    const t1 = agent.tasks.get('t1')!
    agent.tasks.clear()
    agent.reregister()
    agent.update('t1', 'TASK_DROPPED', {}, t1.framework_id.value)
    await c.status(scheduler, 't1', 'TASK_DROPPED')
    await c.world.until(() => agent.of('reregistered').length > 0, 'the agent is back')
    t.strictSame(agent.of('reregistered')[0]!.reconciliations, [])
    // Its end waits to be acknowledged, and is the only one that its scheduler is told of.
    t.match((await c.json('/state')).frameworks, [{ tasks: [{ id: 't1' }], completed_tasks: [] }])
  },
)

t.test('an agent that says too much of itself is refused', async t => {
  const c = await Cluster.start()
  const attribute = { name: 'a', type: 'TEXT' as const, text: { value: 'x'.repeat(1_000) } }
  const attributes = Array.from({ length: 300 }, () => attribute)
  const agent = c.agent({ attributes })
  agent.register()
  await c.settle()
  t.match(agent.of('shutdown'), [{ message: /^Agent is described in \d+ bytes, and 256KB/ }])
  t.same((await c.json('/state')).slaves, [])
})

t.test('an executor that came back with its agent takes further tasks', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const scheduler = await c.subscribed({ ...PARTITION_AWARE, failover_timeout: 60 })
  const own = { executor: executor('e1', 'cpus:0.5'), command: undefined }
  await c.running(scheduler, agent, 't1', own)
  await c.failover()
  await c.reregister(agent)
  scheduler.subscribe()
  await c.settle()
  // As the scheduler has described it from the beginning; the agent speaks of resources that are allocated to a role.
  await c.running(scheduler, agent, 't2', own)
  t.match((await c.json('/state')).slaves, [{ used_resources: { cpus: 2.5 } }])
})

t.test('an agent that is not registered is not listened to, but asked to register', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed({ checkpoint: true })
  await c.running(scheduler, agent, 't1')
  c.world.crash(HOST)
  await c.settle()
  const again = reborn(c, agent, HOST)
  again.update('t1', 'TASK_FINISHED')
  await c.settle()
  t.same(scheduler.states('t1'), ['TASK_RUNNING'])
  t.same(again.of('ping'), [{ connected: false }])
  await c.reregister(again)
  again.update('t1', 'TASK_FINISHED')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
})

t.test('an agent process that is replaced while the old one seems to be there', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  await c.running(scheduler, agent, 't1')
  const offer = await c.revived(scheduler)
  const moved = reborn(c, agent, '10.0.1.1:5052')
  moved.tasks.clear()
  await c.reregister(moved)
  await c.settle()
  t.same(
    scheduler.of('RESCIND').map(e => e.rescind.offer_id),
    [offer.id],
  )
  await c.status(scheduler, 't1', 'TASK_UNREACHABLE')
  t.match((await c.json('/state')).slaves, [{ pid: 'slave(1)@10.0.1.1:5052', active: true }])
  c.world.crash(HOST)
  await c.settle()
  t.match((await c.json('/state')).slaves, [{ active: true }])
})
