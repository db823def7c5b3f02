// Task groups and the default executor.

import t from 'tap'
import { endedBySignal, exitedWith } from '../../src/agent/wait-status.ts'
import { MemoryFiles } from '../../src/sim/memory-files.ts'
import type { VirtualProcess } from '../../src/sim/virtual-processes.ts'
import {
  AWARE,
  command,
  framework,
  podExecutor,
  type Scene,
  scene,
  type SceneOptions,
} from './world.ts'

const KEEPS = { ...framework('F1', 'PARTITION_AWARE'), checkpoint: true }
const forever: SceneOptions['program'] = ({ argv }) => (argv[2] === 'forever' ? {} : undefined)

const group = (...ids: string[]) => ids.map(id => command(id, 'forever'))

/** The process of the n-th task that was launched. */
const processOf = (s: Scene, id: string): VirtualProcess =>
  s.processes.launched.findLast(({ spec }) => spec.env['MESOS_TASK_ID'] === id)!

const running = async (s: Scene, ...ids: string[]): Promise<void> => {
  for (const id of ids) await s.reaches(id, 'TASK_RUNNING')
  await s.world.settle()
}

t.test('a group runs: each task in a container and a sandbox of its own', async t => {
  const s = await scene()
  s.master.runGroup(AWARE, podExecutor(), [command('a', 'echo of a'), command('b', 'echo of b')])
  await s.reaches('a', 'TASK_FINISHED')
  await s.reaches('b', 'TASK_FINISHED')
  t.strictSame(s.master.states('b'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
  const status = s.master.last('b')!
  const { value, parent } = status.container_status!.container_id!
  const top = `/work/slaves/S0/frameworks/F1/executors/pod/runs/${parent!.value}`
  t.equal(status.executor_id?.value, 'pod')
  t.equal(status.source, 'SOURCE_EXECUTOR')
  const { spec } = processOf(s, 'b')
  t.match(spec, {
    containerId: `${parent!.value}.${value}`,
    cwd: `${top}/containers/${value}`,
    parentSandbox: top,
    env: {
      MESOS_SANDBOX: `${top}/containers/${value}`,
      MESOS_EXECUTOR_ID: 'pod',
      MESOS_TASK_ID: 'b',
    },
  })
  t.equal(s.files.text(`${top}/tasks/b/stdout`), 'of b\n')
  t.equal(s.files.text(`${top}/tasks/a/stdout`), 'of a\n')
  await s.world.advance(1_000)
  t.match(s.master.exits, [
    { executor_id: { value: 'pod' }, status: 0, launched_for: { value: 'a' } },
  ])
  const state = JSON.parse((await s.get('/state')).body)
  t.match(state.completed_frameworks[0].completed_executors, [
    { id: 'pod', type: 'DEFAULT', completed_tasks: [{ id: 'a' }, { id: 'b' }] },
  ])
})

t.test('a group dies together, and one that finishes leaves the others alone', async t => {
  const s = await scene({ program: forever })
  s.master.runGroup(AWARE, podExecutor(), group('done', 'bad', 'other'))
  await running(s, 'done', 'bad', 'other')
  s.master.runGroup(AWARE, podExecutor(), group('next', 'near'), false)
  await running(s, 'next', 'near')
  processOf(s, 'done').end(exitedWith(0))
  await s.reaches('done', 'TASK_FINISHED')
  await s.world.advance(10_000)
  t.ok(processOf(s, 'bad').isAlive)
  processOf(s, 'bad').end(exitedWith(3))
  await s.reaches('bad', 'TASK_FAILED')
  await s.reaches('other', 'TASK_KILLED')
  t.equal(s.master.last('other')?.message, 'Command terminated with signal Terminated')
  await s.world.advance(10_000)
  t.ok(processOf(s, 'next').isAlive, 'another group of the executor is not touched')
  t.strictSame(s.master.exits, [])
  s.master.kill(AWARE, 'next')
  await s.reaches('next', 'TASK_KILLED')
  await s.reaches('near', 'TASK_KILLED')
  await s.world.advance(1_000)
  t.equal(s.master.exits.length, 1, 'with the last of its tasks the executor ends')
})

t.test('a group that cannot run, runs not at all', async t => {
  const s = await scene()
  const volumes = [{ mode: 'RW' as const, container_path: 'x', host_path: '/y' }]
  const bad = command('bad', 'true', { container: { type: 'MESOS', volumes } })
  s.master.runGroup(AWARE, podExecutor(), [command('good', 'true'), bad])
  await s.reaches('good', 'TASK_FAILED')
  await s.reaches('bad', 'TASK_FAILED')
  t.match(s.master.last('good'), { message: /volumes/, reason: 'REASON_CONTAINER_LAUNCH_FAILED' })
  t.match(
    s.master.exits,
    [{ executor_id: { value: 'pod' }, launched_for: { value: 'good' } }],
    'what the master counted is given back',
  )
  s.master.runGroup(AWARE, podExecutor('gone'), group('late'), false)
  await s.reaches('late', 'TASK_DROPPED')
  t.equal(s.processes.launched.length, 0)
})

t.test('tasks of a group that cannot be launched take the others along', async t => {
  const s = await scene({ program: forever })
  s.files.makeDirectory = (path, mode) =>
    path.includes('/containers/') && makes++ === 1
      ? Promise.reject(new Error('no space'))
      : MemoryFiles.prototype.makeDirectory.call(s.files, path, mode)
  let makes = 0
  s.master.runGroup(AWARE, podExecutor(), group('a', 'b', 'c'))
  await s.reaches('b', 'TASK_FAILED')
  await s.reaches('a', 'TASK_KILLED')
  await s.reaches('c', 'TASK_KILLED')
  t.match(s.master.last('b'), {
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: 'Failed to launch container: the sandbox could not be made: no space',
  })
  t.equal(s.master.last('c')?.message, 'Killed before its launch')
})

t.test('an executor that is shut down ends its groups', async t => {
  const s = await scene({ program: forever })
  s.master.runGroup(AWARE, podExecutor(), group('a', 'b'))
  await running(s, 'a', 'b')
  s.master.say.tell('shutdown_executor', {
    framework_id: { value: 'F1' },
    executor_id: { value: 'pod' },
  })
  await s.reaches('a', 'TASK_KILLED')
  await s.reaches('b', 'TASK_KILLED')
  await s.world.advance(1_000)
  t.notOk(processOf(s, 'a').isAlive)
  t.equal(s.master.exits.length, 1)
})

t.test('groups go on without their agent', async t => {
  const s = await scene({ program: forever })
  s.master.runGroup(KEEPS, podExecutor(), group('on', 'ends', 'killed'))
  s.master.runGroup(KEEPS, podExecutor(), group('c', 'd'), false)
  await running(s, 'on', 'ends', 'killed', 'c', 'd')
  s.crashAgent()
  processOf(s, 'ends').end(exitedWith(0))
  processOf(s, 'c').end(endedBySignal(9))
  await s.world.advance(1_000)
  await s.restartAgent()
  await s.reaches('ends', 'TASK_FINISHED')
  await s.reaches('c', 'TASK_FAILED')
  await s.reaches('d', 'TASK_KILLED')
  const [again] = s.master.reregistrations
  t.match(again?.executor_infos, [{ executor_id: { value: 'pod' } }])
  t.ok(processOf(s, 'on').isAlive)
  t.same(s.master.states('on'), ['TASK_STARTING', 'TASK_RUNNING'])
  s.master.kill(KEEPS, 'killed', 60_000)
  await s.world.advance(1_000)
  s.crashAgent()
  await s.restartAgent()
  await s.reaches('killed', 'TASK_KILLED')
  await s.reaches('on', 'TASK_KILLED')
  await s.world.advance(1_000)
  t.equal(s.master.exits.length, 1)
  t.same(
    [...s.checkpoints.files.keys()].filter(path => path.includes('/frameworks/')),
    [],
  )
})

t.test(
  'an agent that dies between an end and its tidying up leaves that to the next one',
  async t => {
    const s = await scene({ program: forever })
    s.master.runGroup(KEEPS, podExecutor(), group('on', 'ends'))
    await running(s, 'on', 'ends')
    // It does not come to that.
    const forget = t.capture(s.processes, 'forget', () => {})
    processOf(s, 'ends').end(exitedWith(0))
    await s.world.until(() => forget.args().length === 1, 'its end is on disk')
    s.master.acknowledges = false
    s.crashAgent()
    forget.restore()
    await s.restartAgent()
    s.master.acknowledges = true
    await s.world.until(() => s.master.last('ends')?.state === 'TASK_FINISHED', 'it is told')
    await s.world.advance(30_000)
    s.master.kill(KEEPS, 'on', 1_000)
    await s.reaches('on', 'TASK_KILLED')
    await s.world.advance(1_000)
    t.same(s.processes.remembered, [])
  },
)

t.test('of a group some of whose containers are gone the others are killed', async t => {
  const s = await scene({ program: forever })
  s.master.runGroup(KEEPS, podExecutor(), group('a', 'b'))
  await running(s, 'a', 'b')
  s.crashAgent()
  processOf(s, 'a').end()
  s.processes.forget(processOf(s, 'a').spec.containerId)
  await s.restartAgent()
  await s.reaches('a', 'TASK_GONE')
  await s.reaches('b', 'TASK_KILLED')
  await s.world.advance(1_000)
  t.equal(s.master.exits.length, 1)
})

t.test('of a queued group that is killed nothing runs, however slow the disk is', async t => {
  const s = await scene({ program: forever })
  let go: (() => void) | undefined
  s.files.makeDirectory = (path, mode) =>
    new Promise(resolve => {
      go = () => void MemoryFiles.prototype.makeDirectory.call(s.files, path, mode).then(resolve)
    })
  const write = s.checkpoints.writeAt.bind(s.checkpoints)
  const held: (() => void)[] = []
  s.checkpoints.writeAt = (...args) =>
    new Promise((resolve, reject) => held.push(() => void write(...args).then(resolve, reject)))
  s.master.runGroup(KEEPS, podExecutor(), group('a', 'b', 'c'))
  await s.world.advance(100)
  s.master.kill(KEEPS, 'a')
  await s.world.advance(100)
  go!()
  await s.world.advance(100)
  for (const release of held.splice(0)) release()
  await s.world.advance(100)
  for (const release of held.splice(0)) release()
  for (const id of ['a', 'b', 'c']) await s.reaches(id, 'TASK_KILLED')
  t.equal(s.processes.launched.length, 0)
})
