// The short form of `npm run chaos -- agent`; and that its judge sees what it is to see.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { SeededRandom } from '../../../src/base/random.ts'
import type { TaskStatus } from '../../../src/messages/status.ts'
import { complaintsIn } from './complaints.ts'
import { type Evidence, whyUntrue } from './judge.ts'
import { planRound, STRIKE_KINDS, type TaskPlan } from './plan.ts'

interface Chaos {
  readonly child: ChildProcess
  output: string
  readonly ended: Promise<number | null>
}

function chaos(...more: string[]): Chaos {
  const words = ['--enable-source-maps', 'build/test/chaos/main.js', 'agent', ...more]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>(done => child.once('close', done))
  const run: Chaos = { child, output: '', ended }
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => (run.output += String(chunk)))
  return run
}

t.test('a round under each launcher', async t => {
  const short = ['--rounds=2', '--cluster=1', '--tasks=20', '--gc_delay=1secs', '--seed=1708']
  const run = chaos(...short)
  t.equal(await run.ended, 0, run.output)
  t.match(run.output, /2 rounds, killed: .*; 40 tasks; 0 problems/)
})

t.test('an interrupt ends all that it has started', async t => {
  const run = chaos('--seed=5', '--launchers=posix', '--keep')
  const dir = (): string | undefined => /^in (\S+)$/m.exec(run.output)?.[1]
  const started = (): boolean => existsSync(`${dir()}/round-1/agent-run/containers`)
  while (!started() && run.child.exitCode === null)
    await new Promise(resolve => setTimeout(resolve, 50))
  run.child.kill('SIGINT')
  t.equal(await run.ended, 130, run.output)
  const left = readdirSync('/proc').filter(pid => {
    try {
      return ['cmdline', 'environ'].some(file =>
        readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(dir()!),
      )
    } catch {
      return false
    }
  })
  t.same(left, [])
})

t.test('a wrong option is refused', async t => {
  const run = chaos('--kinds=agents')
  t.equal(await run.ended, 2)
  t.match(run.output, /--kinds: there is no 'agents'/)
})

t.test('the seed chooses all of a round', async t => {
  const plan = (seed: number) =>
    planRound(new SeededRandom([seed, 3]), 'r3', { tasks: 300, kinds: STRIKE_KINDS })
  t.same(plan(1), plan(1))
  t.notSame(plan(1), plan(2))
  const { tasks } = plan(1)
  t.equal(tasks.length, 300)
  t.same(new Set(tasks.map(({ kind }) => kind)), new Set(['command', 'group', 'custom']))
  t.equal(new Set(tasks.map(({ id }) => id)).size, 300)
})

const task = (more: Partial<TaskPlan> = {}): TaskPlan => ({
  id: 'a',
  kind: 'command',
  ms: 0,
  code: 3,
  forks: false,
  stubborn: false,
  ...more,
})
const status = (state: TaskStatus['state'], more: Partial<TaskStatus> = {}): TaskStatus => ({
  task_id: { value: 'a' },
  state,
  uuid: state,
  source: 'SOURCE_EXECUTOR',
  ...more,
})
const failed = (message: string, more: Partial<TaskStatus> = {}): TaskStatus =>
  status('TASK_FAILED', { message, ...more })
const QUIET: Evidence = {
  journal: ['begins', 'ends'],
  statuses: [],
  executorKilled: false,
  messagesLost: true,
  groupBroken: false,
}
const why = (plan: TaskPlan, statuses: readonly TaskStatus[], more: Partial<Evidence> = {}) =>
  whyUntrue(plan, { ...QUIET, statuses, ...more })

t.test('the end of a command is what it did', async t => {
  const three = failed('Command exited with status 3')
  t.equal(why(task(), [status('TASK_RUNNING'), three]), undefined)
  t.equal(why(task({ code: 0 }), [status('TASK_FINISHED')]), undefined)
  const segfault = failed('Command terminated with signal Segmentation fault')
  t.equal(why(task({ signal: 'SEGV' }), [segfault]), undefined)

  t.match(why(task(), [status('TASK_RUNNING')]), /has not ended/)
  t.match(why(task(), [status('TASK_FINISHED')]), /TASK_FINISHED, but it exited with status 3/)
  t.match(why(task(), [failed('Command exited with status 4')]), /but it exited with status 3/)
  t.match(why(task(), [three], { journal: ['begins'] }), /had not come to its end/)
  t.match(why(task(), [three, { ...three, uuid: 'other' }]), /more than once/)
  const lost = status('TASK_LOST', { uuid: undefined })
  t.match(why(task(), [lost, three]), /as TASK_LOST and as TASK_FAILED/)
})

t.test('what is lost never ran, and something was killed that had it', async t => {
  const dropped = status('TASK_DROPPED')
  t.equal(why(task(), [dropped], { journal: [] }), undefined)
  t.match(why(task(), [dropped]), /it ran, and is TASK_DROPPED/)
  t.match(why(task(), [dropped], { journal: [], messagesLost: false }), /neither an agent nor/)
})

t.test('what is killed was to be killed', async t => {
  const killed = status('TASK_KILLED')
  t.equal(why(task({ killAfterMs: 1 }), [killed]), undefined)
  t.equal(why(task({ kind: 'group' }), [killed], { groupBroken: true }), undefined)
  t.match(why(task(), [killed]), /nobody had asked/)
})

t.test('of a custom task counts what its executor said, or that it was killed', async t => {
  const custom = task({ kind: 'custom', code: 0 })
  const said = (...words: string[]): Partial<Evidence> => ({ journal: ['begins', ...words] })
  const finished = status('TASK_FINISHED', { message: 'code 0' })
  t.equal(why(custom, [finished], said('TASK_FINISHED')), undefined)
  t.match(why(custom, [finished], said()), /its executor said nothing/)
  const gone = failed('Executor terminated', {
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_TERMINATED',
  })
  t.equal(why(custom, [gone], { ...said(), executorKilled: true }), undefined)
  t.match(why(custom, [gone], said()), /was not killed/)
  const other = { ...gone, reason: 'REASON_CONTAINER_LAUNCH_FAILED' as const }
  t.match(why(custom, [other], { ...said(), executorKilled: true }), /LAUNCH_FAILED/)
})

t.test('complaints are found in logs', async t => {
  const log = `--- start 1 at now
I1128 08:00:00.000001 slave(1): recovered frameworks=1
W1128 08:00:00.000001 master: agent disconnected agent_id=x
W1128 08:00:00.000001 slave(1): something is odd
E1128 08:00:00.000001 slave(1): something is wrong
    at here
`
  t.same(
    complaintsIn(log).map(line => line.split(' ').at(-1)),
    ['odd', 'wrong', 'here'],
  )
})
