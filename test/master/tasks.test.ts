import t from 'tap'
import { MAX_STATUSES, type TaskStatus } from '../../src/messages/status.ts'
import {
  Cluster,
  executor,
  type FakeScheduler,
  MULTI_ROLE,
  PARTITION_AWARE,
  task,
} from './cluster.ts'

const uuids = (list: readonly { uuid: string }[]) => list.map(({ uuid }) => uuid)
const told = (scheduler: FakeScheduler) =>
  scheduler.statuses.map(({ task_id, state, reason, message }) => [
    task_id.value,
    state,
    reason,
    message,
  ])

async function cluster(info: object = {}) {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(info)
  return { c, agent, scheduler }
}

t.test('a task runs, and each update is passed on and acknowledged in turn', async t => {
  const { c, agent, scheduler } = await cluster({ roles: ['conf'], ...MULTI_ROLE })
  const offer = await c.offer(scheduler)
  scheduler.accept([offer], [task('t1', offer)], 1000)
  await c.world.until(() => agent.tasks.has('t1'), 't1 is there')
  const [run] = agent.of('run_task')
  t.match(run, {
    framework: { id: { value: scheduler.id }, name: 'test', user: 'tester' },
    task: { task_id: { value: 't1' }, agent_id: { value: agent.id } },
  })
  t.same(
    run!.task.resources?.map(r => [r.name, r.scalar?.value, r.allocation_info?.role]),
    [
      ['cpus', 1, 'conf'],
      ['mem', 32, 'conf'],
    ],
  )
  const sent = []
  for (const state of ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'] as const) {
    sent.push(agent.update('t1', state, { message: state, data: 'AAAA' }))
    const status = await c.status(scheduler, 't1', state)
    t.match(status, { uuid: sent.at(-1), message: state, source: 'SOURCE_EXECUTOR', data: 'AAAA' })
    await c.settle()
  }
  t.same(uuids(agent.of('status_update_acknowledgement')), sent)
  const state = await c.json('/state')
  t.same(state.frameworks[0].tasks, [])
  t.match(state.frameworks[0].completed_tasks, [
    {
      id: 't1',
      state: 'TASK_FINISHED',
      role: 'conf',
      executor_id: '',
      slave_id: agent.id,
      resources: { cpus: 1, mem: 32 },
    },
  ])
  t.same(
    state.frameworks[0].completed_tasks[0].statuses.map((s: TaskStatus) => [s.state, s.data]),
    [
      ['TASK_STARTING', undefined],
      ['TASK_RUNNING', undefined],
      ['TASK_FINISHED', undefined],
    ],
  )
})

t.test('a task that wavers for ever does not fill the memory', async t => {
  const { c, agent, scheduler } = await cluster()
  await c.running(scheduler, agent, 't1')
  for (let i = 0; i < 300; i++) {
    agent.update('t1', i % 2 === 0 ? 'TASK_STARTING' : 'TASK_RUNNING')
    if (i % 10 === 0) await c.settle()
  }
  await c.settle()
  const [task] = (await c.json('/state')).frameworks[0].tasks
  t.equal(task.statuses.length, MAX_STATUSES)
  t.equal(task.state, 'TASK_RUNNING')
})

t.test('resources are free when the task has ended, before anybody acknowledged it', async t => {
  const { c, agent, scheduler } = await cluster()
  scheduler.acknowledges = false
  const offer = await c.offer(scheduler)
  scheduler.accept([offer], [task('t1', offer)], 1000)
  const other = await c.subscribed({ name: 'other' })
  await c.offer(other)
  agent.update('t1', 'TASK_FAILED')
  const freed = await c.offer(other)
  t.same(
    freed.resources?.map(r => r.scalar?.value),
    [1, 32],
  )
  const [framework] = (await c.json('/frameworks')).frameworks
  t.match(framework, {
    used_resources: { cpus: 0 },
    tasks: [{ id: 't1', state: 'TASK_FAILED' }],
    completed_tasks: [],
  })
  // A late update of the same task changes nothing any more.
  agent.update('t1', 'TASK_RUNNING')
  await c.settle()
  t.match((await c.json('/frameworks')).frameworks[0].tasks, [{ state: 'TASK_FAILED' }])
})

