import t from 'tap'
import type { Runtime } from '../../src/actors/runtime.ts'
import { endedBySignal, exitedWith } from '../../src/agent/wait-status.ts'
import type { VirtualProcess } from '../../src/sim/virtual-processes.ts'
import { AGENT_PID, TestExecutor } from './test-executor.ts'
import { AGENT, AWARE, command, custom, EXECUTOR, framework, type Scene, scene } from './world.ts'

interface Play extends Scene {
  /** The process of the executor that was started last. */
  process: VirtualProcess
  /** The executor in it, once `connect` was called. */
  executor: TestExecutor
  runtime: Runtime
  connect(): Promise<TestExecutor>
}

async function play(ignoresSigterm = false): Promise<Play> {
  let started: VirtualProcess | undefined
  const s = await scene({
    program: ({ argv }) =>
      argv[2] === 'my-executor'
        ? {
            ignoresSigterm,
            onStart: process => (started = process),
            // What it sent before its end is still on its way when the agent sees the end.
            onEnd: () => s.world.clock.delay(20, () => s.world.crash(EXECUTOR)),
          }
        : undefined,
  })
  const p: Play = Object.assign(s, {
    process: undefined as never,
    executor: undefined as never,
    runtime: undefined as never,
    connect: async () => {
      await s.world.until(() => started !== undefined, 'the executor is started')
      p.process = started!
      p.executor = new TestExecutor(started!.spec.env['MESOS_EXECUTOR_ID']!)
      p.runtime = s.world.start(EXECUTOR)
      p.runtime.spawn(p.executor, 'executor(1)')
      await s.world.until(() => p.executor.events.length > 0, 'the executor has subscribed')
      return p.executor
    },
  })
  return p
}

t.test('an executor subscribes, gets its tasks in order, and reports', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'), custom('b'))
  const executor = await s.connect()
  const { spec, pid } = s.process
  t.match(spec.env, {
    MESOS_EXECUTOR_ID: 'ex',
    MESOS_SLAVE_PID: AGENT_PID,
    MESOS_AGENT_ENDPOINT: AGENT,
    MESOS_DIRECTORY: `/work/slaves/S0/frameworks/F1/executors/ex/runs/${spec.containerId}`,
  })
  t.strictSame(executor.seen, ['SUBSCRIBED', 'LAUNCH', 'LAUNCH'])
  t.match(executor.events[0], {
    subscribed: {
      executor_info: {
        executor_id: { value: 'ex' },
        framework_id: { value: 'F1' },
        source: 'conf',
      },
      framework_info: { id: { value: 'F1' } },
      agent_info: { id: { value: 'S0' }, hostname: 'agent.example.org' },
      container_id: { value: spec.containerId },
    },
  })
  t.match(executor.events[1], { launch: { task: { task_id: { value: 'a' } } } })
  const uuid = executor.update('a', 'TASK_RUNNING', { message: 'going', data: 'aGVsbG8=' })
  await s.reaches('a', 'TASK_RUNNING')
  await s.world.advance(10)
  t.match(executor.events.at(-1), {
    type: 'ACKNOWLEDGED',
    acknowledged: { task_id: { value: 'a' }, uuid },
  })
  t.match(s.master.last('a'), {
    message: 'going',
    data: 'aGVsbG8=',
    container_status: { container_id: { value: spec.containerId }, executor_pid: pid },
  })

  s.master.run(AWARE, custom('c'))
  await s.world.advance(10)
  t.equal(
    executor.seen.filter(type => type === 'LAUNCH').length,
    3,
    'the same executor is used again',
  )
  t.equal(s.processes.launched.length, 1)
  const { frameworks } = JSON.parse((await s.get('/state')).body)
  t.match(frameworks[0].executors, [
    {
      id: 'ex',
      name: 'my executor',
      type: 'CUSTOM',
      resources: { cpus: 0.4, mem: 128 },
      tasks: { length: 3 },
    },
  ])

  executor.call({ type: 'MESSAGE', message: { data: 'dXA=' } })
  s.master.say.tell('framework_message', {
    agent_id: { value: 'S0' },
    framework_id: { value: 'F1' },
    executor_id: { value: 'ex' },
    data: 'ZG93bg==',
  })
  s.master.kill(AWARE, 'a', 1_000)
  await s.world.advance(10)
  t.strictSame(s.master.messages, ['dXA='])
  t.match(executor.events.at(-2), { type: 'MESSAGE', message: { data: 'ZG93bg==' } })
  t.match(executor.events.at(-1), {
    type: 'KILL',
    kill: { task_id: { value: 'a' }, kill_policy: { grace_period: { nanoseconds: 1e9 } } },
  })
  for (const id of ['a', 'b', 'c']) executor.update(id, 'TASK_FINISHED')
  await s.reaches('c', 'TASK_FINISHED')
  await s.world.advance(60_000)
  t.ok(s.process.isAlive, 'an executor without tasks lives on')
})

