// What every process answers, whichever actors it has.

import t from 'tap'
import type { HttpRequest, HttpResponse } from '../../src/actors/http.ts'
import { json, text } from '../../src/actors/http.ts'
import { readFirewallRules } from '../../src/actors/http-flags.ts'
import { createLogger } from '../../src/base/logger.ts'
import { VERSION } from '../../src/base/version.ts'
import { Runtime } from '../../src/actors/runtime.ts'
import { pid } from '../../src/actors/pid.ts'
import type { RuntimeOptions } from '../../src/actors/runtime-options.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { silentLogger } from '../../src/base/log.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { A, B, Probe, withStage } from './probe.ts'

function request(target: string, more: Partial<HttpRequest> = {}): HttpRequest {
  const [path = '', query = ''] = target.split('?')
  return {
    method: 'GET',
    path,
    query: new URLSearchParams(query),
    headers: {},
    body: new Uint8Array(),
    ...more,
  }
}

function alone(options: Partial<RuntimeOptions> = {}) {
  const clock = new VirtualClock()
  const transport = { onChannel: () => {}, dial: () => {}, close: () => Promise.resolve() }
  const runtime = new Runtime({
    address: A,
    clock,
    random: new SeededRandom(1),
    transport,
    log: silentLogger,
    ...options,
  })
  const get = async (target: string, more: Partial<HttpRequest> = {}): Promise<HttpResponse> => {
    const answer = runtime.http(request(target, more))
    await clock.settle()
    return answer
  }
  return { clock, runtime, get }
}

const told = ({ status, body }: HttpResponse): string => `${status} ${String(body ?? '')}`

/** An actor `x` with a few routes, to which paths without an actor belong. */
async function withActor(options: Partial<RuntimeOptions> = {}) {
  const made = alone(options)
  const probe = new Probe({
    initialize: self => {
      self.route('/state', 'The <state>.', () => json({ a: 1 }))
      self.route('/state/deep', 'A part of it.', () => text(200, 'deep'))
      self.route('/flags', 'The flags.', () => text(200, 'flags'))
      self.route('/version', 'Its own.', () => json({ version: 'own' }))
    },
  })
  made.runtime.spawn(probe, 'x')
  made.runtime.delegate = 'x'
  await made.clock.settle()
  return made
}

t.test('/version and /health are the process’ own unless an actor has them', async t => {
  const bare = alone()
  t.equal(told(await bare.get('/version')), `200 {"version":"${VERSION}"}`)
  t.equal(told(await bare.get('/health')), '200 ')
  t.equal(told(await bare.get('/elsewhere')), '404 ')
  const { get } = await withActor()
  t.equal(told(await get('/version')), '200 {"version":"own"}')
  t.equal(told(await get('/health/')), '200 ')
})