t.test('an update is repeated until acknowledged, and a wrong acknowledgement is none', async t => {
  const { c, agent, scheduler } = await cluster()
  scheduler.acknowledges = false
  const offer = await c.offer(scheduler)
  scheduler.accept([offer], [task('t1', offer)])
  await c.world.until(() => agent.tasks.has('t1'), 't1 is there')
  agent.update('t1', 'TASK_FINISHED')
  const status = await c.status(scheduler, 't1', 'TASK_FINISHED')
  scheduler.acknowledge({ ...status, agent_id: { value: 'nobody' } })
  scheduler.acknowledge({ ...status, uuid: 'AAAAAAAAAAAAAAAAAAAAAA==' })
  await c.settle()
  t.equal((await c.json('/frameworks')).frameworks[0].tasks.length, 1)
  t.same(uuids(agent.of('status_update_acknowledgement')), ['AAAAAAAAAAAAAAAAAAAAAA=='])
  scheduler.acknowledge(status)
  scheduler.acknowledge(status)
  await c.settle()
  t.equal((await c.json('/frameworks')).frameworks[0].tasks.length, 0)
  t.equal(agent.of('status_update_acknowledgement').length, 3)
})

t.test('a kill goes to the agent; of what is unknown the latest state is told', async t => {
  const { c, agent, scheduler } = await cluster(PARTITION_AWARE)
  await c.running(scheduler, agent, 't1')
  scheduler.kill('t1', 'nobody')
  await c.settle()
  t.same(agent.of('kill_task'), [])
  const policy = { grace_period: { nanoseconds: 1e9 } }
  scheduler.say({ type: 'KILL', kill: { task_id: { value: 't1' }, kill_policy: policy } })
  await c.settle()
  t.same(agent.of('kill_task'), [
    { framework_id: { value: scheduler.id }, task_id: { value: 't1' }, kill_policy: policy },
  ])
  scheduler.kill('nothing')
  scheduler.kill('nothing2', 'nobody')
  await c.settle()
  t.match(scheduler.statuses.slice(-2), [
    {
      task_id: { value: 'nothing' },
      state: 'TASK_UNKNOWN',
      message: 'Reconciliation: Task is unknown',
      source: 'SOURCE_MASTER',
      reason: 'REASON_RECONCILIATION',
    },
    { task_id: { value: 'nothing2' }, state: 'TASK_UNKNOWN', agent_id: { value: 'nobody' } },
  ])
})

t.test('a kill that was lost with the connection is sent again when the agent is back', async t => {
  const { c, agent, scheduler } = await cluster({ checkpoint: true })
  await c.running(scheduler, agent, 't1')
  await c.running(scheduler, agent, 't2')
  c.world.network.partition(['10.0.0.1:5050'], ['10.0.1.1:5051'])
  scheduler.kill('t1')
  await c.world.advance(1_000)
  t.same(agent.of('kill_task'), [])
  c.world.crash('10.0.1.1:5051')
  await c.world.advance(1_000)
  scheduler.kill('t2')
  await c.settle()
  c.world.network.heal()
  const again = c.agent({ address: '10.0.1.1:5051', hostname: 'host-1' })
  again.id = agent.id
  for (const [id, known] of agent.tasks) again.tasks.set(id, known)
  for (const [id, known] of agent.frameworks) again.frameworks.set(id, known)
  await c.reregister(again)
  await c.settle()
  t.same(
    again.of('kill_task').map(k => k.task_id.value),
    ['t1', 't2'],
  )
})

