// The simulator's exploration in its short form, and the seeds that found something.

import t from 'tap'
import { explore } from '../../src/sim/exploration.ts'
import { FAULT_KINDS } from '../../src/sim/faults.ts'
import { Cluster, type AgentHost } from '../../src/sim/cluster.ts'
import { finalProblems, heldAtRest, momentaryProblems } from '../../src/sim/invariants.ts'
import { Ledger } from '../../src/sim/ledger.ts'
import { TaskRuns } from '../../src/sim/task-runs.ts'
import type { TaskState } from '../../src/messages/status.ts'

for (const seed of [2, 3]) {
  t.test(`whatever breaks, all holds and all ends (seed ${seed})`, async t => {
    const report = await explore({ seed, minutes: 1 })
    t.strictSame(report.problems, [], report.replay)
    t.ok(report.tasks > 0, `${report.tasks} tasks ran`)
  })
}

/**
 * Seeds that found something, by what was wrong. What a seed does changes with the code, so each of these bugs has a test
 * of its own as well.
 */
const FOUND: Readonly<Record<string, number>> = {
  'an end was taken for one acknowledged long ago, for an older list lacked the task': 100_982,
  'an acknowledgement of what its master had not seen left the task on the books': 101_525,
  'a kill from before its agent was disconnected ended a task that others had ended': 200_388,
  'the late end of an executor took the next one of its id off the books': 300_007,
  'tasks that ran were unknown, for their agent had said what it ran before they came': 400_250,
}

for (const [bug, seed] of Object.entries(FOUND)) {
  t.test(`no more: ${bug} (seed ${seed})`, async t => {
    const report = await explore({ seed, minutes: 10 })
    t.strictSame(report.problems, [], report.replay)
  })
}

t.test('all kinds of faults at once', async t => {
  const report = await explore({ seed: 9, minutes: 2, kinds: FAULT_KINDS })
  t.strictSame(report.problems, [], report.replay)
  t.ok(report.struck.size >= 6, `struck: ${[...report.struck.keys()].join(', ')}`)
})

for (const seed of [1]) {
  t.test(
    `operators drain agents and take machines down while they crash (seed ${seed})`,
    async t => {
      const kinds = ['drain', 'agent gone', 'maintenance', 'master crash', 'agent crash'] as const
      const report = await explore({ seed, minutes: 2, kinds })
      t.strictSame(report.problems, [], report.replay)
      t.ok(report.struck.has('drain'), `struck: ${[...report.struck.keys()].join(', ')}`)
    },
  )
}

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

t.test('what is held although nothing runs is noticed', t => {
  const resources = { cpus: 4, mem: 20 }
  const slave = (id: string, used: number, offered: number) => ({
    id,
    pid: `slave(1)@${id}:1`,
    active: true,
    resources,
    used_resources: { cpus: used, mem: 0 },
    offered_resources: { cpus: offered, mem: 0 },
  })
  const framework = {
    id: 'f',
    connected: true,
    recovered: false,
    used_resources: { cpus: 0, mem: 0 },
    tasks: [{ id: '1', slave_id: 'a', state: 'TASK_STAGING' as const }],
    completed_tasks: [],
    unreachable_tasks: [],
    offers: [],
  }
  const slaves = [slave('a', 1, 0), slave('b', 0, 2), slave('c', 0, 0)]
  t.strictSame(heldAtRest({ slaves, frameworks: [framework], completed_frameworks: [] }), [
    'agent a: 1 cpus are still used',
    'agent b: 2 cpus are still offered',
    'task 1 of f is still TASK_STAGING',
  ])
  t.end()
})

