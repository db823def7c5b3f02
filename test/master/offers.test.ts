import t from 'tap'
import { Cluster, MULTI_ROLE, PARTITION_AWARE, request, task } from './cluster.ts'

const scalars = (offer: {
  resources?: { name: string; scalar?: { value: number } | undefined }[] | undefined
}) => Object.fromEntries((offer.resources ?? []).map(({ name, scalar }) => [name, scalar?.value]))

t.test('subscribing gives an id, a heartbeat and all that is free', async t => {
  const c = await Cluster.start()
  const agent = await c.registered({
    attributes: [{ name: 'rack', type: 'TEXT', text: { value: 'r1' } }],
  })
  const scheduler = await c.subscribed({ roles: ['conf'], ...MULTI_ROLE })
  const offer = await c.offer(scheduler)
  const [subscribed, heartbeat] = scheduler.events
  t.match(subscribed, {
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: /-0000$/ },
      heartbeat_interval_seconds: 15,
      master_info: { pid: 'master@10.0.0.1:5050', hostname: 'master.example', ip: 0x0100000a },
    },
  })
  t.same(heartbeat, { type: 'HEARTBEAT' })
  t.match(offer, {
    id: { value: /-O0$/ },
    framework_id: { value: scheduler.id },
    agent_id: { value: agent.id },
    hostname: 'host-1',
    url: {
      scheme: 'http',
      address: { hostname: 'host-1', ip: '10.0.1.1', port: 5051 },
      path: '/slave(1)',
    },
    attributes: [{ name: 'rack', text: { value: 'r1' } }],
    allocation_info: { role: 'conf' },
  })
  t.same(scalars(offer), { cpus: 4, mem: 4096 })
  t.same(
    offer.resources?.map(r => r.allocation_info?.role),
    ['conf', 'conf'],
  )
  await c.world.advance(45_000)
  t.equal(scheduler.of('HEARTBEAT').length, 4)
})

t.test('a framework of one role sees no allocation', async t => {
  const c = await Cluster.start()
  await c.registered()
  const scheduler = await c.subscribed()
  const offer = await c.offer(scheduler)
  t.equal(offer.allocation_info, undefined)
  t.same(offer.resources?.[0], { name: 'cpus', type: 'SCALAR', scalar: { value: 4 }, role: '*' })
})

t.test('what is declined comes back when the refusal ends, not before', async t => {
  const c = await Cluster.start()
  await c.registered()
  const scheduler = await c.subscribed()
  const declineFor = async (seconds: number | undefined): Promise<number> => {
    const offer = await c.offer(scheduler)
    await c.settle()
    const before = c.world.clock.now()
    scheduler.decline([offer], seconds)
    await c.world.until(() => scheduler.unused.length > 0, 'offered again', 1e9)
    return Math.round((c.world.clock.now() - before) / 100) / 10
  }
  t.equal(await declineFor(undefined), 5)
  t.equal(await declineFor(20), 20)
  // Shorter than --allocation_interval is not asked again sooner.
  t.equal(await declineFor(0), 1)
  t.equal(await declineFor(0.1), 1)
  t.equal(await declineFor(-3), 5)
  const offer = await c.offer(scheduler)
  scheduler.decline([offer], 1e12)
  await c.world.advance(60_000)
  scheduler.say({ type: 'REVIVE' })
  t.ok(await c.offer(scheduler), 'a year is the longest, and REVIVE ends it')
})

t.test('what a task does not use is refused like a decline, or at once offered on', async t => {
  const c = await Cluster.start()
  await c.registered()
  const scheduler = await c.subscribed()
  const first = await c.offer(scheduler)
  scheduler.accept([first], [task('t1', first)], 0)
  const second = await c.offer(scheduler)
  t.same(scalars(second), { cpus: 3, mem: 4064 })
  const before = c.world.clock.now()
  scheduler.accept([second], [task('t2', second)])
  const third = await c.offer(scheduler)
  t.same(scalars(third), { cpus: 2, mem: 4032 })
  t.ok(c.world.clock.now() - before >= 5_000)
})

t.test('another framework is offered the rest of an offer at once', async t => {
  const c = await Cluster.start()
  await c.registered()
  const one = await c.subscribed({ name: 'one' })
  const offer = await c.offer(one)
  const two = await c.subscribed({ name: 'two' })
  await c.settle()
  t.same(two.offers, [])
  one.accept([offer], [task('t1', offer)])
  await c.settle()
  t.same(two.offers.map(scalars), [{ cpus: 3, mem: 4064 }])
})