t.test('calls that are not in order are not taken', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  executor.update('a', 'TASK_STAGING')
  executor.update('a', 'TASK_RUNNING', { source: 'SOURCE_AGENT' })
  executor.update('a', 'TASK_RUNNING', { uuid: 'AAAA' })
  executor.update('a', 'TASK_RUNNING', { uuid: 'AAAAAAAAAAAAAAAAAAAAAA==' })
  executor.update('a', 'TASK_RUNNING', { executor_id: { value: 'zzz' } })
  await s.world.advance(100)
  t.strictSame(s.master.updates, [])
  t.strictSame(
    s.log.messages('warn').filter(m => m.startsWith('update ignored')),
    [
      'update ignored: Received TASK_STAGING from executor ex of framework F1 which is not allowed',
      "update ignored: Received Call from executor ex of framework F1 with invalid source, expecting 'SOURCE_EXECUTOR'",
      'update ignored: Not a valid UUID',
      'update ignored: Not a valid UUID',
      'update ignored: ExecutorID in Call: ex does not match ExecutorID in TaskStatus: zzz',
    ],
  )
  const stranger = new TestExecutor('nobody')
  s.runtime.spawn(stranger, 'executor(2)')
  await s.world.advance(100)
  t.match(stranger.events, [{ type: 'ERROR', error: { message: 'Executor cannot be found' } }])
})

t.test('an executor speaks for its own tasks only', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  executor.update('a', 'TASK_RUNNING')
  await s.reaches('a', 'TASK_RUNNING')
  s.master.run(AWARE, custom('b', 'liar'))
  await s.world.until(() => s.processes.launched.length === 2, 'the other one is started')
  const liar = new TestExecutor('liar')
  s.runtime.spawn(liar, 'executor(2)')
  await s.world.until(() => liar.seen.includes('LAUNCH'), 'it has its task')
  const uuid = liar.update('a', 'TASK_FINISHED')
  await s.world.advance(10_000)
  t.strictSame(s.master.states('a'), ['TASK_RUNNING'], 'nobody hears of it')
  t.match(liar.events.at(-1), { type: 'ACKNOWLEDGED', acknowledged: { uuid } })
  executor.update('a', 'TASK_FINISHED')
  await s.reaches('a', 'TASK_FINISHED')
  await s.world.advance(10_000)
  t.strictSame(s.master.states('a'), ['TASK_RUNNING', 'TASK_FINISHED'])
  const liesWhenBack = { task_id: { value: 'a' }, state: 'TASK_FAILED' as const, uuid }
  liar.call({
    type: 'SUBSCRIBE',
    subscribe: {
      unacknowledged_updates: [{ status: { ...liesWhenBack, source: 'SOURCE_EXECUTOR' as const } }],
    },
  })
  await s.world.advance(10_000)
  t.strictSame(s.master.states('a'), ['TASK_RUNNING', 'TASK_FINISHED'])
  const metrics = JSON.parse((await s.get('/metrics/snapshot')).body)
  t.equal(metrics['slave/invalid_status_updates'], 2)
})

t.test('an executor that another agent started is not taken for one of the same name', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  executor.call({ type: 'SUBSCRIBE', subscribe: { agent_id: { value: 'S666' } } })
  await s.world.advance(100)
  t.equal(executor.seen.at(-1), 'SHUTDOWN')
})

t.test('a task ends once, whatever its executor says when that is acknowledged', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'), custom('b'))
  const executor = await s.connect()
  const end = executor.update('a', 'TASK_FINISHED')
  await s.reaches('a', 'TASK_FINISHED')
  await s.world.advance(1_000)
  const second = executor.update('a', 'TASK_FAILED')
  // Its confirmation got lost, so it says so once more.
  executor.update('a', 'TASK_FINISHED', { uuid: end })
  await s.world.advance(60_000)
  t.strictSame(s.master.states('a'), ['TASK_FINISHED'])
  t.strictSame(
    executor.events.flatMap(e => (e.type === 'ACKNOWLEDGED' ? [e.acknowledged.uuid] : [])),
    [end, second, end],
    'it need not say so again',
  )
  executor.update('b', 'TASK_RUNNING')
  await s.reaches('b', 'TASK_RUNNING')
})

t.test('updates of tasks that never were are dropped, and complained of now and then', async t => {
  const s = await play()
  s.master.acknowledges = false
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  for (let i = 0; i < 3_001; i++) executor.update(`ghost${i}`, 'TASK_RUNNING')
  await s.world.advance(3_600_000)
  t.strictSame(s.master.updates, [])
  const complaints = s.log.messages('warn').filter(m => m.startsWith('update ignored'))
  t.equal(complaints.length, 1)
  executor.update('a', 'TASK_RUNNING')
  await s.reaches('a', 'TASK_RUNNING')
})