t.test('the last word on a task is held against what happened', t => {
  const nothing = { slaves: [], frameworks: [], completed_frameworks: [] }
  const runtime = {} as AgentHost['runtime']
  const host = { address: 'a:1', runtime } as AgentHost
  /** Runs to `exit`, if at all, while its scheduler is told these. */
  const verdict = (
    states: readonly TaskState[],
    exit?: number | 'runs',
    { wasRemoved = false, killed = false, partitionAware = true } = {},
  ) => {
    const runs = new TaskRuns(() => {})
    const ledger = new Ledger('f')
    ledger.frameworkId = { value: 'F' }
    ledger.launched('f.0', 'a', false)
    if (killed) ledger.killed('f.0')
    if (exit !== undefined) {
      runs.begin('F', 'f.0', host)
      if (exit !== 'runs') runs.finish('F', 'f.0', exit === 0 ? 'TASK_FINISHED' : 'TASK_FAILED')
    }
    for (const [at, state] of states.entries()) {
      ledger.heard({ task_id: { value: 'f.0' }, state, uuid: String(at) })
    }
    return finalProblems({ ledger, partitionAware, wasRemoved }, nothing, runs).map(
      text => /^task f\.0 of F on a: (.*); told: /.exec(text)?.[1],
    )
  }
  t.strictSame(verdict(['TASK_RUNNING', 'TASK_FINISHED'], 0), [])
  t.strictSame(verdict(['TASK_RUNNING', 'TASK_FINISHED'], 'runs'), ['it still runs'])
  t.strictSame(verdict(['TASK_RUNNING'], 0), ['it never ended'])
  t.strictSame(verdict(['TASK_UNREACHABLE']), [], 'its agent is not registered: nobody can know')
  t.strictSame(verdict(['TASK_FINISHED', 'TASK_FAILED'], 0), ['it ended in several ways'])
  t.strictSame(verdict(['TASK_LOST', 'TASK_FAILED'], 1, { partitionAware: false }), [])
  t.strictSame(verdict(['TASK_FINISHED', 'TASK_RUNNING'], 0), ['it went on after its end'])
  t.strictSame(verdict(['TASK_FAILED'], 0), ['it ended as TASK_FINISHED in truth'])
  t.strictSame(verdict(['TASK_FAILED'], 0, { wasRemoved: true }), [])
  t.strictSame(verdict(['TASK_KILLED'], 0, { killed: true }), [])
  t.strictSame(verdict(['TASK_KILLED'], 0), ['it ended as TASK_FINISHED in truth'])
  t.end()
})

t.test('what a master knew nothing of may be disowned later by its agent: that is one end', t => {
  const clashes: string[] = []
  const ledger = new Ledger('f', clash => clashes.push(clash))
  const master = { source: 'SOURCE_MASTER', reason: 'REASON_RECONCILIATION' } as const
  const agent = { source: 'SOURCE_AGENT', reason: 'REASON_RECONCILIATION' } as const
  const hear = (id: string, state: TaskState, from: typeof master | typeof agent) =>
    ledger.heard({ task_id: { value: id }, state, ...from })
  for (const id of ['f.0', 'f.1']) ledger.launched(id, 'a', false)
  hear('f.0', 'TASK_GONE', master)
  hear('f.0', 'TASK_LOST', agent)
  t.strictSame([...ledger.tasks.get('f.0')!.ends], ['TASK_LOST'])
  t.strictSame(clashes, [])
  // Not if an agent had a word on it before.
  hear('f.1', 'TASK_FAILED', agent)
  hear('f.1', 'TASK_LOST', agent)
  t.equal(clashes.length, 1)
  t.end()
})

t.test('a process that is killed from outside is a fault among others', async t => {
  const kinds = ['task killed'] as const
  const report = await explore({ seed: 2, minutes: 1, kinds, transcriptLines: 100_000 })
  t.strictSame(report.problems, [], report.replay)
  t.match(report.transcript.join('\n'), /process \d+ on \S+ is killed from outside/)
})

t.test('an exploration says what does not hold, and what it cannot go on with', async t => {
  const state = Object.getOwnPropertyDescriptor(Cluster.prototype, 'state')!
  t.teardown(() => Object.defineProperty(Cluster.prototype, 'state', state))
  Cluster.prototype.state = async function () {
    const real = (await this.stateIfLeading())!
    const [, ...slaves] = real.slaves.map(slave => ({
      ...slave,
      offered_resources: { ...slave.offered_resources, cpus: 0 },
    }))
    return { ...real, slaves }
  }
  const { problems, transcript } = await explore({ seed: 2, minutes: 0.2, kinds: [] })
  t.match(problems, [
    /^\d agents of \d are there$/,
    /^agent .*: a newcomer is offered 0 of \d cpus$/,
  ])
  t.match(transcript.join('\n'), /PROBLEM \d agents of \d are there/)
  Cluster.prototype.state = () => Promise.reject(new Error('no state'))
  const failed = await explore({ seed: 2, minutes: 0.2, kinds: [] })
  t.match(failed.problems, [/^the exploration itself failed: Error: no state\n/])
})
