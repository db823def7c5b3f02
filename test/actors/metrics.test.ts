// Counters, gauges, timings: what a snapshot says of them, in both forms.

import fc from 'fast-check'
import t from 'tap'
import { Metrics } from '../../src/actors/metrics.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { A, withStage } from './probe.ts'

const clock = new VirtualClock()

t.test('a snapshot is flat and sorted', async t => {
  const metrics = new Metrics()
  metrics.counter('z/count').increment(3)
  const counter = metrics.counter('b')
  counter.increment()
  counter.increment()
  metrics.gauge('a', () => 0.5)
  metrics.gauge('later', () => Promise.resolve(7))
  metrics.timing('never_ms')
  const snapshot = await metrics.snapshot(clock)
  t.strictSame(snapshot, { a: 0.5, b: 2, later: 7, 'z/count': 3 })
  t.strictSame(Object.keys(snapshot), ['a', 'b', 'later', 'z/count'])
  t.equal(counter.value, 2)
})

t.test('a name is one metric', async t => {
  const metrics = new Metrics()
  metrics.counter('a')
  for (const again of ['counter', 'gauge', 'timing'] as const) {
    t.throws(() => metrics[again]('a', () => 1), { message: /'a' exists already/ }, again)
  }
  metrics.remove('a')
  t.doesNotThrow(() => metrics.gauge('a', () => 1))
})

t.test('a gauge that fails is left out, and one that is late too', async t => {
  const metrics = new Metrics()
  metrics.gauge('good', () => 1)
  metrics.gauge('throws', () => {
    throw new Error('no')
  })
  metrics.gauge('rejects', () => Promise.reject(new Error('no')))
  metrics.gauge('odd', () => Number.NaN)
  let answer = (_value: number): void => {}
  metrics.gauge('late', () => new Promise(resolve => (answer = resolve)))
  let taken: Record<string, number> | undefined
  void metrics.snapshot(clock, 10_000).then(snapshot => (taken = snapshot))
  await clock.advance(9_999)
  t.equal(taken, undefined, 'waits for as long as was asked')
  await clock.advance(1)
  t.strictSame(taken, { good: 1 })
  answer(2)
  await clock.settle()
  t.strictSame(taken, { good: 1 }, 'what was handed out does not change')
  const whole = metrics.snapshot(clock)
  answer(3)
  t.strictSame(await whole, { good: 1, late: 3 })
  t.equal(clock.pending, 0)
})

t.test('percentiles of a timing are those of its latest measurements', async () => {
  const dumb = (values: readonly number[], share: number): number => {
    const sorted = [...values].sort((a, b) => a - b)
    const at = share * (sorted.length - 1)
    const below = sorted[Math.floor(at)]!
    return below + (sorted[Math.ceil(at)]! - below) * (at % 1)
  }
  const durations = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 2_500 })
  await fc.assert(
    fc.asyncProperty(durations, async values => {
      const metrics = new Metrics()
      const timing = metrics.timing('x_ms')
      for (const ms of values) timing.record(ms)
      const latest = values.slice(-1_000)
      const snapshot = await metrics.snapshot(clock)
      const expected = {
        x_ms: values.at(-1),
        'x_ms/count': values.length,
        'x_ms/max': Math.max(...latest),
        'x_ms/min': Math.min(...latest),
        'x_ms/p50': dumb(latest, 0.5),
        'x_ms/p90': dumb(latest, 0.9),
        'x_ms/p95': dumb(latest, 0.95),
        'x_ms/p99': dumb(latest, 0.99),
        'x_ms/p999': dumb(latest, 0.999),
        'x_ms/p9999': dumb(latest, 0.9999),
      }
      if (JSON.stringify(snapshot) !== JSON.stringify(expected)) {
        throw new Error(`${JSON.stringify(snapshot)} is not ${JSON.stringify(expected)}`)
      }
    }),
    { numRuns: 30 },
  )
})

t.test("Prometheus' text", async t => {
  const metrics = new Metrics()
  metrics.counter('master/tasks_finished').increment(2)
  metrics.counter('master_tasks/finished').increment(9)
  metrics.gauge('slave/cpus_percent', () => 0.25)
  metrics.gauge('broken', () => Number.NaN)
  const timing = metrics.timing('registrar/state_store_ms')
  timing.record(1)
  timing.record(3)
  metrics.timing('never_ms')
  t.equal(
    await metrics.prometheus(clock),
    [
      '# TYPE master_tasks_finished counter',
      'master_tasks_finished 2',
      '# TYPE never_ms summary',
      'never_ms_sum 0',
      'never_ms_count 0',
      '# TYPE registrar_state_store_ms summary',
      'registrar_state_store_ms{quantile="0.5"} 2',
      'registrar_state_store_ms{quantile="0.9"} 2.8',
      'registrar_state_store_ms{quantile="0.95"} 2.9',
      'registrar_state_store_ms{quantile="0.99"} 2.98',
      'registrar_state_store_ms{quantile="0.999"} 2.998',
      'registrar_state_store_ms{quantile="0.9999"} 2.9998',
      'registrar_state_store_ms_sum 4',
      'registrar_state_store_ms_count 2',
      '# TYPE slave_cpus_percent gauge',
      'slave_cpus_percent 0.25',
      '',
    ].join('\n'),
  )
})

t.test('gauges whose names come and go', async t => {
  const metrics = new Metrics()
  const roles = new Map([['roles/a', 1]])
  metrics.counter('taken').increment()
  const scope = metrics.scope()
  scope.gauges(() => [...roles, ['taken', 9], ['odd', Number.NaN]])
  metrics.gauges(() => {
    throw new Error('no')
  })
  t.strictSame(await metrics.snapshot(clock), { 'roles/a': 1, taken: 1 })
  roles.clear()
  roles.set('roles/b', 2)
  t.strictSame(await metrics.snapshot(clock), { 'roles/b': 2, taken: 1 })
  t.equal(
    await metrics.prometheus(clock),
    '# TYPE roles_b gauge\nroles_b 2\n# TYPE taken counter\ntaken 1\n',
  )
  scope.clear()
  t.strictSame(await metrics.snapshot(clock), { taken: 1 })
})

t.test("an actor's metrics end with it", async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const start = () =>
      probe(A, { initialize: self => self.counter('probe/starts').increment() }, 'x')
    const { pid } = start()
    await world.settle()
    const { metrics } = runtime(A)
    const own = async () =>
      Object.entries(await metrics.snapshot(world.clock)).filter(([name]) =>
        name.startsWith('probe/'),
      )
    t.strictSame(await own(), [['probe/starts', 1]])
    runtime(A).terminate(pid)
    await world.settle()
    t.strictSame(await own(), [])
    start()
    await world.settle()
    t.strictSame(runtime(A).actors, ['x'], 'it may start again')
    t.strictSame(await own(), [['probe/starts', 1]])
  })
})
