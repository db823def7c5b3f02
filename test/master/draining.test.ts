// Operators take agents out of service and put them back, against a real master and agents that do what a test says.

import t from 'tap'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { Cluster, PARTITION_AWARE, request } from './cluster.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

async function post(c: Cluster, path: string, body: unknown, headers = JSON_TYPE) {
  const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body))
  const { status, body: text } = await c.request({ ...request(path, headers, 'POST'), body: bytes })
  return { status, text: String(text ?? '') }
}

const call = (c: Cluster, type: string, id: string, more = {}) =>
  post(c, '/api/v1', { type, [type.toLowerCase()]: { agent_id: { value: id }, ...more } })
const OK = { status: 200, text: '' }

t.test('a drained agent is offered no more, and again when it is put back', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const scheduler = await c.subscribed({ checkpoint: true, failover_timeout: 1000 })
  await c.running(scheduler, agent, 't1')
  await c.revived(scheduler)
  const id = agent.id!
  t.same(await call(c, 'DRAIN_AGENT', id, { max_grace_period: '10secs' }), OK)
  await c.settle()
  t.same(scheduler.of('RESCIND').length, 1, 'what is out is taken back')
  const config = { max_grace_period: { nanoseconds: 10e9 }, mark_gone: false }
  t.same(agent.of('drain'), [{ drain: config }])
  t.match((await c.json('/state')).slaves, [
    { active: false, deactivated: true, drain_info: { state: 'DRAINING', config } },
  ])
  t.match(await c.json(`/offers/why?agent_id=${id}`), {
    frameworks: [{ reason: 'the agent is being drained' }],
  })
  t.match(await call(c, 'REACTIVATE_AGENT', id), { status: 400, text: /still in the DRAINING/ })
  await c.failover()
  scheduler.subscribe()
  await c.reregister(agent)
  t.match(agent.of('reregistered').at(-1), { drain: config }, 'the next master knows')
  t.type((await c.json('/state')).slaves[0].estimated_drain_start_time_seconds, 'number')
  scheduler.acknowledges = false
  agent.update('t1', 'TASK_KILLED', { reason: 'REASON_AGENT_DRAINING' })
  const killed = await c.status(scheduler, 't1', 'TASK_KILLED')
  t.equal((await c.json('/state')).slaves[0].drain_info.state, 'DRAINING', 'not acknowledged yet')
  scheduler.acknowledge(killed)
  await c.world.advance(1000)
  t.equal((await c.json('/state')).slaves[0].drain_info.state, 'DRAINED')
  t.same(scheduler.unused, [], 'nothing is offered')
  t.same(await call(c, 'REACTIVATE_AGENT', id), OK)
  await c.offer(scheduler)
  t.same(agent.of('drain').at(-1), {})
  t.match((await c.json('/state')).slaves, [{ active: true, deactivated: false }])
  t.match(await call(c, 'REACTIVATE_AGENT', id), { status: 400, text: 'Agent is not deactivated' })
})

t.test(
  'a deactivated agent keeps its tasks; one that is away is deactivated all the same',
  async t => {
    const c = await Cluster.start()
    const agent = await c.registered()
    const scheduler = await c.subscribed({ checkpoint: true })
    await c.running(scheduler, agent, 't1')
    t.same(await call(c, 'DEACTIVATE_AGENT', agent.id!), OK)
    t.same(await call(c, 'DEACTIVATE_AGENT', agent.id!), OK)
    t.same(agent.of('drain'), [])
    t.match((await c.json('/state')).frameworks, [{ tasks: [{ id: 't1' }] }])
    await c.reregister(agent)
    t.match(await c.json(`/offers/why?agent_id=${agent.id}`), {
      frameworks: [{ reason: 'the agent is deactivated' }],
    })
    t.same(await call(c, 'REACTIVATE_AGENT', agent.id!), OK)
    await c.revived(scheduler)
  },
)

t.test('an agent that is drained to be gone is told to end, and its tasks are over', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  t.same(await call(c, 'DRAIN_AGENT', agent.id!, { mark_gone: true }), OK)
  await c.world.until(() => agent.of('shutdown').length > 0, 'it is told to end')
  t.match((await c.json('/registrar(1)/registry')).gone, [{ id: { value: agent.id } }])
  const other = await c.registered()
  await c.running(scheduler, other, 't1')
  t.same(await call(c, 'MARK_AGENT_GONE', other.id!), OK)
  t.match(await c.status(scheduler, 't1', 'TASK_GONE_BY_OPERATOR'), {
    reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
  })
  t.same(await call(c, 'MARK_AGENT_GONE', other.id!), OK, 'once more changes nothing')
  t.match(await call(c, 'MARK_AGENT_GONE', 'nobody'), { status: 404 })
  t.match(await call(c, 'DRAIN_AGENT', other.id!), { status: 400, text: 'Unknown agent' })
})

const machine = (n: number) => ({ hostname: `HOST-${n}`, ip: `10.0.1.${n}` })
const windows = (...ids: object[]) => ({
  windows: [{ machine_ids: ids, unavailability: { start: { nanoseconds: 1e18 } } }],
})