t.test('an executor that is lost takes its tasks with it', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'), custom('b'), custom('c'))
  const executor = await s.connect()
  executor.update('a', 'TASK_RUNNING')
  executor.update('c', 'TASK_FINISHED')
  await s.reaches('c', 'TASK_FINISHED')
  s.process.end(endedBySignal(9))
  await s.reaches('b', 'TASK_FAILED')
  for (const id of ['a', 'b']) {
    t.match(s.master.last(id), {
      state: 'TASK_FAILED',
      reason: 'REASON_EXECUTOR_TERMINATED',
      message: 'Executor terminated',
      source: 'SOURCE_AGENT',
      executor_id: { value: 'ex' },
    })
  }
  t.strictSame(s.master.states('c'), ['TASK_FINISHED'])
  t.match(s.master.exits, [
    { executor_id: { value: 'ex' }, framework_id: { value: 'F1' }, status: 9 },
  ])
  await s.world.advance(10)
  const state = JSON.parse((await s.get('/state')).body)
  t.match(state.completed_frameworks[0].completed_executors, [
    { id: 'ex', type: 'CUSTOM', completed_tasks: { length: 3 } },
  ])

  s.master.run(AWARE, custom('d'))
  await s.world.until(() => s.processes.launched.length === 2, 'a new one is started')
  t.equal(JSON.parse((await s.get('/state')).body).frameworks[0].completed_executors.length, 1)
})

t.test('an executor that ends well is reported, and its last words are heard first', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  executor.update('a', 'TASK_FINISHED')
  s.process.end(exitedWith(9))
  await s.world.advance(3_000)
  t.strictSame(s.master.states('a'), ['TASK_FINISHED'])
  t.match(s.master.exits, [{ status: 2304 }])
})

t.test('an executor that does not subscribe is killed', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'), custom('b'))
  await s.world.advance(59_000)
  t.equal(s.processes.alive, 1)
  await s.reaches('b', 'TASK_FAILED')
  t.match(s.master.last('a'), {
    state: 'TASK_FAILED',
    reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
    message: 'Executor did not register within 1mins',
  })
  t.equal(s.processes.alive, 0)
  t.match(s.master.exits, [{ status: 9 }])
})

t.test(
  'an executor that subscribes twice, for the answer took long, loses no task by that',
  async t => {
    const s = await play()
    s.world.network.latencyMs = [50, 50]
    s.master.run(AWARE, custom('a'))
    // Its first SUBSCRIBE and the second both leave before the task arrives.
    const connecting = s.connect()
    await s.world.until(() => s.runtime?.actors.length === 1, 'the executor runs')
    s.executor.call({ type: 'SUBSCRIBE', subscribe: {} })
    const executor = await connecting
    await s.world.advance(1_000)
    t.strictSame(executor.seen, ['SUBSCRIBED', 'LAUNCH', 'SUBSCRIBED'])
    t.equal(s.master.last('a'), undefined, 'nothing was said of it')
    executor.update('a', 'TASK_FINISHED')
    await s.reaches('a', 'TASK_FINISHED')
  },
)

t.test('an executor whose connection breaks may come back, with its tasks', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'), custom('b'))
  const executor = await s.connect()
  executor.update('a', 'TASK_RUNNING')
  await s.reaches('a', 'TASK_RUNNING')
  s.runtime.terminate(executor.self)
  await s.world.advance(1_000)
  s.master.run(AWARE, custom('c'))
  s.master.kill(AWARE, 'a')
  await s.world.advance(1_000)
  const back = new TestExecutor('ex')
  s.runtime.spawn(back, 'executor(2)')
  await s.world.advance(100)
  t.strictSame(back.seen, ['SUBSCRIBED', 'LAUNCH', 'KILL'])
  t.match(back.events[1], { launch: { task: { task_id: { value: 'c' } } } })
  t.match(s.master.last('b'), {
    state: 'TASK_DROPPED',
    reason: 'REASON_AGENT_RESTARTED',
    message: 'Task launched during agent restart',
  })
  await s.world.advance(60_000)
  t.ok(s.process.isAlive)
  s.runtime.terminate(back.self)
  await s.reaches('a', 'TASK_FAILED')
  t.match(s.master.last('a'), { reason: 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT' })
  t.notOk(s.process.isAlive)
})

t.test('one that comes back without its only task is sent away', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  s.runtime.terminate(executor.self)
  await s.world.advance(1_000)
  const back = new TestExecutor('ex')
  s.runtime.spawn(back, 'executor(2)')
  await s.reaches('a', 'TASK_DROPPED')
  t.strictSame(back.seen, ['SHUTDOWN'])
})

