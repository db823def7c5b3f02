// The agent's process dies and another one takes its place.

import t from 'tap'
import { endedBySignal, exitedWith } from '../../src/agent/wait-status.ts'
import { UserError } from '../../src/base/errors.ts'
import { parseAttributes, parseResources } from '../../src/resources/parse.ts'
import type { VirtualProcess } from '../../src/sim/virtual-processes.ts'
import { TestExecutor } from './test-executor.ts'
import {
  command,
  custom,
  EXECUTOR,
  framework,
  type Scene,
  scene,
  type SceneOptions,
} from './world.ts'

const KEEPS = { ...framework('F1', 'PARTITION_AWARE'), checkpoint: true }
const FORGETS = framework('F2', 'PARTITION_AWARE')

/** Lives on as long as it is let. */
const forever: SceneOptions['program'] = ({ argv }) => (argv[2] === 'forever' ? {} : undefined)

const running = async (s: Scene, ...ids: string[]): Promise<void> => {
  for (const id of ids) await s.reaches(id, 'TASK_RUNNING')
  await s.world.settle()
}
const processOf = (s: Scene, id: string): VirtualProcess =>
  s.processes.launched.find(({ spec }) => spec.cwd.includes(`/executors/${id}/`))!
const metaOf = (s: Scene): string[] =>
  [...s.checkpoints.files.keys()].filter(path => path.includes('/frameworks/'))

t.test('a command goes on without its agent, and its true end is told', async t => {
  const s = await scene({ program: forever })
  s.master.run(
    KEEPS,
    command('on', 'forever'),
    command('ends', 'forever'),
    command('bad', 'forever'),
  )
  await running(s, 'on', 'ends', 'bad')
  s.crashAgent()
  processOf(s, 'ends').end(exitedWith(0))
  processOf(s, 'bad').end(exitedWith(7))
  await s.world.advance(1_000)
  await s.restartAgent()
  await s.reaches('ends', 'TASK_FINISHED')
  await s.reaches('bad', 'TASK_FAILED')
  t.equal(s.master.last('bad')?.message, 'Command exited with status 7')
  t.equal(s.master.registrations.length, 1, 'it is the agent that it was')
  const [again] = s.master.reregistrations
  t.equal(again?.agent.id?.value, 'S0')
  t.same(again?.tasks.map(task => task.task_id.value).sort(), ['bad', 'ends', 'on'])
  t.same(s.master.states('on'), ['TASK_STARTING', 'TASK_RUNNING'])
  processOf(s, 'on').end(endedBySignal(11))
  await s.reaches('on', 'TASK_FAILED')
  t.equal(s.master.last('on')?.message, 'Command terminated with signal Segmentation fault')
  await s.world.advance(1_000)
  t.same(metaOf(s), [], 'nothing is left to be remembered')
})

t.test('a framework that does not checkpoint loses its tasks with the agent', async t => {
  const s = await scene({ program: forever })
  s.master.run(FORGETS, command('a', 'forever'))
  await running(s, 'a')
  t.same(metaOf(s), [])
  s.crashAgent()
  t.notOk(processOf(s, 'a').isAlive)
  await s.restartAgent()
  await s.world.advance(10_000)
  t.same(s.master.reregistrations[0]?.tasks, [])
})

