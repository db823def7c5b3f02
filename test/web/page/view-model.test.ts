// From the master's state to what the page says: rows, sums, concerns, timelines, addresses, words.

import * as fc from 'fast-check'
import t from 'tap'
import { concernsOf } from '../../../src/web/page/concerns.ts'
import * as format from '../../../src/web/page/format.ts'
import { parseRoute, type Route, taskHref } from '../../../src/web/page/routes.ts'
import { rowsOf } from '../../../src/web/page/rows.ts'
import { leaderAddress } from '../../../src/web/page/state.ts'
import { summaryOf } from '../../../src/web/page/summary.ts'
import { isTerminal } from '../../../src/web/page/task-state.ts'
import { sandboxPath, timelineOf } from '../../../src/web/page/timeline.ts'
import {
  agent,
  agentId,
  cluster,
  framework,
  frameworkId,
  masterId,
  offer,
  task,
} from '../canned.ts'

const atSeconds = 1_795_337_480

t.test('rows of tasks say where, since when and how they ended', async t => {
  const state = cluster({
    slaves: [agent(0)],
    frameworks: [
      framework(0, {
        tasks: [
          task('TASK_RUNNING', atSeconds, { id: 'a' }),
          task('TASK_STAGING', atSeconds, { id: 'b', slave_id: agentId(7) }),
        ],
        unreachable_tasks: [task('TASK_UNREACHABLE', atSeconds, { id: 'c' })],
        completed_tasks: [task('TASK_FAILED', atSeconds, { id: 'd' })],
      }),
    ],
    completed_frameworks: [
      framework(1, { completed_tasks: [task('TASK_FINISHED', atSeconds, { id: 'e' })] }),
    ],
  })
  const rows = rowsOf(state)
  t.match(rows.active, [
    {
      id: 'a',
      frameworkName: 'framework 0',
      host: 'node-0.example.org',
      startedMs: (atSeconds - 2) * 1000,
      stoppedMs: undefined,
    },
    { id: 'b', host: undefined, startedMs: undefined, message: '' },
  ])
  t.match(rows.unreachable, [{ id: 'c' }])
  t.match(rows.completed, [
    { id: 'd', stoppedMs: atSeconds * 1000, message: 'Command exited with status 1' },
    { id: 'e', frameworkId: frameworkId(1) },
  ])
  t.match(rows.agents, [{ tasks: 1 }])
})

t.test('states of agents and frameworks in one word', async t => {
  const { agents, frameworks, completedFrameworks } = rowsOf(
    cluster({
      slaves: [
        agent(0),
        agent(1, { active: false }),
        agent(2, { deactivated: true, active: false }),
        agent(3, { drain_info: { state: 'DRAINING' } }),
        agent(4, { drain_info: { state: 'DRAINED' }, deactivated: true }),
      ],
      frameworks: [
        framework(0),
        framework(1, { active: false }),
        framework(2, { active: false, connected: false }),
        framework(3, { active: false, connected: false, recovered: true }),
      ],
      completed_frameworks: [framework(4, { active: false, connected: false })],
    }),
  )
  t.strictSame(
    agents.map(row => row.state),
    ['Active', 'Disconnected', 'Deactivated', 'Draining', 'Drained'],
  )
  t.strictSame(
    frameworks.map(row => row.state),
    ['Active', 'Inactive', 'Disconnected', 'Recovered'],
  )
  t.equal(completedFrameworks[0]?.state, 'Completed')
})

t.test('a framework’s share is of the agents that are there; its link never runs', async t => {
  const { frameworks } = rowsOf(
    cluster({
      slaves: [agent(0), agent(1), agent(2, { active: false })],
      frameworks: [
        framework(0, { used_resources: { cpus: 4, mem: 16_384 }, webui_url: 'https://x.org/' }),
        framework(1, { webui_url: 'javascript:alert(1)' }),
      ],
    }),
  )
  t.match(frameworks[0], { maxShare: 0.5, webUrl: 'https://x.org/' })
  t.match(frameworks[1], { maxShare: 0, webUrl: undefined })
})

