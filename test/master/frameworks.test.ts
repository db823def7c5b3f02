import t from 'tap'
import { Cluster, type FakeScheduler, MULTI_ROLE, PARTITION_AWARE } from './cluster.ts'

const errors = (scheduler: FakeScheduler) => scheduler.of('ERROR').map(e => e.error.message)

t.test('a second scheduler takes over: the first is told so, its offers are void', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const first = await c.subscribed({ failover_timeout: 60, roles: ['conf'], ...MULTI_ROLE })
  await c.running(first, agent, 't1')
  const old = await c.revived(first)
  const second = await c.subscribed({
    id: { value: first.id! },
    name: 'renamed',
    user: 'nobody',
    checkpoint: true,
    webui_url: 'http://x.test',
    failover_timeout: 90,
    roles: ['new1', 'new2'],
    ...MULTI_ROLE,
  })
  t.equal(second.id, first.id)
  t.same(errors(first), ['Framework failed over'])
  t.same(first.of('RESCIND'), [])
  await c.offer(second)
  first.tell({ type: 'TEARDOWN', framework_id: { value: first.id! } })
  second.accept([old], [])
  await c.settle()
  const [framework] = (await c.json(`/frameworks?framework_id=${first.id}`)).frameworks
  t.match(framework, {
    name: 'renamed',
    user: 'tester',
    checkpoint: false,
    webui_url: 'http://x.test',
    failover_timeout: 90,
    roles: ['new1', 'new2'],
    connected: true,
    active: true,
    recovered: false,
    tasks: [{ id: 't1', role: 'conf' }],
  })
  t.ok(framework.reregistered_time > framework.registered_time)
  t.match(agent.of('update_framework').at(-1)?.framework, { name: 'renamed', user: 'tester' })
  // The task of the role that was left still runs and is heard of.
  agent.update('t1', 'TASK_FINISHED')
  await c.status(second, 't1', 'TASK_FINISHED')
  second.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 4, mem: 4096 })
})

t.test('a subscription that is repeated is answered again, with fresh offers', async t => {
  const c = await Cluster.start()
  await c.registered()
  const scheduler = await c.subscribed()
  const first = await c.offer(scheduler)
  scheduler.info = { name: 'test', user: 'tester' }
  scheduler.subscribe()
  await c.settle()
  t.same(
    scheduler.of('SUBSCRIBED').map(e => e.subscribed.framework_id.value),
    [scheduler.id, scheduler.id],
  )
  const second = await c.offer(scheduler)
  t.not(second.id.value, first.id.value)
  // It may have repeated itself because the answer was late, and have the first offer at hand.
  t.same(
    scheduler.of('RESCIND').map(e => e.rescind.offer_id),
    [first.id],
  )
  t.equal((await c.json('/frameworks')).frameworks.length, 1)
})

