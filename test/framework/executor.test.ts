import t from 'tap'
import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { serve } from '../../src/actors/protocol.ts'
import { UserError } from '../../src/base/errors.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { Executor, executorEnvironment } from '../../src/framework/executor.ts'
import {
  AgentExecutor,
  type ExecutorCall,
  type ExecutorEvent,
  ExecutorEvents,
} from '../../src/messages/executor-api.ts'
import type { TaskID } from '../../src/messages/ids.ts'
import type { TaskInfo } from '../../src/messages/task.ts'
import { World } from '../../src/sim/world.ts'

const AGENT = '10.0.0.2:5051'

const variables = {
  MESOS_SLAVE_PID: `slave(1)@${AGENT}`,
  MESOS_SLAVE_ID: 'S1',
  MESOS_FRAMEWORK_ID: 'F1',
  MESOS_EXECUTOR_ID: 'E1',
  MESOS_CHECKPOINT: '0',
}

class ScriptedAgent extends Actor {
  readonly serves = [serve(AgentExecutor, { call: (call, from) => this.#call(call, from) })]
  readonly calls: ExecutorCall[] = []
  wantsNone = false
  /** It takes its time: what happens meanwhile. */
  meanwhile: (() => void) | undefined
  executor: Pid | undefined

  of<T extends ExecutorCall['type']>(type: T): Extract<ExecutorCall, { type: T }>[] {
    return this.calls.filter(
      (call): call is Extract<ExecutorCall, { type: T }> => call.type === type,
    )
  }

  say(event: ExecutorEvent): void {
    this.ref(ExecutorEvents, this.executor!).tell('event', event)
  }

  launch(id: string): void {
    this.say({ type: 'LAUNCH', launch: { task: taskOf(id) } })
  }

  acknowledge(id: string, uuid: string | undefined): void {
    this.say({ type: 'ACKNOWLEDGED', acknowledged: { task_id: { value: id }, uuid: uuid ?? '' } })
  }

  #call(call: ExecutorCall, from: Pid): void {
    this.calls.push(call)
    if (call.type !== 'SUBSCRIBE') return
    this.executor = from
    if (this.wantsNone) return this.say({ type: 'SHUTDOWN' })
    this.meanwhile?.()
    this.say({
      type: 'SUBSCRIBED',
      subscribed: {
        executor_info: { executor_id: { value: 'E1' } },
        framework_info: { name: 'f', user: 'u' },
        agent_info: { hostname: 'h' },
      },
    })
  }
}

const taskOf = (id: string): TaskInfo => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'S1' },
})

class Recorder extends Executor {
  readonly heard: string[] = []
  protected override registered(): void {
    this.heard.push('registered')
  }
  protected override launch({ task_id }: TaskInfo): void {
    this.heard.push(`launch ${task_id.value}`)
    this.update({ task_id, state: 'TASK_RUNNING', message: 'going', data: 'hi' })
  }
  protected override kill(task_id: TaskID): void {
    this.heard.push(`kill ${task_id.value}`)
    this.update({ task_id, state: 'TASK_KILLED' })
  }
  protected override message(data: Uint8Array): void {
    this.heard.push(`message ${Buffer.from(data).toString()}`)
    this.sendMessage('pong')
  }
  protected override shutdown(): void {
    this.heard.push('shutdown')
  }
  protected override error(message: string): void {
    this.heard.push(`error ${message}`)
  }
}

async function connected(more: Record<string, string> = {}) {
  const world = new World({ log: collectingLogger() })
  const agent = new ScriptedAgent()
  world.start(AGENT).spawn(agent, 'slave(1)')
  const executor = new Recorder(executorEnvironment({ ...variables, ...more }))
  const runtime = world.start('nat-1:0')
  const ended = runtime.wait(runtime.spawn(executor))
  await world.until(() => executor.isSubscribed, 'subscribed')
  return { world, agent, executor, ended, runtime }
}