t.test('the summary counts every state and cuts resources in three', async t => {
  const state = cluster({
    unreachable_slaves: 2,
    slaves: [
      agent(0, { used_resources: { cpus: 0.1, mem: 32 }, offered_resources: { cpus: 7.9 } }),
      agent(1, { active: false, used_resources: { cpus: 5 } }),
    ],
    frameworks: [
      framework(0, {
        tasks: [task('TASK_RUNNING', atSeconds), task('TASK_RUNNING', atSeconds)],
        completed_tasks: [task('TASK_GONE', atSeconds)],
        offers: [offer(0)],
      }),
    ],
  })
  const summary = summaryOf(state, rowsOf(state))
  t.strictSame(summary.agents, { active: 1, inactive: 1, unreachable: 2 })
  const count = (name: string) => summary.tasks.find(one => one.state === name)?.count
  t.equal(count('TASK_RUNNING'), 2)
  t.equal(count('TASK_LOST'), 0)
  t.equal(count('TASK_GONE'), 1)
  t.strictSame(summary.usage.cpus, { used: 0.1, offered: 7.9, free: 0, total: 8 })
  t.strictSame(summary.usage.mem, { used: 32, offered: 0, free: 16_352, total: 16_384 })
})

t.test(
  'concerns: nothing when all is well, else the worst first with the place to look',
  async t => {
    const well = cluster({ slaves: [agent(0)], frameworks: [framework(0)] })
    t.strictSame(concernsOf(well, rowsOf(well), atSeconds * 1000), [])
    const ill = cluster({
      unreachable_slaves: 1,
      slaves: [agent(0, { active: false })],
      recovered_slaves: [{ id: agentId(1), hostname: 'node-1' }],
      frameworks: [
        framework(0, {
          connected: false,
          tasks: [task('TASK_RUNNING', atSeconds)],
          unreachable_tasks: [task('TASK_UNREACHABLE', atSeconds)],
          completed_tasks: [
            task('TASK_FAILED', atSeconds - 3600, { name: 'old' }),
            task('TASK_FAILED', atSeconds - 60, { name: 'former' }),
            task('TASK_FAILED', atSeconds - 10, { id: 'x/y', name: 'latest' }),
            task('TASK_KILLED', atSeconds - 1, { name: 'as wished' }),
          ],
        }),
      ],
    })
    const concerns = concernsOf(ill, rowsOf(ill), atSeconds * 1000)
    t.strictSame(
      concerns.map(concern => concern.text),
      [
        '2 tasks failed in the last 15 min; the latest, “latest”: Command exited with status 1',
        '1 agent is unreachable, and with that 1 task',
        '1 agent disconnected: node-0.example.org',
        '1 agent has not come back yet since the master started',
        'Framework “framework 0” is disconnected: 1 task will be killed unless it returns within 1 min of leaving',
      ],
    )
    t.equal(concerns[0]?.href, `#/tasks/${frameworkId(0)}/x%2Fy/read/stderr`)
  },
)

t.test('a timeline has each state, its length and its reason', async t => {
  const steps = timelineOf(task('TASK_FAILED', atSeconds))
  t.match(steps, [
    { state: 'TASK_STARTING', lastedMs: 2000, ongoing: false },
    { state: 'TASK_RUNNING', lastedMs: 2000, ongoing: false },
    { state: 'TASK_FAILED', lastedMs: undefined, ongoing: false, message: /status 1/ },
  ])
  t.match(timelineOf(task('TASK_RUNNING', atSeconds)).at(-1), { ongoing: true })
  t.strictSame(timelineOf(task('TASK_STAGING', atSeconds)), [])
})

t.test('sandbox paths: the executor’s id is the task’s for a command', async t => {
  const command = task('TASK_RUNNING', 1, { id: 't1' })
  const own = task('TASK_RUNNING', 1, { id: 't1', executor_id: 'e1' })
  const folder = `/frameworks/${frameworkId(0)}/executors`
  t.equal(sandboxPath(command, 'stdout'), `${folder}/t1/runs/latest/stdout`)
  t.equal(sandboxPath(own, 'a/b'), `${folder}/e1/runs/latest/a/b`)
  t.equal(sandboxPath(own, ''), `${folder}/e1/runs/latest`)
})

