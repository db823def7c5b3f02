// The simulator's exploration in its short form, and the seeds that found something.

import t from 'tap'
import { explore } from '../../src/sim/exploration.ts'
import { FAULT_KINDS } from '../../src/sim/faults.ts'
import { momentaryProblems } from '../../src/sim/invariants.ts'

for (const seed of [2, 3, 4]) {
  t.test(`whatever breaks, all holds and all ends (seed ${seed})`, async t => {
    const report = await explore({ seed, minutes: 1 })
    t.strictSame(report.problems, [], report.replay)
    t.ok(report.tasks > 0, `${report.tasks} tasks ran`)
  })
}

t.test('all kinds of faults at once', async t => {
  const report = await explore({ seed: 9, minutes: 2, kinds: FAULT_KINDS })
  t.strictSame(report.problems, [], report.replay)
  t.ok(report.struck.size >= 6, `struck: ${[...report.struck.keys()].join(', ')}`)
})

t.test('the same seed explores the same', async t => {
  const once = () => explore({ seed: 7, minutes: 0.5, transcriptLines: 100_000 })
  const first = await once()
  t.strictSame(await once(), first)
  t.ok(first.transcript.length > 100)
  const { transcript } = await explore({ seed: 8, minutes: 0.5, transcriptLines: 100_000 })
  t.notSame(transcript, first.transcript)
})

t.test('what is taken twice, or is where nothing is, is noticed', async t => {
  const amounts = (cpus: number) => ({ cpus, mem: 10 })
  const task = (id: string, slave_id: string) => ({
    id,
    slave_id,
    state: 'TASK_RUNNING' as const,
  })
  const found = momentaryProblems({
    slaves: [
      {
        id: 'a',
        pid: 'slave(1)@a:1',
        active: true,
        resources: { cpus: 4, mem: 20 },
        used_resources: amounts(3),
        offered_resources: amounts(2),
      },
    ],
    frameworks: [
      {
        id: 'f',
        connected: true,
        recovered: false,
        used_resources: amounts(3),
        tasks: [task('1', 'a'), task('1', 'a'), task('2', 'b')],
        completed_tasks: [],
        unreachable_tasks: [task('2', 'b')],
        offers: [{ id: 'o', slave_id: 'c' }],
      },
    ],
    completed_frameworks: [],
  })
  t.strictSame(found, [
    'agent a: 5 of 4 cpus are taken',
    'task 1 (TASK_RUNNING) of f is there twice',
    'task 2 (TASK_RUNNING) of f is on b, which is not there',
    'task 2 of f is unreachable, and is not',
    'offer o is of c, which is not there',
  ])
})