t.test('what cannot be subscribed is refused with an error, and changes nothing', async t => {
  const c = await Cluster.start({ flags: { root_submissions: 'false' } })
  const known = await c.subscribed({ principal: 'p' })
  const cases: [object, RegExp][] = [
    [
      { user: 'root' },
      /^User 'root' is not allowed to run frameworks without --root_submissions set$/,
    ],
    [
      { role: '/bad' },
      /^'FrameworkInfo.role' is not a valid role: Role '\/bad' cannot start with a slash$/,
    ],
    [
      { id: { value: known.id }, principal: 'q' },
      /^Changing framework's principal is not allowed.$/,
    ],
    [{ id: { value: known.id } }, /^Changing framework's principal is not allowed.$/],
  ]
  for (const [info, message] of cases) {
    const scheduler = c.scheduler(info)
    scheduler.subscribe()
    await c.world.until(() => scheduler.events.length > 0, 'an answer')
    t.match(errors(scheduler), [message])
  }
  const scheduler = c.scheduler()
  scheduler.tell({
    type: 'SUBSCRIBE',
    framework_id: { value: 'x' },
    subscribe: { framework_info: { name: 'x', user: 'x', id: { value: 'y' } } },
  })
  await c.settle()
  t.same(errors(scheduler), ["'framework_id' differs from 'subscribe.framework_info.id'"])
  t.same(errors(known), [])
  t.equal((await c.json('/frameworks')).frameworks.length, 1)
})

t.test('an id from before is adopted, and never given to another', async t => {
  const c = await Cluster.start()
  const first = await c.subscribed()
  const next = first.id!.replace('-0000', '-0001')
  const adopted = await c.subscribed({ id: { value: next } })
  const spaced = await c.subscribed({ id: { value: ' from before ' } })
  const third = await c.subscribed()
  t.same(
    [adopted.id, spaced.id, third.id],
    [next, ' from before ', first.id!.replace('-0000', '-0002')],
  )
})

t.test('a scheduler that subscribes as another framework has left its first one', async t => {
  const c = await Cluster.start()
  const scheduler = await c.subscribed()
  const first = scheduler.id
  scheduler.info = { name: 'second', user: 'tester', id: { value: 'other' } }
  scheduler.subscribe()
  await c.settle()
  const { frameworks, completed_frameworks } = await c.json('/frameworks')
  t.match(frameworks, [{ id: 'other', connected: true }])
  t.match(completed_frameworks, [{ id: first }])
})

t.test('a scheduler has failover_timeout to come back; then all that it had ends', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const first = await c.subscribed({ failover_timeout: 60, ...PARTITION_AWARE })
  await c.running(first, agent, 't1')
  await c.revived(first)
  c.world.crash(first.address)
  await c.world.advance(59_000)
  t.match((await c.json('/state')).frameworks, [
    { connected: false, active: false, offers: [], tasks: [{ id: 't1' }] },
  ])
  const second = await c.subscribed({ id: { value: first.id! }, failover_timeout: 60 })
  await c.world.advance(300_000)
  t.match((await c.json('/state')).frameworks, [{ connected: true, tasks: [{ id: 't1' }] }])
  // An update that nobody heard is repeated by its agent.
  c.world.crash(second.address)
  await c.world.advance(61_000)
  const state = await c.json('/state')
  t.same(state.frameworks, [])
  t.match(state.completed_frameworks, [
    { id: first.id, completed_tasks: [{ id: 't1', state: 'TASK_KILLED' }], tasks: [] },
  ])
  t.same(agent.of('shutdown_framework'), [{ framework_id: { value: first.id } }])
  t.same(await c.offeredToNewcomer(), { cpus: 4, mem: 4096 })
  const late = c.scheduler({ id: { value: first.id! } })
  late.subscribe()
  await c.world.until(() => late.events.length > 0, 'an answer')
  t.same(errors(late), ['Framework has been removed'])
})

t.test('without failover_timeout a framework ends with its scheduler', async t => {
  const c = await Cluster.start()
  const scheduler = await c.subscribed({ failover_timeout: -5 })
  c.world.crash(scheduler.address)
  await c.settle()
  const { frameworks, completed_frameworks } = await c.json('/frameworks')
  t.same(frameworks, [])
  t.match(completed_frameworks, [{ id: scheduler.id, failover_timeout: -5 }])
})

t.test('a failover_timeout of a month is a month', async t => {
  const c = await Cluster.start()
  const scheduler = await c.subscribed({ failover_timeout: 30 * 86_400 })
  c.world.crash(scheduler.address)
  await c.settle()
  await c.world.advance(29 * 86_400_000)
  t.equal((await c.json('/frameworks')).frameworks.length, 1)
  await c.world.advance(86_400_000)
  t.equal((await c.json('/frameworks')).frameworks.length, 0)
})