t.test('/metrics, in both forms', async t => {
  const { runtime, get } = alone({
    system: {
      cpus: () => 2,
      loads: () => [0.5, 0.25, 0.125],
      memTotalBytes: () => 4096,
      memFreeBytes: () => 1024,
    },
  })
  runtime.metrics.counter('master/x').increment()
  const system = {
    'system/cpus_total': 2,
    'system/load_15min': 0.125,
    'system/load_1min': 0.5,
    'system/load_5min': 0.25,
    'system/mem_free_bytes': 1024,
    'system/mem_total_bytes': 4096,
  }
  const snapshot = await get('/metrics/snapshot?timeout=10secs')
  t.equal(snapshot.status, 200)
  const entries = Object.entries(JSON.parse(String(snapshot.body)) as Record<string, number>)
  const others = entries.filter(([name]) => !name.startsWith('actors/'))
  t.strictSame(Object.fromEntries(others), { 'master/x': 1, ...system })
  t.strictSame(
    entries,
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    'sorted by name',
  )
  const { headers, body } = await get('/metrics')
  t.match(headers, { 'content-type': /^text\/plain; version=0\.0\.4/ })
  t.match(String(body), /^# TYPE master_x counter\nmaster_x 1\n/m)
  t.match(
    told(await get('/metrics/snapshot?timeout=soon')),
    /^400 Invalid 'timeout': 'soon' is not/,
  )
  t.strictSame(JSON.parse(String((await get('/system/stats.json')).body)), {
    cpus_total: 2,
    load_1min: 0.5,
    load_5min: 0.25,
    load_15min: 0.125,
    mem_free_bytes: 1024,
    mem_total_bytes: 4096,
  })
})

t.test('/help is made from the routes', async t => {
  const { get } = await withActor()
  const { processes } = JSON.parse(String((await get('/help?format=json')).body))
  const names = (id: string) =>
    processes
      .find((process: { id: string }) => process.id === id)
      ?.endpoints.map((endpoint: { name: string }) => endpoint.name)
  t.strictSame(names('x'), ['/flags', '/state', '/state/deep', '/version'])
  t.strictSame(names('metrics'), ['/', '/snapshot'])
  t.strictSame(names('logging'), ['/toggle'])
  t.strictSame(JSON.parse(String((await get('/help/x/state/deep?format=json')).body)), {
    processes: [
      {
        id: 'x',
        endpoints: [
          {
            name: '/state/deep',
            text: '### USAGE ###\n>        /x/state/deep\n\n### TL;DR; ###\n>        A part of it.\n',
          },
        ],
      },
    ],
  })
  const page = String((await get('/help/x')).body)
  t.match(page, '<a href="/x/state">/x/state</a>')
  t.match(page, 'The &lt;state&gt;.')
  t.notMatch(page, '/metrics')
  t.equal(told(await get('/help/nobody')), '404 ')
  t.equal(told(await get('/help/x/nothing')), '404 ')
})

t.test('/logging/toggle says more for a while', async t => {
  const lines: string[] = []
  const log = createLogger({
    level: 'info',
    format: 'text',
    name: 'test',
    destination: { write: line => void lines.push(line) },
    now: () => 0,
  })
  const { clock, runtime, get } = alone({ log })
  const child = log.child({ actor: 'x' })
  t.equal(told(await get('/logging/toggle')), '200 0\n')
  for (const [query, answer] of [
    ['level=1', "Expecting 'duration=value' in query.\n"],
    ['duration=1mins', "Expecting 'level=value' in query.\n"],
    ['level=x&duration=1mins', "Failed to convert 'x' to a number.\n"],
    ['level=-1&duration=1mins', "Invalid level '-1'.\n"],
    ['level=1&duration=1', "'1' is not a duration: it has no unit\n"],
  ]) {
    t.match(told(await get(`/logging/toggle?${query}`)), `400 ${answer!.trim()}`)
  }
  child.debug('quiet')
  t.equal(told(await get('/logging/toggle?level=2&duration=15mins')), '200 ')
  t.equal(told(await get('/logging/toggle')), '200 2\n')
  child.debug('loud')
  await clock.advance(14 * 60_000)
  t.equal(told(await get('/logging/toggle?level=1&duration=2mins')), '200 ', 'starts anew')
  await clock.advance(60_000)
  t.equal(log.level, 'debug')
  await clock.advance(60_000)
  t.equal(told(await get('/logging/toggle')), '200 0\n')
  child.debug('quiet again')
  t.strictSame(
    lines.filter(line => / x: /.test(line)).map(line => line.trim().split(' x: ')[1]),
    ['loud'],
  )
  await get('/logging/toggle?level=1&duration=15mins')
  await runtime.shutdown()
  t.equal(clock.pending, 0)
  t.equal(log.level, 'info')
})

t.test(
  '/logging/toggle: no less than the process was started with, and not everywhere',
  async t => {
    const debug = alone({
      log: createLogger({ level: 'debug', format: 'json', name: 'x', destination: { write() {} } }),
    })
    t.equal(told(await debug.get('/logging/toggle')), '200 1\n')
    const less = await debug.get('/logging/toggle?level=0&duration=1mins')
    t.equal(told(less), "400 '0' < original level.\n")
    const fixed = await alone().get('/logging/toggle?level=1&duration=1mins')
    t.equal(fixed.status, 501)
  },
)

t.test('/__processes__ shows what waits, by type and name', async t => {
  await withStage(t, async ({ world, runtime, probe }) => {
    const { pid: other } = probe(B, {}, 'other')
    await world.settle()
    probe(A, { initialize: self => self.link(other) }, 'x')
    let rows: unknown
    const { probe: looker } = probe(
      A,
      {
        initialize: async self => {
          self.route('/here', 'Here.', () => text(200, ''))
          self.chat(self.self).tell('note', { text: 'a' })
          self.dispatch(() => {})
          void runtime(A).http(request('/y/here'))
          rows = JSON.parse(String((await runtime(A).http(request('/__processes__'))).body))
        },
      },
      'y',
    )
    await world.settle()
    t.equal(looker.heard.length, 1)
    t.strictSame(rows, [
      { id: 'x', events: [], recent: [] },
      {
        id: 'y',
        events: [
          { type: 'MESSAGE', name: 'test.chat/note', from: `y@${A}` },
          { type: 'DISPATCH', name: 'call' },
          { type: 'HTTP', name: '/y/here', method: 'GET' },
        ],
        recent: [],
      },
    ])
  })
})

t.test('/__processes__ shows beginnings, ends, links and continuations that wait', async t => {
  await withStage(t, async ({ world, runtime, probe }) => {
    let events: unknown
    let newcomers: unknown
    const look = async () => {
      const { body } = await runtime(A).http(request('/__processes__'))
      const rows = JSON.parse(String(body)) as { id: string; events: unknown }[]
      events = rows.find(({ id }) => id === 'x')?.events
      newcomers = rows.find(({ id }) => id === 'newcomer')?.events
    }
    probe(
      A,
      {
        initialize: self =>
          self.dispatch(() => {
            self.link(pid('nobody', A))
            void self.resume(Promise.resolve())
            self.terminate(self.self, { drain: true })
            probe(A, {}, 'newcomer')
            // By then what it resumes is there, and it has not had its next turn.
            queueMicrotask(() => queueMicrotask(() => void look()))
          }),
      },
      'x',
    )
    await world.settle()
    t.strictSame(events, [
      { type: 'EXITED', name: `nobody@${A}` },
      { type: 'TERMINATE', name: 'terminate' },
      { type: 'DISPATCH', name: 'resume' },
    ])
    t.strictSame(newcomers, [{ type: 'DISPATCH', name: 'initialize' }])
  })
})

t.test('?jsonp= makes a script of a JSON answer to a GET', async t => {
  const { get } = await withActor()
  const script = await get('/state?jsonp=jQuery.cb[1]')
  t.equal(told(script), '200 jQuery.cb[1]({"a":1});')
  t.match(script.headers, { 'content-type': 'text/javascript' })
  t.equal(told(await get('/state?jsonp=f', { method: 'POST' })), '200 {"a":1}')
  t.equal(told(await get('/flags?jsonp=f')), '200 flags')
  t.equal((await get('/state?jsonp=alert(1)//')).status, 400)
  t.equal((await get('/state?jsonp=')).status, 400)
})

t.test('the firewall refuses an endpoint by whatever path', async t => {
  const { runtime, get } = await withActor()
  runtime.provide('/page.html', text(200, 'page'))
  runtime.installFirewall({
    disabled_endpoints: { paths: ['/state', '/metrics/snapshot', '/page.html/', '/x/flags'] },
  })
  const refused = ['/state', '/state/', '//state', '/x/state', '/state/more', '/x/state/more']
  for (const path of [
    ...refused,
    '/metrics/snapshot',
    '//metrics/snapshot',
    '/flags',
    '/page.html',
  ]) {
    t.equal(told(await get(path)), `403 Endpoint '${path}' is disabled`)
  }
  t.equal(told(await get('/state/deep')), '200 deep')
  t.equal((await get('/metrics')).status, 200)
  runtime.installFirewall({})
  t.equal((await get('/state')).status, 200)
})

t.test('firewall rules that would protect nobody are refused', async t => {
  const rules = { disabled_endpoints: { paths: ['/files/browse'] } }
  t.strictSame(readFirewallRules(rules), rules)
  t.strictSame(readFirewallRules({}), {})
  for (const [json, why] of [
    [[], 'it is not a JSON object'],
    [null, 'it is not a JSON object'],
    [{ disabled_endpoint: {} }, "'disabled_endpoint' is no rule that is known"],
    [{ disabled_endpoints: '/state' }, "'disabled_endpoints' is not a JSON object"],
    [{ disabled_endpoints: {} }, "'disabled_endpoints.paths' is not an array"],
    [{ disabled_endpoints: { paths: ['state'] } }, 'the path "state" does not begin with \'/\''],
  ] as const) {
    t.throws(() => readFirewallRules(json), { message: why }, why)
  }
})

t.test('/profiler has to be enabled, and is started once', async t => {
  t.match(told(await alone().get('/profiler/start')), /^400 .*LIBPROCESS_ENABLE_PROFILER=1/)
  let running = false
  const profiler = {
    get running() {
      return running
    },
    start: async () => void (running = true),
    stop: async () => {
      running = false
      return '{}'
    },
  }
  const broken = alone({ profiler: () => Promise.reject(new Error('no inspector')) })
  t.match(told(await broken.get('/profiler/start')), /^500 .*its log says why/)
  const { get } = alone({ profiler: () => Promise.resolve(profiler) })
  t.equal(told(await get('/profiler/stop')), '400 Profiler is not running.\n')
  t.equal(told(await get('/profiler/start')), '200 Profiler started.\n')
  t.equal(told(await get('/profiler/start')), '400 Profiler is already started.\n')
  const stopped = await get('/profiler/stop')
  t.equal(told(stopped), '200 {}')
  t.match(stopped.headers, { 'content-disposition': /profile\.cpuprofile/ })
})
