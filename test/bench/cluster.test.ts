// The cluster of the benchmark of tasks, small: that it is a whole one, and that its counts are those of the protocol.

import t from 'tap'
import { openCluster } from '../../bench/cluster.ts'
import { Scope } from '../../bench/scope.ts'

t.test('every task goes the whole way, in as many messages as the protocol has', async t => {
  const scope = new Scope()
  t.teardown(() => scope.close())
  const cluster = await openCluster(scope, { agents: 3, frameworks: 2 })
  await cluster.launch()
  await cluster.stop()
  // The last acknowledgement is still on its way to its agent.
  let count = await cluster.count()
  while (count.finished < count.launched) count = await cluster.count()

  t.ok(count.launched >= 3 * 20, 'all agents were filled')
  t.equal(count.finished, count.launched)
  // RUN_TASK, and for each of two updates: agent → master → scheduler, and its acknowledgement back.
  const perTask = 1 + 2 * 4
  t.ok(count.messages >= perTask * count.launched)
  // An OFFERS event tells of one offer or more, and each offer that was used is one ACCEPT.
  t.ok(count.messages <= perTask * count.launched + 2 * count.offers)
})