t.test('two offers of one agent are accepted together', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  const whole = await c.offer(scheduler)
  scheduler.accept([whole], [task('t1', whole)], 0)
  const rest = await c.offer(scheduler)
  await c.world.until(() => agent.tasks.has('t1'), 't1 is there')
  agent.update('t1', 'TASK_FINISHED')
  const freed = await c.offer(scheduler)
  t.same([rest, freed].map(scalars), [
    { cpus: 3, mem: 4064 },
    { cpus: 1, mem: 32 },
  ])
  const big = { cpus: 4 }
  scheduler.accept([rest, freed], [task('t2', rest, { resources: [scalar('cpus', big.cpus)] })])
  await c.world.until(() => agent.tasks.has('t2'), 't2 is there')
  t.same(scheduler.states('t2'), [])
})

const scalar = (name: string, value: number) => ({
  name,
  type: 'SCALAR' as const,
  scalar: { value },
})

const refusals = async (capabilities: object = PARTITION_AWARE) => {
  const c = await Cluster.start()
  const [one, two] = [await c.registered(), await c.registered()]
  const scheduler = await c.subscribed(capabilities)
  await c.world.until(() => scheduler.unused.length === 2, 'two offers')
  return { c, one, two, scheduler, offers: [...scheduler.unused] as const }
}

t.test(
  'a task on offers that are not good is dropped, and all offers named are used up',
  async t => {
    const { c, one, two, scheduler, offers } = await refusals()
    const [first, second] = [offers[0]!, offers[1]!]
    const thief = await c.subscribed({ name: 'thief', ...PARTITION_AWARE })
    const unknown = { ...first, id: { value: 'nobody-O9' } }
    const cases: [string, () => void, string][] = [
      [
        'unknown',
        () => scheduler.accept([unknown], [task('unknown', first)]),
        'Offer nobody-O9 is no longer valid',
      ],
      ['none', () => scheduler.accept([], [task('none', first)]), 'No offers specified'],
      [
        'stolen',
        () => thief.accept([first], [task('stolen', first)]),
        `Offer ${first.id.value} has invalid framework ${scheduler.id} while framework ${thief.id} is expected`,
      ],
      [
        'mixed',
        () => scheduler.accept([first, second], [task('mixed', first)]),
        `Aggregated offers must belong to one single agent. Offer ${second.id.value} uses agent ${second.agent_id.value} and agent ${first.agent_id.value}`,
      ],
      [
        'late',
        () => scheduler.accept([first], [task('late', first)]),
        `Offer ${first.id.value} is no longer valid`,
      ],
    ]
    for (const [id, accept, message] of cases) {
      accept()
      const of = id === 'stolen' ? thief : scheduler
      const status = await c.status(of, id, 'TASK_DROPPED')
      t.match(status, {
        message: `Task launched with invalid offers: ${message}`,
        source: 'SOURCE_MASTER',
        reason: 'REASON_INVALID_OFFERS',
        agent_id: first.agent_id,
      })
      t.equal(status.uuid, undefined)
    }
    t.same([...one.tasks, ...two.tasks], [])
    thief.say({ type: 'TEARDOWN' })
    scheduler.say({ type: 'TEARDOWN' })
    await c.settle()
    t.same(await c.offeredToNewcomer(), { cpus: 8, mem: 8192 })
  },
)

t.test('an offer that is named twice is given back once', async t => {
  const { c, scheduler, offers } = await refusals({})
  const first = offers[0]!
  scheduler.accept([first, first], [task('twice', first)])
  const status = await c.status(scheduler, 'twice', 'TASK_LOST')
  t.equal(
    status.message,
    `Task launched with invalid offers: Duplicate offer ${first.id.value} in offer list`,
  )
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
  t.same(await c.offeredToNewcomer(), { cpus: 8, mem: 8192 })
})

t.test('tasks that are invalid are errors, and the rest of the list runs', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  const offer = await c.offer(scheduler)
  const cpus = (n: number) => ({ resources: [scalar('cpus', n)] })
  scheduler.accept(
    [offer],
    [
      task('t1', offer),
      task('t1', offer),
      task('a/b', offer),
      task('big', offer, cpus(3.5)),
      task('t2', offer, cpus(3)),
      task('t3', offer, cpus(0.1)),
    ],
  )
  await c.settle()
  t.same([...agent.tasks.keys()], ['t1', 't2'])
  t.same(
    scheduler.statuses.map(s => [s.task_id.value, s.state, s.reason, s.message]),
    [
      ['t1', 'TASK_ERROR', 'REASON_TASK_INVALID', 'Task has duplicate ID: t1'],
      [
        'a/b',
        'TASK_ERROR',
        'REASON_TASK_INVALID',
        "TaskInfo.task_id is invalid: 'a/b' contains invalid characters",
      ],
      [
        'big',
        'TASK_ERROR',
        'REASON_TASK_INVALID',
        'Total resources cpus(allocated: *):3.5 required by task and its executor is more than available cpus(allocated: *):3; mem(allocated: *):4064',
      ],
      [
        't3',
        'TASK_ERROR',
        'REASON_TASK_INVALID',
        'Total resources cpus(allocated: *):0.1 required by task and its executor is more than available mem(allocated: *):4064',
      ],
    ],
  )
})

