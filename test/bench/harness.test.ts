// The form of the benchmarks: that what it prints follows from what was measured, and that it leaves nothing behind.

import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { experiment, goalText, reaches, runExperiment, select } from '../../bench/harness.ts'
import { breakdown } from '../../bench/profile.ts'
import { jsonLine, tableText } from '../../bench/report.ts'
import { Scope } from '../../bench/scope.ts'
import { compare, median, percentile } from '../../bench/statistics.ts'

const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true })

t.test('statistics', async t => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.equal(percentile([5, 1, 4, 2, 3], 0.99), 5)
  t.equal(percentile([5, 1, 4, 2, 3], 0.5), 3)
  const run = fc.record({ ours: positive, yardstick: positive })
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 9 }), runs => {
      const { ours, yardstick, ratio, min, max } = compare(runs)
      const slack = 1 + 1e-9
      return ratio === ours / yardstick && min <= ratio * slack && ratio <= max * slack
    }),
  )
})

/** Two figures at once, of which each run's values are the next in their lists. */
function scripted(calls: string[]) {
  const ours = [10, 30, 20]
  return experiment({
    figures: {
      'demo.rate': { unit: 'things/s', yardstick: { what: 'nothing' }, goal: { atLeast: 5 } },
      'demo.latency_p50': {
        unit: 'ms',
        yardstick: { what: 'a constant', unit: 's' },
        goal: { atMost: 1.25 },
      },
    },
    runs: 3,
    open: scope => {
      scope.defer(() => void calls.push('closed'))
      return {
        ours: async () => {
          calls.push('ours')
          return { 'demo.rate': ours.shift() ?? 0, 'demo.latency_p50': 3 }
        },
        yardstick: () => {
          calls.push('yardstick')
          return { 'demo.rate': 2, 'demo.latency_p50': 2 }
        },
        explain: async () => {
          calls.push('explain')
          return 'because'
        },
      }
    },
  })
}

t.test('ours and yardstick take turns', async t => {
  const calls: string[] = []
  const scope = new Scope()
  const { measured, explanation } = await runExperiment(scripted(calls), scope)
  await scope.close()
  const turns = ['ours', 'yardstick', 'ours', 'yardstick', 'ours', 'yardstick']
  t.strictSame(calls, [...turns, 'explain', 'closed'])
  t.equal(explanation, 'because')
  t.strictSame(
    measured.map(({ row }) => row),
    [
      {
        name: 'demo.rate',
        ours: 20,
        yardstick: 2,
        ratio: 10,
        goal: '>= 5',
        runs: 3,
        min: 5,
        max: 15,
      },
      {
        name: 'demo.latency_p50',
        ours: 3,
        yardstick: 2,
        ratio: 1.5,
        goal: '<= 1.25',
        runs: 3,
        min: 1.5,
        max: 1.5,
      },
    ],
  )
  const keys = ['name', 'ours', 'yardstick', 'ratio', 'goal', 'runs', 'min', 'max']
  for (const it of measured) {
    t.strictSame(Object.keys(JSON.parse(jsonLine(it))).slice(0, keys.length), keys)
    t.notMatch(jsonLine(it), '\n')
  }
  t.equal(
    tableText(measured),
    [
      'name              ours         yardstick   ratio  goal     runs  min  max',
      'demo.rate         20 things/s  2 things/s  10     >= 5     3     5    15',
      'demo.latency_p50  3 ms         2 s         1.5    <= 1.25  3     1.5  1.5',
      '',
      'demo.rate beside: nothing',
      'demo.latency_p50 beside: a constant',
      'goal missed: demo.latency_p50, ratio 1.5, goal <= 1.25',
    ].join('\n'),
  )
})

t.test('a run that measured nothing is an error', async t => {
  for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    const broken = experiment({
      figures: { 'demo.rate': { unit: 'x', yardstick: { what: 'y' } } },
      open: () => ({
        ours: async () => ({ 'demo.rate': 1 }),
        yardstick: () => ({ 'demo.rate': bad }),
      }),
    })
    await t.rejects(runExperiment(broken, new Scope()), {
      message: `demo.rate, yardstick, run 1: measured ${bad}, which is no positive number`,
    })
  }
})