t.test('every task has an address, whatever its ids and files are called', async t => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' })
  const path = fc.array(
    name.filter(part => !part.includes('/')),
    { minLength: 1, maxLength: 3 },
  )
  fc.assert(
    fc.property(name, name, path, (owner, taskId, parts) => {
      const sandbox = { view: 'read', path: parts.join('/') } as const
      const route: Route = { page: 'task', frameworkId: owner, taskId, sandbox }
      t.strictSame(parseRoute(taskHref(owner, taskId, sandbox)), route)
    }),
    { numRuns: 100 },
  )
})

t.test('addresses of the views', async t => {
  t.strictSame(parseRoute(''), { page: 'overview' })
  t.strictSame(parseRoute('#/'), { page: 'overview' })
  t.strictSame(parseRoute('#/agents'), { page: 'agents' })
  t.strictSame(parseRoute('#/agents/S1'), { page: 'agent', agentId: 'S1' })
  t.strictSame(parseRoute('#/frameworks/F1'), { page: 'framework', frameworkId: 'F1' })
  t.match(parseRoute('#/tasks/F/T'), { page: 'task', sandbox: { view: 'read', path: 'stdout' } })
  t.match(parseRoute('#/tasks/F/T/browse'), { page: 'task', sandbox: { path: '' } })
  for (const hash of ['#/nowhere', '#/tasks/F', '#/tasks/F/T/burn', '#/agents/S1/x', '#/%']) {
    t.equal(parseRoute(hash).page, 'unknown', hash)
  }
})

t.test('words for numbers, sizes, times, ids and states', async t => {
  t.equal(format.formatNumber(0.1 + 0.2), '0.3')
  t.equal(format.formatNumber(50_000), '50,000')
  t.equal(format.formatMegabytes(32), '32 MB')
  t.equal(format.formatMegabytes(4096), '4.0 GB')
  t.equal(format.formatBytes(1023), '1023 B')
  t.equal(format.formatPercent(0.025), '2.5 %')
  t.equal(format.formatPercent(1), '100 %')
  const second = 1000
  const durations: [number, string][] = [
    [119, '119 ms'],
    [2 * second, '2 s'],
    [9.5 * second, '9.5 s'],
    [65 * second, '1 min 5 s'],
    [12 * 60 * second, '12 min'],
    [(3 * 60 + 12) * 60 * second, '3 h 12 min'],
    [25 * 3600 * second, '1 d 1 h'],
    [-5, '0 ms'],
  ]
  for (const [ms, text] of durations) t.equal(format.formatDuration(ms), text)
  const agos: [number, string][] = [
    [-3 * second, 'just now'],
    [-60 * second, 'in 1 min'],
    [12 * second, '12 s ago'],
    [4.9 * 60 * second, '4 min ago'],
    [47 * 3600 * second, '47 h ago'],
    [49 * 3600 * second, '2 d ago'],
  ]
  for (const [ms, text] of agos) t.equal(format.formatAgo(1e12 - ms, 1e12), text)
  t.equal(format.formatIso(1_795_337_471_219), '2026-11-22T08:51:11.219Z')
  t.equal(format.shortId(masterId), '…8979')
  t.equal(format.shortId(agentId(12)), '…8979-S12')
  t.equal(format.shortId('t1'), 't1')
  t.equal(
    format.shortId('a-very-long-task-id-that-someone-gave-0042'),
    'a-very-long-task…ne-gave-0042',
  )
  t.equal(format.stateName('TASK_GONE_BY_OPERATOR'), 'Gone by operator')
  t.equal(format.plural(1, 'agent'), '1 agent')
  t.equal(format.plural(0, 'agent'), '0 agents')
})

t.test('a state unknown to the page is not taken for an end', async t => {
  t.notOk(isTerminal('TASK_OF_TOMORROW'))
  t.ok(isTerminal('TASK_LOST'))
})

t.test('the leader’s address is what one types after --master=', async t => {
  t.equal(leaderAddress(cluster(), 'x:1'), '10.0.0.1:5050')
  const { leader_info: _, ...old } = cluster({ leader: 'master@10.0.0.9:5051' })
  t.equal(leaderAddress(old, 'x:1'), '10.0.0.9:5051')
  const { leader: __, ...none } = old
  t.equal(leaderAddress(none, 'x:1'), 'x:1')
})
