import t from 'tap'
import { Actor } from '../../src/actors/actor.ts'
import { type Protocol, serve } from '../../src/actors/protocol.ts'
import { VERSION } from '../../src/base/version.ts'
import { Files } from '../../src/messages/files.ts'
import { Cluster, executor, MULTI_ROLE, PARTITION_AWARE, request, task } from './cluster.ts'

t.test('/state has the shape that tools of Mesos read', async t => {
  const c = await Cluster.start({ flags: { cluster: 'prod' } })
  const agent = await c.registered({
    resources: 'cpus:4;mem:4096;ports:[31000-32000]',
    attributes: [
      { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
      { name: 'level', type: 'SCALAR', scalar: { value: 10 } },
    ],
  })
  const scheduler = await c.subscribed({
    roles: ['conf'],
    ...MULTI_ROLE,
    labels: { labels: [{ key: 'a', value: 'b' }] },
  })
  const own = { executor: { ...executor('e1', 'cpus:0.5'), name: 'E' }, command: undefined }
  await c.running(scheduler, agent, 't1', {
    ...own,
    labels: { labels: [{ key: 'k', value: 'v' }] },
  })
  await c.revived(scheduler)
  const state = await c.json('/state')
  t.same(Object.keys(state).sort(), [
    'activated_slaves',
    'capabilities',
    'cluster',
    'completed_frameworks',
    'deactivated_slaves',
    'elected_time',
    'flags',
    'frameworks',
    'hostname',
    'id',
    'leader',
    'leader_info',
    'orphan_tasks',
    'pid',
    'recovered_slaves',
    'slaves',
    'start_time',
    'unreachable_slaves',
    'unregistered_frameworks',
    'version',
  ])
  t.match(state, {
    version: VERSION,
    pid: 'master@10.0.0.1:5050',
    leader: 'master@10.0.0.1:5050',
    hostname: 'master.example',
    cluster: 'prod',
    activated_slaves: 1,
    deactivated_slaves: 0,
    unreachable_slaves: 0,
    leader_info: {
      id: state.id,
      pid: 'master@10.0.0.1:5050',
      port: 5050,
      hostname: 'master.example',
    },
    flags: { agent_ping_timeout: '15secs', root_submissions: 'true' },
  })
  t.ok(state.elected_time >= state.start_time && state.start_time > 1.7e9)
  const none = { disk: 0, gpus: 0 }
  const [slave] = state.slaves
  t.same(slave, {
    id: agent.id,
    hostname: 'host-1',
    port: 5051,
    attributes: { rack: 'r1', level: 10 },
    pid: 'slave(1)@10.0.1.1:5051',
    registered_time: slave.registered_time,
    resources: { ...none, cpus: 4, mem: 4096, ports: '[31000-32000]' },
    used_resources: { ...none, cpus: 1.5, mem: 32 },
    offered_resources: { ...none, cpus: 2.5, mem: 4064, ports: '[31000-32000]' },
    reserved_resources: {},
    unreserved_resources: { ...none, cpus: 4, mem: 4096, ports: '[31000-32000]' },
    active: true,
    deactivated: false,
    version: '0.1.0',
    capabilities: ['MULTI_ROLE', 'AGENT_DRAINING'],
  })
  const [framework] = state.frameworks
  const { tasks, offers, registered_time, ...rest } = framework
  t.same(rest, {
    id: scheduler.id,
    name: 'test',
    pid: scheduler.self,
    used_resources: { ...none, cpus: 1.5, mem: 32 },
    offered_resources: { ...none, cpus: 2.5, mem: 4064, ports: '[31000-32000]' },
    resources: { ...none, cpus: 4, mem: 4096, ports: '[31000-32000]' },
    capabilities: ['MULTI_ROLE', 'RESERVATION_REFINEMENT'],
    hostname: '',
    webui_url: '',
    active: true,
    connected: true,
    recovered: false,
    user: 'tester',
    failover_timeout: 0,
    checkpoint: false,
    unregistered_time: 0,
    roles: ['conf'],
    unreachable_tasks: [],
    completed_tasks: [],
    offer_constraints: {},
    labels: [{ key: 'a', value: 'b' }],
    executors: [
      {
        executor_id: 'e1',
        name: 'E',
        framework_id: scheduler.id,
        source: '',
        slave_id: agent.id,
        role: 'conf',
        resources: { ...none, cpus: 0.5, mem: 0 },
      },
    ],
  })
  t.ok(registered_time > 1.7e9)
  t.same(tasks, [
    {
      id: 't1',
      name: 't1',
      framework_id: scheduler.id,
      executor_id: 'e1',
      slave_id: agent.id,
      state: 'TASK_RUNNING',
      resources: { ...none, cpus: 1, mem: 32 },
      role: 'conf',
      user: 'tester',
      labels: [{ key: 'k', value: 'v' }],
      statuses: [{ state: 'TASK_RUNNING', timestamp: tasks[0].statuses[0].timestamp }],
    },
  ])
  t.match(offers, [
    {
      framework_id: scheduler.id,
      slave_id: agent.id,
      allocation_info: { role: 'conf' },
      resources: { cpus: 2.5 },
    },
  ])
})

t.test('/state is sent once for each change', async t => {
  const c = await Cluster.start()
  const first = await c.get('/state')
  t.equal(first.headers?.['content-type'], 'application/json')
  const etag = first.headers!['etag']!
  const again = await c.get('/state', { 'if-none-match': etag })
  t.match([again.status, again.body], [304, undefined])
  await c.world.advance(100_000)
  t.equal((await c.get('/state', { 'if-none-match': etag })).status, 304)
  t.equal((await c.get('/state')).body, first.body)
  const seen = new Set([etag])
  const changed = async (what: string) => {
    await c.settle()
    const response = await c.get('/state', { 'if-none-match': etag })
    t.equal(response.status, 200, what)
    t.notOk(seen.has(response.headers!['etag']!), what)
    seen.add(response.headers!['etag']!)
  }
  const agent = await c.registered()
  await changed('an agent')
  const scheduler = await c.subscribed()
  await changed('a framework')
  const offer = await c.offer(scheduler)
  scheduler.accept([offer], [task('t1', offer)], 1000)
  await changed('a task')
  agent.update('t1', 'TASK_RUNNING')
  await changed('an update')
  c.world.crash('10.0.1.1:5051')
  await changed('a disconnection')
  scheduler.say({ type: 'TEARDOWN' })
  await changed('an end')
})

t.test('/slaves and /frameworks show all, or the one asked for', async t => {
  const c = await Cluster.start()
  const [one, two] = [
    await c.registered({ resources: 'cpus(a):1;cpus:3;mem:100' }),
    await c.registered(),
  ]
  const scheduler = await c.subscribed({ name: 'one' })
  const ended = await c.subscribed({ name: 'two' })
  ended.say({ type: 'TEARDOWN' })
  await c.settle()
  const ids = (list: { id: string }[]) => list.map(({ id }) => id)
  t.same(ids((await c.json('/slaves')).slaves), [one.id, two.id])
  const { slaves } = await c.json(`/slaves?slave_id=${one.id}`)
  t.same(ids(slaves), [one.id])
  t.match(slaves[0], {
    resources: { cpus: 4 },
    reserved_resources: { a: { cpus: 1 } },
    unreserved_resources: { cpus: 3 },
    reserved_resources_full: {
      a: [{ name: 'cpus', scalar: { value: 1 }, reservations: [{ role: 'a' }] }],
    },
    unreserved_resources_full: [{ name: 'cpus', scalar: { value: 3 } }, { name: 'mem' }],
    used_resources_full: [],
    offered_resources_full: [{ scalar: { value: 3 } }, { scalar: { value: 100 } }],
  })
  const all = await c.json('/frameworks')
  t.same([ids(all.frameworks), ids(all.completed_frameworks)], [[scheduler.id], [ended.id]])
  const [completed] = (await c.json(`/frameworks?framework_id=${ended.id}`)).completed_frameworks
  t.match(completed, { id: ended.id, active: false, connected: false })
  t.ok(completed.unregistered_time > completed.registered_time)
  t.same((await c.json('/frameworks?framework_id=nobody')).frameworks, [])
})

t.test('/tasks in order and in parts; what makes no sense is ignored', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const scheduler = await c.subscribed(PARTITION_AWARE)
  for (const id of ['t1', 't2', 't3']) {
    await c.running(scheduler, agent, id)
    await c.world.advance(1_000)
  }
  agent.update('t2', 'TASK_FINISHED')
  await c.settle()
  const ids = async (query: string) =>
    (await c.json(`/tasks${query}`)).tasks.map((x: { id: string }) => x.id)
  t.same(await ids(''), ['t3', 't2', 't1'])
  t.same(await ids('?order=asc'), ['t1', 't2', 't3'])
  t.same(await ids('?limit=1&offset=1'), ['t2'])
  t.same(await ids('?limit=0'), [])
  t.same(await ids('?limit=-1&order=x&offset=x'), ['t3', 't2', 't1'])
  t.same(await ids('?limit=x'), ['t3', 't2', 't1'])
  t.same(await ids('?limit=2x'), ['t3', 't2', 't1'])
  t.same(await ids('?offset=-1'), [])
  t.same(await ids('?offset=9'), [])
  t.same(await ids('?task_id=t2'), ['t2'])
  t.same(await ids(`?framework_id=${scheduler.id}&order=asc&limit=1`), ['t1'])
  t.same(await ids('?framework_id=nobody'), [])
  c.world.crash('10.0.1.1:5051')
  await c.settle()
  t.same(
    (await c.json('/tasks')).tasks.map((x: { state: string }) => x.state),
    ['TASK_UNREACHABLE', 'TASK_FINISHED', 'TASK_UNREACHABLE'],
  )
})