t.test(
  'an executor that ends while the agent is not registered is reported when it is',
  async t => {
    const s = await play()
    s.master.run(AWARE, custom('a'))
    await s.connect()
    s.world.network.cutOff(AGENT)
    s.process.end(exitedWith(3))
    await s.world.advance(1)
    t.strictSame(s.master.exits, [])
    await s.world.advance(30_000)
    t.match(s.master.exits, [{ status: 3 << 8 }])
  },
)

t.test('a framework that is gone leaves nothing', async t => {
  const s = await play(true)
  s.master.acknowledges = false
  s.master.run(AWARE, custom('a'), command('b', 'sleep 1000'), command('c', 'exit 1'))
  const executor = await s.connect()
  await s.reaches('b', 'TASK_STARTING')
  await s.world.advance(1_000)
  s.master.say.tell('shutdown_framework', { framework_id: { value: 'F1' } })
  await s.world.advance(1_000)
  t.equal(executor.seen.at(-1), 'SHUTDOWN')
  t.equal(s.processes.alive, 1, 'the command has ended')
  s.master.run(AWARE, command('d', 'true'))
  await s.world.advance(5_000)
  t.equal(s.processes.alive, 0, 'after its grace the executor is killed')
  const updates = s.master.updates.length
  await s.world.advance(3600_000)
  t.equal(s.master.updates.length, updates, 'nobody is told of its tasks')
  t.strictSame(s.master.states('d'), [])
  const state = JSON.parse((await s.get('/state')).body)
  t.strictSame(state.frameworks, [])
  t.strictSame(
    state.completed_frameworks[0].completed_executors.map((e: { id: string }) => e.id).sort(),
    ['b', 'c', 'ex'],
  )
  t.strictSame(s.agent.actors, ['files', 'slave(1)', 'task-status-update-manager(1)'])
})

t.test('a scheduler ends one executor', async t => {
  const s = await play()
  s.master.run(AWARE, custom('a'))
  const executor = await s.connect()
  s.master.say.tell('shutdown_executor', {
    framework_id: { value: 'F1' },
    executor_id: { value: 'ex' },
  })
  await s.world.advance(10)
  t.equal(executor.seen.at(-1), 'SHUTDOWN')
  executor.update('a', 'TASK_KILLED')
  s.process.end(0)
  await s.reaches('a', 'TASK_KILLED')
  await s.world.until(() => s.master.exits.length === 1, 'the executor is gone')
  t.match(s.master.exits, [{ status: 0 }])
})

t.test('an executor is started only for a task with which the master has counted it', async t => {
  const s = await play()
  const run = (id: string, launch_executor: boolean, more = {}) =>
    s.master.say.tell('run_task', {
      framework: AWARE,
      task: custom(id, 'ex5', more),
      launch_executor,
    })
  // The second one relies on the executor of the first, which is refused; the third on one whose end is being told.
  run('a', true, { container: { type: 'DOCKER' } })
  run('b', false)
  await s.reaches('a', 'TASK_FAILED')
  await s.reaches('b', 'TASK_DROPPED')
  t.match(s.master.last('b'), { reason: 'REASON_EXECUTOR_TERMINATED' })
  t.match(s.master.exits, [{ executor_id: { value: 'ex5' } }], 'given back once')
  t.equal(s.processes.launched.length, 0)
  run('c', true)
  await s.world.until(() => s.processes.launched.length === 1, 'it is started')
  run('d', false)
  await s.world.advance(10)
  t.strictSame(s.master.states('d'), [], 'which runs along')
  s.master.say.tell('run_task', {
    framework: AWARE,
    task: custom('e', 'ex6'),
    launch_executor: false,
    launched_for: { value: 'earlier' },
  })
  await s.reaches('e', 'TASK_DROPPED')
  t.match(s.master.exits.at(-1), {
    executor_id: { value: 'ex6' },
    launched_for: { value: 'earlier' },
  })
})

t.test('a refused task gives its executor back', async t => {
  const s = await play()
  s.master.run(framework('F4'), custom('a', 'ex4', { container: { type: 'DOCKER' } }))
  await s.reaches('a', 'TASK_FAILED')
  t.match(s.master.exits, [{ executor_id: { value: 'ex4' }, status: -1 }])
  s.master.run(AWARE, custom('b', 'ex', { type: 'DEFAULT' }))
  await s.reaches('b', 'TASK_ERROR')
  s.master.run(AWARE, custom('k'))
  s.master.kill(AWARE, 'k')
  await s.reaches('k', 'TASK_KILLED')
  await s.world.until(() => s.master.exits.length === 3, 'all three are given back')
  t.equal(s.processes.alive, 0)
  s.master.kill(AWARE, 'nothing')
  await s.world.advance(100)
  t.strictSame(s.master.states('nothing'), [], 'nothing is known of it, nor of its framework')
})
