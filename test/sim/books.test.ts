// What the checks of a simulated cluster notice: each is shown what it must find.

import t from 'tap'
import type { MasterContext } from '../../src/master/context.ts'
import { Resources } from '../../src/resources/resources.ts'
import type { TaskStatus } from '../../src/messages/status.ts'
import { BooksCheck } from '../../src/sim/books.ts'
import { type AgentHost, Cluster } from '../../src/sim/cluster.ts'
import { Ledger } from '../../src/sim/ledger.ts'
import { TaskRuns } from '../../src/sim/task-runs.ts'
import { Batch } from '../cluster/batch.ts'

async function audited() {
  const books = new BooksCheck()
  let m!: MasterContext
  const found: string[] = []
  const cluster = new Cluster(1, {
    inspect: context => {
      books.attach(context)
      m = context
    },
    onProblem: text => void found.push(text),
  })
  cluster.world.check('books', books.look)
  await cluster.startMaster()
  cluster.startAgent()
  const { scheduler } = cluster.run(new Batch(['sleep 1000', 'sleep 1000']))
  await cluster.until(() => scheduler.count('TASK_RUNNING') === 2, 'tasks run')
  t.strictSame(found, [])
  return { cluster, books, found, m: () => m, agent: () => [...m.state.agents.values()][0]! }
}

t.test('resources that nobody holds, and that are not free either', async t => {
  const { found, cluster, m, agent } = await audited()
  const one = Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }])
  m().allocator.adopt('nobody', agent().id, '*', one)
  cluster.world.clock.soon(() => {})
  await cluster.world.settle()
  t.match(found, [
    /^books: agent .*-S0: of \{"cpus":4000.* it holds \{"cpus":\d+.*, and .* is free$/,
  ])
})

t.test('a task that only one of two lists has', async t => {
  const { found, books, m } = await audited()
  const framework = [...m().state.frameworks.values()][0]!
  framework.tasks.delete('t1')
  found.push(...books.lookAtAll())
  t.match(found, [/^task t1 of .* is on .*-S0, and its framework has another$/])
})

t.test('more held than there is', async t => {
  const { found, books, agent } = await audited()
  agent().total = Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }])
  found.push(...books.lookAtAll())
  t.match(found, [/^agent .*-S0: of \{"cpus":1000\} it holds \{"cpus":\d000/])
})

t.test('an agent of which the allocator was told something else', async t => {
  const { found, cluster, m, agent } = await audited()
  const one = Resources.of([{ name: 'cpus', type: 'SCALAR', scalar: { value: 8 } }])
  m().allocator.updateAgent(agent().id, one)
  cluster.world.clock.soon(() => {})
  await cluster.world.settle()
  t.match(found, [/^books: agent .*-S0: of \{"cpus":4000.* is free$/])
})

t.test('what was asked for and refused need not be in what the next master reads', async t => {
  const { found, cluster, m, agent } = await audited()
  void m()
    .registry({ type: 'admit_agent', info: agent().info })
    .catch(() => {})
  cluster.crashMaster()
  await cluster.startMaster()
  await cluster.world.advance(5_000)
  t.strictSame(found, [])
})

t.test('a task that starts for a second time, wherever that is', t => {
  const found: string[] = []
  const runs = new TaskRuns(text => found.push(text))
  const host = (address: string) => ({ address }) as AgentHost
  runs.begin('f', 'f.0', host('a:1'))
  runs.begin('g', 'f.0', host('a:1'))
  t.strictSame(found, [], 'another framework’s task is another task')
  runs.begin('f', 'f.0', host('b:1'))
  runs.finish('f', 'f.0')
  runs.begin('f', 'f.0', host('c:1'))
  t.strictSame(found, [
    'f.0 of f starts on b:1, after a:1, where it runs',
    'f.0 of f starts on c:1, after b:1, where it ran',
  ])
  t.end()
})

t.test('an agent that was acknowledged, and that the next master has never heard of', async t => {
  const { found, cluster } = await audited()
  cluster.crashMaster()
  await cluster.world.advance(1_000)
  await cluster.startMaster()
  await cluster.world.advance(5_000)
  t.strictSame(found, [], 'it is there')
  cluster.crashMaster()
  cluster.disk.wipe()
  await cluster.startMaster()
  await cluster.world.advance(1_000)
  t.match(found, [/^books: the new master read agents \[\] .*; acknowledged was agents \[.*-S0\] /])
})

t.test('a task that ended in two ways, as soon as its scheduler is told', t => {
  const found: string[] = []
  const ledger = new Ledger('f', text => found.push(text))
  const status = (state: TaskStatus['state'], more: Partial<TaskStatus> = {}): TaskStatus => ({
    task_id: { value: 'f.0' },
    state,
    source: 'SOURCE_EXECUTOR',
    ...more,
  })
  ledger.launched('f.0', 'agent', false)
  ledger.heard(status('TASK_RUNNING'))
  ledger.heard(status('TASK_FINISHED'))
  ledger.heard(status('TASK_FINISHED'))
  ledger.heard(status('TASK_GONE', { source: 'SOURCE_MASTER', reason: 'REASON_RECONCILIATION' }))
  t.strictSame(found, [])
  ledger.heard(status('TASK_FAILED'))
  t.match(found, [/^task f\.0 ended in several ways: TASK_RUNNING .*TASK_FAILED/])
  t.end()
})