t.test('an update that nobody acknowledged is sent again, the same one', async t => {
  const s = await scene()
  s.master.acknowledges = false
  s.master.run(KEEPS, command('a', 'true'))
  await s.reaches('a', 'TASK_STARTING')
  await s.world.advance(100)
  s.crashAgent()
  await s.restartAgent()
  await s.world.until(() => s.master.of('a').length === 2, 'it is sent again')
  const [first, second] = s.master.of('a')
  t.equal(first?.uuid, second?.uuid)
  t.equal(s.master.reregistrations[0]?.tasks[0]?.state, 'TASK_FINISHED')
  s.master.acknowledges = true
  s.master.acknowledge(second)
  await s.reaches('a', 'TASK_FINISHED')
  t.same(new Set(s.master.states('a')), new Set(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']))
  await s.world.advance(1_000)
  t.same(metaOf(s), [])
})

t.test('what was asked to end is known to have been killed', async t => {
  const s = await scene({ program: () => ({ ignoresSigterm: true }) })
  s.master.run(KEEPS, command('a', 'x'), command('b', 'x'))
  await running(s, 'a', 'b')
  s.master.kill(KEEPS, 'a', 20_000)
  s.master.kill(KEEPS, 'b', 20_000)
  await s.world.advance(5_000)
  s.crashAgent()
  processOf(s, 'b').end(endedBySignal(15))
  await s.world.advance(5_000)
  await s.restartAgent()
  await s.reaches('b', 'TASK_KILLED')
  await s.world.advance(9_000)
  t.ok(processOf(s, 'a').isAlive, 'what is left of its time it has')
  await s.world.advance(1_500)
  await s.reaches('a', 'TASK_KILLED')
  t.ok(processOf(s, 'a').signals.includes('SIGKILL'))
})

t.test('a command is asked to end when that is on disk, and no sooner', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  let release: () => void = () => {}
  s.checkpoints.held = new Promise(resolve => (release = resolve))
  s.master.kill(KEEPS, 'a')
  await s.world.advance(1_000)
  t.same(processOf(s, 'a').signals, [])
  release()
  await s.reaches('a', 'TASK_KILLED')
})

t.test('a kill that comes before an executor is back reaches it', async () => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.crashAgent()
  await s.restartAgent()
  await s.world.until(() => s.master.reregistrations.length === 1, 'it is back')
  s.master.kill(KEEPS, 'a')
  await s.reaches('a', 'TASK_KILLED')
})

t.test('the time that a command may take goes on', async t => {
  const s = await scene({ program: forever })
  const limit = { max_completion_time: { nanoseconds: 60e9 } }
  s.master.run(KEEPS, command('a', 'forever', limit))
  await running(s, 'a')
  await s.world.advance(30_000)
  s.crashAgent()
  await s.world.advance(20_000)
  await s.restartAgent()
  await s.world.advance(8_000)
  t.equal(s.master.last('a')?.state, 'TASK_RUNNING')
  await s.world.advance(4_000)
  t.match(s.master.last('a'), {
    state: 'TASK_FAILED',
    reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
  })
})

t.test('what was written down and never launched is dropped', async t => {
  for (const [info, state] of [
    [KEEPS, 'TASK_DROPPED'],
    [{ ...framework('F3'), checkpoint: true }, 'TASK_LOST'],
  ] as const) {
    const s = await scene({ program: forever, launchMs: 60_000 })
    s.master.run(info, command('a', 'forever'))
    await s.world.until(() => metaOf(s).length > 0, 'it is written down')
    await s.world.advance(10)
    s.crashAgent()
    await s.restartAgent()
    await s.reaches('a', state)
    t.equal(s.master.last('a')?.reason, 'REASON_AGENT_RESTARTED')
    await s.world.advance(1_000)
    t.same(metaOf(s), [])
  }
})

t.test('what ran when the machine was restarted is gone', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.crashAgent()
  s.processes.rebooted()
  await s.restartAgent()
  await s.reaches('a', 'TASK_GONE')
  t.match(s.master.last('a'), {
    reason: 'REASON_AGENT_RESTARTED',
    message: /machine was restarted/,
  })
})