t.test('only so many ended tasks and frameworks are remembered', async t => {
  const c = await Cluster.start({
    flags: {
      max_completed_tasks_per_framework: '2',
      max_completed_frameworks: '1',
      max_unreachable_tasks_per_framework: '1',
    },
  })
  const agent = await c.registered()
  const first = await c.subscribed(PARTITION_AWARE)
  for (const id of ['t1', 't2', 't3']) {
    await c.running(first, agent, id)
    agent.update(id, 'TASK_FINISHED')
    await c.settle()
  }
  for (const id of ['u1', 'u2']) await c.running(first, agent, id)
  c.world.crash('10.0.1.1:5051')
  await c.settle()
  const [framework] = (await c.json('/frameworks')).frameworks
  t.match(framework, {
    completed_tasks: [{ id: 't2' }, { id: 't3' }],
    unreachable_tasks: [{ id: 'u2' }],
  })
  t.equal(framework.unreachable_tasks.length, 1)
  first.say({ type: 'TEARDOWN' })
  await c.settle()
  const second = await c.subscribed()
  second.say({ type: 'TEARDOWN' })
  await c.settle()
  t.match((await c.json('/frameworks')).completed_frameworks, [{ id: second.id }])
})

t.test('small things: health, version, flags, the registry, and what is not there', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  t.match(await c.get('/health'), { status: 200, body: undefined })
  t.same(await c.json('/version'), { version: VERSION })
  t.match(await c.json('/flags'), { flags: { max_agent_ping_timeouts: '5' } })
  t.match(await c.json('/registrar(1)/registry'), {
    master: { pid: 'master@10.0.0.1:5050' },
    agents: [{ id: { value: agent.id }, hostname: 'host-1' }],
    unreachable: [],
    gone: [],
  })
  t.equal((await c.get('/master/state')).status, 200)
  t.equal((await c.get('/nothing')).status, 404)
  for (const path of [
    '/state',
    '/slaves',
    '/frameworks',
    '/tasks',
    '/flags',
    '/files/read',
    '/files/browse',
    '/offers/why',
  ]) {
    const { status, headers } = await c.request(request(path, {}, 'DELETE'))
    t.match([status, headers], [405, { allow: 'GET' }], path)
  }
  t.equal((await c.request(request('/state', {}, 'HEAD'))).status, 200)
})

