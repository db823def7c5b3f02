// A cluster of the size that people have: a thousand agents, twenty frameworks, ten thousand tasks, and faults. That is the long form,
// MESOS_TEST_LARGE=all; the short one is half of it.

import t from 'tap'
import { explore } from '../../src/sim/exploration.ts'

const SHARE = process.env['MESOS_TEST_LARGE'] === 'all' ? 1 : 0.5
const SCALE = { agents: 1_000 * SHARE, frameworks: 20, tasks: 10_000 * SHARE }

t.test(
  `${SCALE.tasks} tasks of 20 frameworks on ${SCALE.agents} agents end once each, whatever breaks`,
  async t => {
    const report = await explore({
      seed: 1,
      minutes: 1,
      scale: SCALE,
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
    t.ok(report.tasks > 0.9 * SCALE.tasks, `${report.tasks} tasks ran`)
    const struck = [...report.struck.values()].reduce((sum, count) => sum + count, 0)
    t.ok(struck > 100 * SHARE, `${struck} faults`)
    t.equal(report.struck.size, report.kinds.length, 'of all kinds')
  },
)