t.test('nothing is sent before it is on disk, and a full disk loses nothing', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.checkpoints.failure = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  processOf(s, 'a').end(exitedWith(3))
  await s.world.advance(60_000)
  t.equal(s.master.last('a')?.state, 'TASK_RUNNING')
  t.ok(s.log.messages('error').some(text => text.includes('cannot be written down')))
  s.master.run(KEEPS, command('b', 'forever'))
  await s.reaches('b', 'TASK_FAILED')
  t.match(s.master.last('b'), {
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: /could not be written down: no space left on device/,
  })
  t.notOk(processOf(s, 'b'))
  s.checkpoints.failure = undefined
  await s.world.advance(2_000)
  t.match(s.master.last('a'), { state: 'TASK_FAILED', message: 'Command exited with status 3' })
})

t.test('an end that comes before its task is on disk is not sent before it either', async t => {
  const s = await scene({ program: forever })
  s.master.acknowledges = false
  let release: () => void = () => {}
  s.checkpoints.held = new Promise(resolve => (release = resolve))
  s.master.run(KEEPS, command('a', 'forever'))
  await s.world.settle()
  s.master.kill(KEEPS, 'a')
  await s.world.advance(100)
  t.equal(s.master.last('a'), undefined)
  s.checkpoints.held = undefined
  release()
  await s.reaches('a', 'TASK_KILLED')
  const { uuid } = s.master.last('a')!
  s.crashAgent()
  await s.restartAgent()
  await s.world.advance(1_000)
  t.match(s.master.last('a'), { state: 'TASK_KILLED', uuid }, 'the next agent says the same')
})

t.test('a line that a crash cut in half is written anew', async () => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.crashAgent()
  const path = [...s.checkpoints.files.keys()].find(file => file.endsWith('task.updates'))!
  const whole = s.checkpoints.files.get(path)!
  s.checkpoints.files.set(path, `${whole}0123abcd {"type":"UPDATE","upd`)
  await s.restartAgent()
  processOf(s, 'a').end(exitedWith(0))
  await s.reaches('a', 'TASK_FINISHED')
})

t.test('what an agent began to write down when it died is cleared away', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.crashAgent()
  const run = '/work/meta/slaves/S0/frameworks/F1/executors/x/runs/c'
  s.checkpoints.files.set(`${run}/tasks/x/task.info.7.new`, '0123abcd {"na')
  await s.restartAgent()
  await s.world.advance(1_000)
  t.notOk([...s.checkpoints.files.keys()].some(path => path.startsWith(run)))
  t.equal(s.master.last('a')?.state, 'TASK_RUNNING')
})

t.test('an end that was acknowledged when the agent died is over', async t => {
  const s = await scene({ program: forever })
  s.master.acknowledges = false
  s.master.run(KEEPS, command('a', 'true'))
  await s.reaches('a', 'TASK_STARTING')
  await s.world.advance(100)
  s.crashAgent()
  await s.restartAgent()
  await s.world.until(() => s.master.of('a').length === 2, 'it is sent again')
  s.master.acknowledges = true
  s.master.acknowledge(s.master.of('a').at(-1))
  await s.reaches('a', 'TASK_FINISHED')
  const before = new Map(s.checkpoints.files)
  await s.world.advance(1_000)
  s.crashAgent()
  // The directory was not removed any more.
  for (const [path, text] of before) s.checkpoints.files.set(path, text)
  await s.restartAgent()
  await s.world.advance(1_000)
  t.same(metaOf(s), [])
})

t.test('a damaged checkpoint is named; without --strict all else is kept', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'), command('b', 'forever'))
  await running(s, 'a', 'b')
  s.crashAgent()
  const path = [...s.checkpoints.files.keys()].find(file => file.endsWith('/a/task.info'))!
  s.checkpoints.files.set(path, s.checkpoints.files.get(path)!.replace('forever', 'forgery'))
  await t.rejects(s.restartAgent(), {
    code: 'data_damaged',
    message: new RegExp(`${path}: line 1 does not have the checksum`),
    hint: /--strict=false/,
  })
  t.ok(processOf(s, 'a').isAlive, 'nothing was changed')
  s.world.crash('10.0.0.2:5051')
  await s.restartAgent({ strict: false })
  await s.world.until(() => s.master.reregistrations.length > 0, 'it is back')
  t.same(
    s.master.reregistrations[0]?.tasks.map(task => task.task_id.value),
    ['b'],
  )
  t.notOk(processOf(s, 'a').isAlive)
  t.ok(processOf(s, 'b').isAlive)
  t.match(JSON.parse((await s.get('/metrics/snapshot')).body), { 'slave/recovery_errors': 1 })
})