t.test('reconciliation answers in six cases', async t => {
  const { c, agent, scheduler } = await cluster(PARTITION_AWARE)
  const away = await c.registered()
  const old = await c.subscribed({ name: 'old', roles: [] })
  await c.running(scheduler, agent, 't1', {
    executor: executor('e1', 'cpus:0.1'),
    command: undefined,
  })
  away.answersPings = false
  await c.world.until(() => scheduler.of('FAILURE').length > 0, 'the agent is unreachable', 200_000)
  const ask = async (of: FakeScheduler, ...tasks: [string, string?][]) => {
    const before = of.statuses.length
    of.reconcile(...tasks)
    await c.settle()
    return of.statuses.slice(before)
  }
  t.match(await ask(scheduler, ['t1', 'nobody']), [
    {
      state: 'TASK_RUNNING',
      message: 'Reconciliation: Latest task state',
      agent_id: { value: agent.id },
      executor_id: { value: 'e1' },
    },
  ])
  t.match(await ask(scheduler, ['no']), [
    { state: 'TASK_UNKNOWN', message: 'Reconciliation: Task is unknown' },
  ])
  t.match(await ask(scheduler, ['no', agent.id!]), [
    { state: 'TASK_GONE', message: 'Reconciliation: Task is unknown to the agent' },
  ])
  const [unreachable] = await ask(scheduler, ['no', away.id!])
  t.match(unreachable, {
    state: 'TASK_UNREACHABLE',
    message: 'Reconciliation: Task is unreachable',
  })
  t.ok(unreachable!.unreachable_time!.nanoseconds > 1.7e18)
  t.match(await ask(scheduler, ['no', 'nobody']), [
    { state: 'TASK_UNKNOWN', agent_id: { value: 'nobody' } },
  ])
  t.match(await ask(old, ['no'], ['no', agent.id!], ['no', away.id!], ['no', 'nobody']), [
    { state: 'TASK_LOST' },
    { state: 'TASK_LOST' },
    { state: 'TASK_LOST' },
    { state: 'TASK_LOST' },
  ])
  scheduler.acknowledges = false
  agent.update('t1', 'TASK_KILLED')
  await c.settle()
  t.match(await ask(scheduler), [
    { task_id: { value: 't1' }, state: 'TASK_KILLED', uuid: undefined },
  ])
  scheduler.acknowledge(scheduler.statuses.find(s => s.state === 'TASK_KILLED')!)
  await c.settle()
  t.same(await ask(scheduler), [])
})

t.test('reconciliation tells what was told, not what runs ahead', async t => {
  const { c, agent, scheduler } = await cluster()
  scheduler.acknowledges = false
  const offer = await c.offer(scheduler)
  scheduler.accept([offer], [task('t1', offer)])
  await c.world.until(() => agent.tasks.has('t1'), 't1 is there')
  agent.say('status_update', {
    update: {
      framework_id: { value: scheduler.id! },
      agent_id: { value: agent.id! },
      status: {
        task_id: { value: 't1' },
        state: 'TASK_STARTING',
        uuid: 'AAAAAAAAAAAAAAAAAAAAAQ==',
      },
      timestamp: 1,
      uuid: 'AAAAAAAAAAAAAAAAAAAAAQ==',
      latest_state: 'TASK_FINISHED',
    },
  })
  await c.settle()
  scheduler.reconcile()
  await c.settle()
  t.same(scheduler.states('t1'), ['TASK_STARTING', 'TASK_STARTING'])
  t.match((await c.json('/state')).slaves[0], { used_resources: { cpus: 0 } })
  // The agent goes, and with it the end that it had yet to tell.
  c.world.crash('10.0.1.1:5051')
  await c.status(scheduler, 't1', 'TASK_FINISHED')
})