t.test('TEARDOWN ends everything at once, and later calls are ignored', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  await c.running(scheduler, agent, 't1')
  scheduler.say({ type: 'TEARDOWN' })
  scheduler.reconcile()
  scheduler.say({ type: 'REVIVE' })
  await c.settle()
  agent.update('t1', 'TASK_KILLED', {}, scheduler.id)
  await c.settle()
  t.equal(
    agent.of('shutdown_framework').length,
    2,
    'once more with the update that it should not have sent',
  )
  t.same(scheduler.states('t1'), ['TASK_RUNNING'])
  t.same(await c.offeredToNewcomer(), { cpus: 4, mem: 4096 })
  t.same(c.log.messages('warn').filter(m => /not subscribed/.test(m)).length, 1)
})

t.test('UPDATE_FRAMEWORK changes what may be changed, all or nothing', async t => {
  const c = await Cluster.start()
  await c.registered()
  const scheduler = await c.subscribed({ roles: ['a', 'b'], ...MULTI_ROLE }, ['b'])
  const offer = await c.offer(scheduler)
  t.equal(offer.allocation_info?.role, 'a')
  const update = (change: object, suppressed: string[] = []) => {
    scheduler.say({
      type: 'UPDATE_FRAMEWORK',
      update_framework: {
        framework_info: { ...scheduler.info, ...change },
        suppressed_roles: suppressed,
      },
    })
    return c.settle()
  }
  for (const bad of [
    { user: 'x' },
    { checkpoint: true },
    { principal: 'x' },
    { roles: ['/'] },
    { id: { value: 'x' } },
  ]) {
    await update({ name: 'bad', ...bad })
  }
  t.match((await c.json('/frameworks')).frameworks, [{ name: 'test', roles: ['a', 'b'] }])
  t.equal(c.log.messages('warn').filter(m => m === 'UPDATE_FRAMEWORK refused').length, 5)
  await update({ name: 'good', roles: ['b'] })
  t.same(
    scheduler.of('RESCIND').map(e => e.rescind.offer_id),
    [offer.id],
  )
  t.equal(scheduler.offers.at(-1)!.allocation_info?.role, 'b')
  t.match((await c.json('/frameworks')).frameworks, [{ name: 'good', roles: ['b'] }])
})

t.test('a role that is not suppressed any more forgets what it refused', async t => {
  const c = await Cluster.start()
  await c.registered()
  const scheduler = await c.subscribed({ roles: ['a'], ...MULTI_ROLE })
  scheduler.decline([await c.offer(scheduler)], 1000)
  const subscription = { framework_info: { ...scheduler.info }, suppressed_roles: ['a'] }
  scheduler.say({ type: 'UPDATE_FRAMEWORK', update_framework: subscription })
  await c.world.advance(30_000)
  t.same(scheduler.unused, [])
  scheduler.say({
    type: 'UPDATE_FRAMEWORK',
    update_framework: { ...subscription, suppressed_roles: [] },
  })
  t.ok(await c.offer(scheduler))
})

t.test('calls that make no sense are dropped, and end nothing', async t => {
  const c = await Cluster.start()
  const scheduler = await c.subscribed()
  for (const call of [
    { type: 'UNKNOWN' },
    { type: 'ACCEPT' },
    { type: 'KILL', kill: {} },
    { type: 'ACCEPT', accept: { offer_ids: [{}], operations: [{ type: 'LAUNCH' }] } },
    'text',
  ]) {
    scheduler.tell(call as never)
  }
  scheduler.say({ type: 'REQUEST', request: { requests: [] } })
  scheduler.say({ type: 'RECONCILE_OPERATIONS', reconcile_operations: { operations: [] } })
  const stranger = c.scheduler()
  stranger.id = scheduler.id
  stranger.say({ type: 'TEARDOWN' })
  await c.settle()
  t.match((await c.json('/frameworks')).frameworks, [{ id: scheduler.id, connected: true }])
  t.equal(c.master.dropped.malformed, 5)
  t.same(c.world.fatalities, [])
})