t.test('frameworks on a machine of the schedule are asked for it, and offers say when', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  await c.running(scheduler, agent, 't1')
  t.same(await post(c, '/maintenance/schedule', windows(machine(1))), OK)
  t.same(await c.json('/maintenance/schedule'), windows(machine(1)))
  await c.world.until(() => scheduler.of('INVERSE_OFFERS').length > 0, 'it is asked')
  const [{ inverse_offers: asked }] = scheduler.of('INVERSE_OFFERS') as never as [
    { inverse_offers: { inverse_offers: { id: { value: string }; agent_id: unknown }[] } },
  ]
  const [one] = asked.inverse_offers
  t.match(one, { agent_id: { value: agent.id }, unavailability: { start: { nanoseconds: 1e18 } } })
  t.match(await c.revived(scheduler), { unavailability: { start: { nanoseconds: 1e18 } } })
  t.match((await c.json('/maintenance/status')).draining_machines, [{ statuses: [] }])
  scheduler.say({
    type: 'DECLINE_INVERSE_OFFERS',
    decline_inverse_offers: { inverse_offer_ids: [one!.id], filters: { refuse_seconds: 3 } },
  })
  await c.settle()
  t.match((await c.json('/maintenance/status')).draining_machines, [
    { id: machine(1), statuses: [{ status: 'DECLINE' }] },
  ])
  t.match(await call(c, 'DRAIN_AGENT', agent.id!), {
    status: 400,
    text: /maintenance schedule under/,
  })
  await c.world.until(() => scheduler.of('INVERSE_OFFERS').length > 1, 'it is asked again')
  t.same(await post(c, '/maintenance/schedule', { windows: [] }), OK)
  await c.settle()
  t.equal(scheduler.of('RESCIND_INVERSE_OFFER').length, 1)
})

t.test('agents on a machine that goes down end, and none is taken before it is up', async t => {
  const c = await Cluster.start({ disk: new MemoryDisk() })
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  await c.running(scheduler, agent, 't1')
  const down = [{ hostname: 'host-1', ip: '10.0.1.1' }]
  t.match(await post(c, '/machine/down', down), { status: 400, text: /not part of a maintenance/ })
  await post(c, '/maintenance/schedule', windows(machine(1), machine(7)))
  t.match(await post(c, '/machine/up', down), { status: 400, text: /not in DOWN mode/ })
  t.same(await post(c, '/machine/down', down), OK)
  t.match(await c.status(scheduler, 't1', 'TASK_GONE'), { message: /Operator initiated/ })
  t.match(agent.of('shutdown'), [{ message: "Operator initiated 'Machine DOWN'" }])
  t.match(await post(c, '/maintenance/schedule', windows(machine(7))), {
    status: 400,
    text: /is deactivated and cannot be removed/,
  })
  await c.failover()
  t.same((await c.json('/maintenance/status')).down_machines, [machine(1)])
  agent.id = undefined
  agent.register()
  await c.world.until(() => agent.of('shutdown').length > 1, 'it is refused')
  t.match(agent.of('shutdown').at(-1), { message: 'Machine is `DOWN`' })
  t.same(await post(c, '/machine/up', down), OK)
  t.same(await c.json('/maintenance/schedule'), windows(machine(7)))
  await c.register(agent)
})

t.test('what is no call, no schedule and no list of machines is named', async t => {
  const c = await Cluster.start()
  const schedule = (list: object) => [
    '/api/v1',
    { type: 'UPDATE_MAINTENANCE_SCHEDULE', update_maintenance_schedule: { schedule: list } },
  ]
  const cases: [string, unknown, RegExp][] = [
    ['/api/v1', '{', /^Failed to parse body into JSON/],
    ['/api/v1', { type: 'DANCE' }, /^Failed to convert JSON into a call .*type/],
    ['/api/v1', { type: 'DRAIN_AGENT' }, /drain_agent/],
    ['/api/v1', { type: 'START_MAINTENANCE', start_maintenance: {} }, /List of machines is empty/],
    ['/machine/down', [{}], /Both 'hostname' and 'ip' for a machine are empty/],
    ['/machine/down', [{ ip: 'x' }], /parse the IP/],
    ['/machine/down', [machine(1), { ...machine(1), hostname: 'host-1' }], /more than once/],
    ['/maintenance/schedule', windows(), /machines in the maintenance window is empty/],
    ['/maintenance/schedule', { windows: [{}] }, /unavailability/],
  ]
  for (const [path, body, text] of cases) {
    t.match(await post(c, path, body), { status: 400, text }, JSON.stringify(body))
  }
  const negative = windows(machine(1))
  Object.assign(negative.windows[0]!.unavailability, { duration: { nanoseconds: -1 } })
  const [path, body] = schedule(negative)
  t.match(await post(c, path as string, body), { status: 400, text: /'duration' is negative/ })
  const graces = ['10', { nanoseconds: -1 }, 'soon', 7]
  for (const max_grace_period of graces) {
    t.match(await call(c, 'DRAIN_AGENT', 'x', { max_grace_period }), { status: 400, text: /grace/ })
  }
  t.match(await post(c, '/machine/up', [], { 'content-type': 'text/plain' }), { status: 415 })
  t.match(await post(c, '/api/v1', {}, {} as never), { status: 400, text: /to be present/ })
  t.equal((await post(c, '/api/v1/scheduler', {})).status, 404)
  t.equal((await c.get('/machine/down')).status, 405)
})