t.test("an executor's resources are held from its first task to its end", async t => {
  const { c, agent, scheduler } = await cluster()
  const offer = await c.offer(scheduler)
  const own = { executor: executor('e1', 'cpus:0.5;mem:64') }
  const { command: _, ...t1 } = task('t1', offer, own)
  const { command: __, ...t2 } = task('t2', offer, own)
  const { command: ___, ...t3 } = task('t3', offer, { executor: executor('e1', 'cpus:0.6') })
  scheduler.accept([offer], [t1, t2, t3], 0)
  await c.settle()
  t.same([...agent.tasks.keys()], ['t1', 't2'])
  t.match(told(scheduler), [
    ['t3', 'TASK_ERROR', 'REASON_TASK_INVALID', /^ExecutorInfo is not compatible with existing/],
  ])
  t.same(
    agent.of('run_task').map(run => [run.launch_executor, run.launched_for?.value]),
    [
      [true, undefined],
      [false, 't1'],
    ],
    'only the first may start it',
  )
  t.match(agent.of('run_task')[0]!.task.executor, {
    framework_id: { value: scheduler.id },
    resources: [{ allocation_info: { role: '*' } }, { allocation_info: { role: '*' } }],
  })
  t.match((await c.json('/state')).slaves[0].used_resources, { cpus: 2.5, mem: 128 })
  t.match(scheduler.offers.at(-1), { executor_ids: [{ value: 'e1' }] })
  agent.update('t1', 'TASK_FINISHED')
  agent.update('t2', 'TASK_FINISHED')
  await c.settle()
  t.match((await c.json('/state')).slaves[0].used_resources, { cpus: 0.5, mem: 64 })
  const ids = { agent_id: { value: agent.id! }, executor_id: { value: 'e1' } }
  scheduler.say({ type: 'MESSAGE', message: { ...ids, data: 'aGk=' } })
  scheduler.say({ type: 'SHUTDOWN', shutdown: ids })
  agent.say('executor_message', { ...ids, framework_id: { value: scheduler.id! }, data: 'eW8=' })
  const ended = { ...ids, framework_id: { value: scheduler.id! }, status: 0 }
  agent.say('exited_executor', { ...ended, launched_for: { value: 't0' } })
  await c.settle()
  t.same(scheduler.of('FAILURE'), [], 'the end of an earlier one')
  t.match((await c.json('/state')).slaves[0].used_resources, { cpus: 0.5, mem: 64 })
  agent.say('exited_executor', { ...ended, status: 9, launched_for: { value: 't1' } })
  agent.say('exited_executor', { ...ids, framework_id: { value: scheduler.id! }, status: 9 })
  await c.settle()
  t.same(
    agent.of('framework_message').map(m => m.data),
    ['aGk='],
  )
  t.same(agent.of('shutdown_executor'), [
    { framework_id: { value: scheduler.id }, executor_id: { value: 'e1' } },
  ])
  t.same(
    scheduler.of('MESSAGE').map(m => m.message.data),
    ['eW8='],
  )
  t.match(scheduler.of('FAILURE')[0]!.failure, { ...ids, status: 9 })
  t.match((await c.json('/state')).slaves[0].used_resources, { cpus: 0, mem: 0 })
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 4, mem: 4096 })
})

t.test('updates of strangers are not believed', async t => {
  const { c, agent, scheduler } = await cluster()
  const thief = await c.registered()
  await c.running(scheduler, agent, 't1')
  thief.say('status_update', {
    update: {
      framework_id: { value: scheduler.id! },
      agent_id: { value: agent.id! },
      status: { task_id: { value: 't1' }, state: 'TASK_FAILED' },
      timestamp: 1,
    },
  })
  thief.say('unregister_agent', { agent_id: { value: agent.id! } })
  thief.say('exited_executor', {
    agent_id: { value: agent.id! },
    framework_id: { value: scheduler.id! },
    executor_id: { value: 'x' },
    status: 1,
  })
  await c.settle()
  t.same(scheduler.states('t1'), ['TASK_RUNNING'])
  t.equal((await c.json('/state')).slaves.length, 2)
  t.same(thief.of('ping').at(-1), { connected: false }, 'it is asked to register again')
  t.same(c.world.fatalities, [])
})
