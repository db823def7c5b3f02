// A cluster of the size that people have: a thousand agents, twenty frameworks, ten thousand tasks, and faults.

import t from 'tap'
import { explore } from '../../src/sim/exploration.ts'

t.test('10,000 tasks of 20 frameworks on 1,000 agents end once each, whatever breaks', async t => {
  const report = await explore({
    seed: 1,
    minutes: 1,
    scale: { agents: 1_000, frameworks: 20, tasks: 10_000 },
    kinds: [
      'master crash',
      'agent crash',
      'scheduler crash',
      'pause',
      'partition',
      'one-way partition',
      'reset',
      'lost messages',
    ],
  })
  t.strictSame(report.problems, [], report.replay)
  t.ok(report.tasks > 9_000, `${report.tasks} tasks ran`)
  const struck = [...report.struck.values()].reduce((sum, count) => sum + count, 0)
  t.ok(struck > 100, `${struck} faults`)
  t.equal(report.struck.size, report.kinds.length, 'of all kinds')
})