type Handlers = typeof Files extends Protocol<infer E> ? Parameters<typeof serve<E>>[1] : never

class FakeFiles extends Actor {
  readonly serves = [serve(Files, this.#handlers())]
  readonly asked: unknown[] = []

  #handlers(): Handlers {
    return {
      browse: asked => {
        this.asked.push(asked)
        if (asked.path === '/secret') return { ok: false, code: 'FORBIDDEN', message: 'no' }
        return {
          ok: true,
          files: [
            {
              path: '/x/stdout',
              size: 3,
              nlink: 1,
              mtime: 1,
              mode: '-rw-r--r--',
              uid: 'root',
              gid: 'root',
            },
          ],
        }
      },
      read: asked => {
        this.asked.push(asked)
        if (asked.path === '/dir')
          return { ok: false, code: 'BAD_REQUEST', message: 'Cannot read a directory.\n' }
        if (asked.path !== '/x/stdout') return { ok: false, code: 'NOT_FOUND', message: '' }
        return { ok: true, offset: Math.max(0, asked.offset), data: 'hi\n', total: 3 }
      },
    }
  }
}

t.test('files of a sandbox, through the master', async t => {
  const c = await Cluster.start()
  const agent = await c.registered()
  const files = new FakeFiles()
  agent.runtime.spawn(files, 'files')
  const get = (path: string) => c.get(`${path}&agent_id=${agent.id}`)
  t.match(JSON.parse(String((await get('/files/browse?path=/x')).body)), [
    { path: '/x/stdout', size: 3 },
  ])
  t.same(JSON.parse(String((await get('/files/read?path=/x/stdout&offset=1&length=2')).body)), {
    offset: 1,
    data: 'hi\n',
  })
  await get('/files/read?path=/x/stdout&encoding=base64')
  t.same(files.asked, [
    { path: '/x' },
    { path: '/x/stdout', offset: 1, length: 2, encoding: 'utf8' },
    { path: '/x/stdout', offset: -1, length: 65536, encoding: 'base64' },
  ])
  const refused = async (path: string, status: number, body: RegExp) =>
    t.match(await c.get(path), { status, body }, path)
  const id = `agent_id=${agent.id}`
  await refused(`/files/read?${id}&path=/dir`, 400, /^Cannot read a directory.\n$/)
  await refused(`/files/read?${id}&path=/none`, 404, /^$/)
  await refused(`/files/browse?${id}&path=/secret`, 403, /no/)
  await refused(`/files/read?${id}&path=/x&encoding=latin1`, 400, /must be one of utf8, base64/)
  await refused(`/files/read?${id}`, 400, /^Expecting 'path=value' in query.\n$/)
  await refused('/files/read?path=/x', 400, /^Expecting 'agent_id=value' in query.\n$/)
  await refused('/files/read?path=/x&agent_id=nobody', 404, /nobody/)
  await refused(`/files/read?${id}&path=/x&offset=-2`, 400, /offset/)
  await refused(`/files/read?${id}&path=/x&length=x`, 400, /length/)
  c.world.network.partition(['10.0.0.1:5050'], ['10.0.1.1:5051'])
  await refused(`/files/read?${id}&path=/x/stdout`, 502, /did not answer/)
})

t.test('/redirect leads to the dashboard, and nothing is below it', async t => {
  const c = await Cluster.start()
  t.match(await c.get('/redirect'), {
    status: 307,
    headers: { location: '//master.example:5050' },
  })
  t.equal((await c.get('/master/redirect')).status, 307)
  t.equal((await c.get('/redirect/')).status, 404)
  t.equal((await c.get('/redirect/x')).status, 404)
})