t.test('an agent that was started otherwise says what has changed', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.crashAgent()
  const restarted = async (policy: 'equal' | 'additive', resources: string, attributes: string) => {
    try {
      await s.restartAgent({
        policy,
        resources: parseResources(resources).list(),
        attributes: parseAttributes(attributes),
      })
      return 'started'
    } catch (error) {
      s.world.crash('10.0.0.2:5051')
      return (error as UserError).message
    }
  }
  const [all, rack] = ['cpus:4;mem:4096;disk:10000;ports:[31000-32000]', 'rack:r1;level:10']
  t.match(
    await restarted('equal', all.replace('cpus:4', 'cpus:8'), rack),
    /the resources were cpus:4;.* and are cpus:8;/,
  )
  t.match(await restarted('additive', all.replace('cpus:4', 'cpus:2'), rack), /the resources were/)
  t.match(
    await restarted('additive', all, 'rack:r2;level:10'),
    /the attribute rack was .*r1.* and is .*r2/,
  )
  t.match(await restarted('equal', all, `${rack};new:1`), /the attribute new is new/)
  t.ok(processOf(s, 'a').isAlive)
  t.equal(await restarted('additive', all.replace('cpus:4', 'cpus:8'), `${rack};new:1`), 'started')
  await s.world.until(() => s.master.reregistrations.length > 0, 'it is back')
  s.crashAgent()
  t.equal(
    await restarted('equal', all.replace('cpus:4', 'cpus:8'), `${rack};new:1`),
    'started',
    'that is what it is now',
  )
})

t.test('what nobody gave, and the machine has otherwise now, stays what it was', async t => {
  const s = await scene({ program: forever })
  s.crashAgent()
  const now = parseResources('cpus:4;mem:4096;disk:9000;ports:[31000-32000]').list()
  await s.restartAgent({ resources: now, detected: ['disk'] })
  await s.world.until(() => s.master.reregistrations.length > 0, 'it is back')
  const disk = s.master.reregistrations[0]?.agent.resources?.find(({ name }) => name === 'disk')
  t.equal(disk?.scalar?.value, 10_000)
})

t.test('--recover=cleanup ends what is left, and the next agent is a new one', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.crashAgent()
  await s.restartAgent({ cleanup: true })
  t.notOk(processOf(s, 'a').isAlive)
  await s.world.until(() => s.master.registrations.length === 2, 'it registers anew')
  t.same(s.master.reregistrations, [])
})

t.test('an agent that is told to end does not come back as the one it was', async t => {
  const s = await scene({ program: forever })
  s.master.run(KEEPS, command('a', 'forever'))
  await running(s, 'a')
  s.master.say.tell('shutdown', { message: 'gone' })
  await s.world.until(() => s.shutdowns.length > 0, 'it ends')
  t.equal(s.checkpoints.links.size, 0)
})

async function withExecutor(ids: string[]) {
  let started: VirtualProcess | undefined
  const s = await scene({
    program: ({ argv }) =>
      argv[2] === 'my-executor' ? { onStart: process => (started = process) } : undefined,
  })
  s.master.run(KEEPS, ...ids.map(id => custom(id)))
  await s.world.until(() => started !== undefined, 'the executor is started')
  const runtime = s.world.start(EXECUTOR)
  const connect = async (known: string[] = []): Promise<TestExecutor> => {
    const executor = new TestExecutor('ex')
    executor.unacknowledged = { tasks: known }
    runtime.spawn(executor)
    await s.world.until(() => executor.events.length > 0, 'it has subscribed')
    return executor
  }
  return { s, connect, process: started! }
}