t.test('goals', async t => {
  t.equal(goalText(undefined), '-')
  t.strictSame([reaches(5, { atLeast: 5 }), reaches(4.9, { atLeast: 5 })], [true, false])
  t.strictSame([reaches(1.25, { atMost: 1.25 }), reaches(1.3, { atMost: 1.25 })], [true, false])
  t.equal(reaches(0.001, undefined), true)
})

t.test('names choose by their beginning', async t => {
  const named = (...names: string[]) =>
    experiment({
      figures: Object.fromEntries(
        names.map(name => [name, { unit: 'x', yardstick: { what: 'y' } }]),
      ),
      open: () => {
        throw new Error('not run here')
      },
    })
  const log = named('log.p50', 'log.p99')
  const tasks = named('tasks.per_second')
  const all = [log, tasks]
  t.strictSame(select(all, []), { ok: true, experiments: all })
  t.strictSame(select(all, ['log']), { ok: true, experiments: [log] })
  t.strictSame(select(all, ['log.p99', 'tasks']), { ok: true, experiments: all })
  t.match(select(all, ['tsaks']), { ok: false, error: /'tsaks'.*'tasks'.*log\.p50, log\.p99/ })
  t.match(select(all, ['tasks', 'log.p9999']), { ok: false, error: /Did you mean 'log.p99'/ })
  t.match(select(all, ['zebra']), { ok: false, error: /^(?!.*mean).*There are: log.p50/ })
})

t.test('what was opened is closed', async t => {
  const forever = 'setInterval(() => {}, 1000); process.stdout.write("up")'
  const scope = new Scope()
  const folder = scope.temporaryFolder()
  writeFileSync(join(folder, 'file'), 'x')
  scope.defer(() => Promise.reject(new Error('a closer failed')))
  const child = scope.start(process.execPath, ['-e', forever], { stdio: 'pipe' })
  const missing = scope.start('/no/such/program', [])
  await Promise.all([once(child.stdout!, 'data'), once(missing, 'error')])
  await t.rejects(scope.close(), /a closer failed/)
  t.equal(child.signalCode, 'SIGTERM')
  t.notOk(existsSync(folder))

  const last = new Scope()
  const killed = last.nested().start(process.execPath, ['-e', forever], { stdio: 'pipe' })
  const left = last.temporaryFolder()
  const exited = once(killed, 'exit')
  last.closeNow()
  t.strictSame(await exited, [null, 'SIGKILL'])
  t.notOk(existsSync(left))
})

t.test('a profile is summed up by part', async t => {
  const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
    id,
    callFrame: { functionName, url, scriptId: '0', lineNumber: 9, columnNumber: 0 },
    children,
  })
  const sum = breakdown({
    nodes: [
      node(1, '(root)', '', [2, 3, 4, 7, 8]),
      node(2, '(idle)', ''),
      node(3, '(garbage collector)', ''),
      node(4, 'allocate', 'file:///x/build/src/master/allocator/allocator.js', [5, 6]),
      node(5, 'toString', ''),
      node(6, 'add', 'file:///x/build/src/resources/resources.js'),
      node(7, 'onread', 'node:internal/stream_base_commons'),
      node(8, 'post', 'node:inspector', [9]),
      node(9, 'dispatch', ''),
    ],
    startTime: 0,
    endTime: 100,
    samples: [9, 2, 3, 4, 5, 6, 7],
    timeDeltas: [80, 10, 20, 30, 20, 5, 15],
  })
  t.equal(sum.sampledMs, 0.1)
  t.strictSame(sum.parts, [
    { part: 'allocator', share: 0.5 },
    { part: 'garbage collector', share: 0.2 },
    { part: 'ws and net', share: 0.15 },
    { part: 'idle', share: 0.1 },
    { part: 'resources', share: 0.05 },
  ])
  t.strictSame(sum.functions[0], {
    name: 'allocate',
    place: 'src/master/allocator/allocator.js:10',
    share: 0.3,
  })
})