t.test('what happens while it subscribes reaches the agent as well', async t => {
  const world = new World({ log: collectingLogger() })
  const agent = new ScriptedAgent()
  world.start(AGENT).spawn(agent, 'slave(1)')
  const executor = new Recorder(executorEnvironment(variables))
  agent.meanwhile = () => executor.update({ task_id: { value: 't' }, state: 'TASK_FINISHED' })
  world.start('nat-1:0').spawn(executor)
  await world.until(() => executor.isSubscribed, 'subscribed')
  await world.settle()
  t.strictSame(agent.of('SUBSCRIBE')[0]!.subscribe.unacknowledged_updates, [])
  t.match(agent.of('UPDATE'), [{ update: { status: { state: 'TASK_FINISHED' } } }])
})

t.test('the environment of an agent is read, anything else is refused with advice', async t => {
  t.match(executorEnvironment(variables), {
    agent: `slave(1)@${AGENT}`,
    executorId: { value: 'E1' },
    recoveryTimeoutMs: undefined,
    shutdownGraceMs: 5_000,
  })
  const kept = executorEnvironment({
    ...variables,
    MESOS_CHECKPOINT: '1',
    MESOS_RECOVERY_TIMEOUT: '2mins',
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '3secs',
  })
  t.match(kept, { recoveryTimeoutMs: 120_000, shutdownGraceMs: 3_000 })
  t.throws(() => executorEnvironment({}), UserError)
  t.throws(
    () => executorEnvironment({ ...variables, MESOS_SLAVE_PID: 'nonsense' }),
    /MESOS_SLAVE_PID/,
  )
})

t.test('subscribes, launches in order, and fills in what a status needs', async t => {
  const { agent, executor, world } = await connected()
  t.match(agent.of('SUBSCRIBE'), [
    {
      executor_id: { value: 'E1' },
      framework_id: { value: 'F1' },
      subscribe: { unacknowledged_tasks: [] },
    },
  ])
  agent.launch('a')
  agent.say({
    type: 'LAUNCH_GROUP',
    launch_group: { task_group: { tasks: [taskOf('b'), taskOf('c')] } },
  })
  agent.say({ type: 'KILL', kill: { task_id: { value: 'a' } } })
  agent.say({ type: 'MESSAGE', message: { data: Buffer.from('ping').toString('base64') } })
  agent.say({ type: 'HEARTBEAT' })
  await world.advance(10)
  t.same(executor.heard.toSorted(), [
    'kill a',
    'launch a',
    'launch b',
    'launch c',
    'message ping',
    'registered',
  ])
  t.equal(executor.heard[1], 'launch a')
  const [
    {
      update: { status },
    } = { update: { status: undefined } },
  ] = agent.of('UPDATE')
  t.match(status, {
    task_id: { value: 'a' },
    state: 'TASK_RUNNING',
    message: 'going',
    data: Buffer.from('hi').toString('base64'),
    source: 'SOURCE_EXECUTOR',
    executor_id: { value: 'E1' },
    agent_id: { value: 'S1' },
  })
  t.equal(Buffer.from(status?.uuid ?? '', 'base64').length, 16)
  t.ok(Math.abs((status?.timestamp ?? 0) * 1_000 - world.clock.now()) < 1_000, 'in seconds')
  const uuids = new Set(agent.of('UPDATE').map(call => call.update.status.uuid))
  t.equal(uuids.size, 4, 'every update has a uuid of its own')
  t.match(agent.of('MESSAGE'), [{ message: { data: Buffer.from('pong').toString('base64') } }])
  await world.stop()
})

t.test('what is not acknowledged is told again after a reconnection', async t => {
  const { agent, executor, world, ended } = await connected({
    MESOS_CHECKPOINT: '1',
    MESOS_RECOVERY_TIMEOUT: '60secs',
  })
  agent.launch('a')
  agent.launch('b')
  await world.advance(10)
  agent.acknowledge('a', agent.of('UPDATE')[0]?.update.status.uuid)
  await world.advance(10)
  world.crash(AGENT)
  await world.advance(20_000)
  executor.update({ task_id: { value: 'a' }, state: 'TASK_FINISHED' })
  const again = new ScriptedAgent()
  world.start(AGENT).spawn(again, 'slave(1)')
  await world.until(() => executor.isSubscribed, 'subscribed again', 16_000)
  const [call] = again.of('SUBSCRIBE')
  t.same(
    call?.subscribe.unacknowledged_tasks?.map(task => task.task_id.value),
    ['b'],
  )
  t.same(
    call?.subscribe.unacknowledged_updates?.map(({ status }) => [
      status.task_id.value,
      status.state,
    ]),
    [
      ['b', 'TASK_RUNNING'],
      ['a', 'TASK_FINISHED'],
    ],
  )
  t.notOk(executor.heard.includes('shutdown'))
  world.crash(AGENT)
  await world.advance(90_000)
  t.ok(await ended, 'an agent that stays away is not waited for beyond the recovery timeout')
  t.equal(executor.heard.at(-1), 'shutdown')
  t.notOk(executor.succeeded)
  await world.stop()
})