t.test('an executor subscribes again, and its tasks are what they were', async t => {
  const { s, connect, process } = await withExecutor(['a', 'b'])
  t.match(process.spec.env, { MESOS_CHECKPOINT: '1', MESOS_RECOVERY_TIMEOUT: '15mins' })
  const executor = await connect()
  executor.update('a', 'TASK_RUNNING')
  await s.reaches('a', 'TASK_RUNNING')
  executor.update('a', 'TASK_FINISHED')
  await s.reaches('a', 'TASK_FINISHED')
  executor.update('b', 'TASK_RUNNING')
  await s.reaches('b', 'TASK_RUNNING')
  await s.world.settle()
  t.notOk(metaOf(s).some(path => path.includes('/tasks/a/')))
  s.crashAgent()
  await s.world.advance(500)
  await s.restartAgent()
  const again = await connect()
  t.same(again.seen, ['SUBSCRIBED'])
  await s.world.until(() => s.master.reregistrations.length > 0, 'the agent is back')
  t.same(
    s.master.reregistrations[0]?.tasks.map(task => task.task_id.value),
    ['b'],
  )
  t.same(
    s.master.reregistrations[0]?.executor_infos.map(info => info.executor_id.value),
    ['ex'],
  )
  s.master.run(KEEPS, custom('c'))
  await s.world.until(() => again.seen.includes('LAUNCH'), 'it gets another task')
  process.end(exitedWith(4))
  await s.reaches('b', 'TASK_FAILED')
  await s.reaches('c', 'TASK_FAILED')
  t.match(s.master.exits, [{ status: exitedWith(4) }])
})

t.test('an executor that was just starting when its agent died has the time to start', async t => {
  for (const isSlow of [false, true]) {
    const { s, connect, process } = await withExecutor(['a'])
    s.crashAgent()
    await s.restartAgent()
    await s.world.advance(50_000)
    t.ok(process.isAlive)
    if (isSlow) {
      await s.world.advance(20_000)
      t.match(s.master.last('a'), {
        state: 'TASK_FAILED',
        reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
        message: 'Executor did not register within 1mins',
      })
      t.notOk(process.isAlive)
    } else {
      const executor = await connect()
      await s.reaches('a', 'TASK_DROPPED')
      t.ok(executor.seen.includes('SHUTDOWN'), 'what it had been started for is not there any more')
    }
  }
})

t.test('the tasks of an executor that has ended cannot be killed any more', async t => {
  const { s, process } = await withExecutor(['a', 'b'])
  s.checkpoints.failure = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  process.end(exitedWith(1))
  await s.world.advance(2_000)
  s.master.kill(KEEPS, 'b')
  await s.world.advance(2_000)
  s.checkpoints.failure = undefined
  await s.reaches('a', 'TASK_FAILED')
  await s.world.advance(5_000)
  t.same(s.master.states('b'), ['TASK_FAILED'])
})

t.test('a task that an executor never got is dropped, and one that is late is ended', async t => {
  const { s, connect, process } = await withExecutor(['a', 'b'])
  const executor = await connect()
  executor.update('a', 'TASK_RUNNING')
  await s.reaches('a', 'TASK_RUNNING')
  s.crashAgent()
  await s.world.advance(500)
  await s.restartAgent()
  await connect()
  await s.reaches('b', 'TASK_DROPPED')
  t.equal(s.master.last('b')?.reason, 'REASON_AGENT_RESTARTED')
  s.crashAgent()
  await s.restartAgent()
  await s.world.advance(1_900)
  t.ok(process.isAlive)
  await s.reaches('a', 'TASK_FAILED')
  t.equal(s.master.last('a')?.reason, 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT')
  t.notOk(process.isAlive)
})