t.test(
  'operations that are not supported are refused, and said so where they have an id',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed()
    const offer = await c.offer(scheduler)
    const launch = (id: string, more: object = {}) => ({
      type: 'LAUNCH' as const,
      launch: { task_infos: [task(id, offer)] },
      ...more,
    })
    scheduler.say({
      type: 'ACCEPT',
      accept: {
        offer_ids: [offer.id],
        operations: [
          { type: 'RESERVE', id: { value: 'op1' }, reserve: { resources: [] } },
          { type: 'UNRESERVE', unreserve: { resources: [] } },
          launch('with-id', { id: { value: 'op2' } }),
          {
            type: 'LAUNCH_GROUP',
            launch_group: {
              executor: { executor_id: { value: 'e' } },
              task_group: { tasks: [task('g', offer)] },
            },
          },
          launch('good'),
        ],
      },
    })
    await c.settle()
    t.same([...agent.tasks.keys()], ['good'])
    t.match(
      scheduler.of('UPDATE_OPERATION_STATUS').map(e => e.update_operation_status.status),
      [
        {
          operation_id: { value: 'op1' },
          state: 'OPERATION_ERROR',
          message: 'Operation RESERVE is not supported by this master',
        },
      ],
    )
    t.match(
      scheduler.statuses.map(s => [s.task_id.value, s.state, s.reason]),
      [
        ['with-id', 'TASK_ERROR', 'REASON_TASK_INVALID'],
        ['g', 'TASK_ERROR', 'REASON_TASK_GROUP_INVALID'],
      ],
    )
  },
)

t.test('suppressed roles are not offered; roles of others drop the call', async t => {
  const c = await Cluster.start()
  const scheduler = await c.subscribed({ roles: ['a', 'b'], ...MULTI_ROLE }, ['a'])
  await c.registered()
  const offer = await c.offer(scheduler)
  t.equal(offer.allocation_info?.role, 'b')
  scheduler.say({ type: 'SUPPRESS', suppress: { roles: ['b', 'foreign'] } })
  scheduler.decline([offer], 1)
  t.equal(
    (await c.offer(scheduler)).allocation_info?.role,
    'b',
    'nothing was suppressed by half a call',
  )
  scheduler.say({ type: 'SUPPRESS' })
  scheduler.decline([scheduler.offers.at(-1)!], 0)
  await c.world.advance(30_000)
  t.same(scheduler.unused, [])
  scheduler.say({ type: 'REVIVE', revive: { roles: ['foreign'] } })
  await c.world.advance(30_000)
  t.same(scheduler.unused, [])
  scheduler.say({ type: 'REVIVE', revive: { roles: ['a'] } })
  t.equal((await c.offer(scheduler)).allocation_info?.role, 'a')
})

t.test('an offer that is not answered in time is rescinded, and offered to the next', async t => {
  const c = await Cluster.start({ flags: { offer_timeout: '10secs' } })
  await c.registered()
  const one = await c.subscribed({ name: 'one' })
  const two = await c.subscribed({ name: 'two' })
  const offer = await c.offer(one)
  await c.world.until(() => two.offers.length > 0, 'two is offered it')
  t.same(
    one.of('RESCIND').map(e => e.rescind.offer_id),
    [offer.id],
  )
})

t.test('offers/why says what keeps an offer from a framework', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const busy = await c.subscribed({ name: 'busy' })
  const quiet = await c.subscribed({ name: 'quiet', roles: ['q'], ...MULTI_ROLE }, ['q'])
  const offer = await c.offer(busy)
  busy.decline([offer], 60)
  await c.settle()
  t.equal((await c.get('/offers/why?agent_id=nobody')).status, 404)
  const { frameworks } = await c.json(`/offers/why?agent_id=${agent.id}`)
  const why = Object.fromEntries(
    frameworks.map((f: { framework_id: string; reason: string }) => [f.framework_id, f.reason]),
  )
  t.match(why[busy.id!], /refused these resources for another 60 s/)
  t.match(why[quiet.id!], /suppressed offers for role 'q'/)
  t.equal((await c.request(request(`/offers/why?agent_id=${agent.id}`, {}, 'POST'))).status, 405)
})