t.test(
  'however long the agent was away, it is reached sooner than it gives its executors up',
  async t => {
    const { executor, world } = await connected({
      MESOS_CHECKPOINT: '1',
      MESOS_RECOVERY_TIMEOUT: '15mins',
      MESOS_SUBSCRIPTION_BACKOFF_MAX: '2secs',
    })
    world.crash(AGENT)
    await world.advance(600_000)
    world.start(AGENT).spawn(new ScriptedAgent(), 'slave(1)')
    await world.until(() => executor.isSubscribed, 'subscribed again', 1_500)
    t.ok(executor.isSubscribed)
    await world.stop()
  },
)

t.test('an agent that is back and has no use for an executor is obeyed', async t => {
  const { executor, world, ended } = await connected({
    MESOS_CHECKPOINT: '1',
    MESOS_RECOVERY_TIMEOUT: '15mins',
  })
  world.crash(AGENT)
  await world.advance(1_000)
  const again = new ScriptedAgent()
  again.wantsNone = true
  world.start(AGENT).spawn(again, 'slave(1)')
  await world.advance(1_000)
  t.ok(await ended)
  t.same(executor.heard, ['registered', 'shutdown'])
  t.ok(executor.succeeded)
  await world.stop()
})

t.test('a state arrives, whatever is said with it', async t => {
  const { agent, executor, world } = await connected()
  agent.launch('a')
  await world.advance(10)
  const data = new Uint8Array(68 << 20)
  executor.update({ task_id: { value: 'a' }, state: 'TASK_FINISHED', data })
  await world.advance(10)
  const last = agent.of('UPDATE').at(-1)!.update.status
  t.match(last, { state: 'TASK_FINISHED', message: '(its data left out: more than 1MB)' })
  t.equal(last.data, undefined)
  await world.stop()
})

t.test('without checkpoints it ends with its agent, though not with a connection', async t => {
  const { agent, executor, world, ended } = await connected()
  world.network.reset(AGENT)
  await world.advance(1_000)
  t.same(agent.of('SUBSCRIBE').length, 2)
  t.same(executor.heard, ['registered', 'registered'])
  world.crash(AGENT)
  await world.advance(5_000)
  t.ok(await ended)
  t.same(executor.heard, ['registered', 'registered', 'shutdown'])
  t.notOk(executor.succeeded)
  await world.stop()
})

t.test('shutdown waits for its last words to be stored, but not for ever', async t => {
  for (const acknowledged of [true, false]) {
    const { agent, executor, world, runtime } = await connected()
    agent.launch('a')
    await world.advance(10)
    agent.say({ type: 'SHUTDOWN' })
    await world.advance(100)
    t.same(executor.heard, ['registered', 'launch a', 'shutdown'])
    t.equal(runtime.actors.length, 1)
    if (acknowledged) agent.acknowledge('a', agent.of('UPDATE')[0]?.update.status.uuid)
    await world.advance(acknowledged ? 10 : 1_000)
    t.equal(runtime.actors.length, 0)
    t.ok(executor.succeeded)
    await world.stop()
  }
})

t.test('a refusal ends it after the callback, an interruption after shutdown', async t => {
  const one = await connected()
  one.agent.say({ type: 'ERROR', error: { message: 'unknown' } })
  await one.world.advance(10)
  t.ok(await one.ended)
  t.equal(one.executor.heard.at(-1), 'error unknown')
  t.notOk(one.executor.succeeded)
  await one.world.stop()

  const two = await connected()
  two.executor.interrupted()
  await two.world.advance(10)
  t.ok(await two.ended)
  t.equal(two.executor.heard.at(-1), 'shutdown')
  await two.world.stop()
})
