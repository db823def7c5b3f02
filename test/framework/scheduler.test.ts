import t from 'tap'
import { collectingLogger } from '../../src/base/log.ts'
import { UserError } from '../../src/base/errors.ts'
import { pack } from '../../src/framework/packing.ts'
import {
  type FailureEvent,
  Scheduler,
  type SchedulerOptions,
} from '../../src/framework/scheduler.ts'
import type { AgentID, ExecutorID, FrameworkID, OfferID } from '../../src/messages/ids.ts'
import type { Offer } from '../../src/messages/offer.ts'
import type { TaskStatus } from '../../src/messages/status.ts'
import { World } from '../../src/sim/world.ts'
import { offerOf, ScriptedMaster, subscribedEvent } from './scripted-master.ts'

const MASTER = '10.0.0.1:5050'

/** Writes down all that it hears. */
class Recorder extends Scheduler {
  readonly heard: unknown[] = []
  onUpdate: (status: TaskStatus) => void | Promise<void> = () => {}

  constructor(options: Partial<SchedulerOptions> = {}) {
    super({ master: MASTER, framework: { name: 'recorder', user: 'tester' }, ...options })
  }

  /** What a callback of an author may do with a foreign promise. */
  wait(promise: Promise<void>): Promise<void> {
    return this.resume(promise)
  }

  protected override subscribed(id: FrameworkID): void {
    this.heard.push(['subscribed', id.value])
  }
  protected override disconnected(): void {
    this.heard.push(['disconnected'])
  }
  protected override offers(offers: readonly Offer[]): void {
    this.heard.push(['offers', ...offers.map(offer => offer.id.value)])
  }
  protected override rescinded(id: OfferID): void {
    this.heard.push(['rescinded', id.value])
  }
  protected override update(status: TaskStatus): void | Promise<void> {
    this.heard.push(['update', status.task_id.value, status.state])
    return this.onUpdate(status)
  }
  protected override message(agent: AgentID, executor: ExecutorID, data: Uint8Array): void {
    this.heard.push(['message', agent.value, executor.value, Buffer.from(data).toString()])
  }
  protected override failure(event: FailureEvent): void {
    this.heard.push(['failure', event.agent_id?.value, event.executor_id?.value, event.status])
  }
  protected override error(message: string): void {
    this.heard.push(['error', message])
  }
}

async function connected(scheduler = new Recorder(), answer = subscribedEvent('F1')) {
  const log = collectingLogger()
  const world = new World({ log })
  const master = new ScriptedMaster()
  master.answer = answer
  world.start(MASTER).spawn(master, 'master')
  const runtime = world.start('nat-1:0')
  const ended = runtime.wait(runtime.spawn(scheduler))
  await world.until(() => scheduler.isSubscribed, 'subscribed')
  return { world, master, scheduler, runtime, ended, log }
}

const status = (state: TaskStatus['state'], more: Partial<TaskStatus> = {}): TaskStatus => ({
  task_id: { value: 't1' },
  agent_id: { value: 'S1' },
  state,
  ...more,
})
const uuid = 'AAECAwQFBgcICQoLDA0ODw=='

t.test('subscribes with what it is, and keeps the id it is given', async t => {
  const { master, scheduler, world } = await connected()
  const [call] = master.of('SUBSCRIBE')
  t.equal(call?.framework_id, undefined)
  t.match(call?.subscribe.framework_info, {
    name: 'recorder',
    user: 'tester',
    roles: ['*'],
    capabilities: [{ type: 'MULTI_ROLE' }, { type: 'RESERVATION_REFINEMENT' }],
  })
  t.same(scheduler.frameworkId, { value: 'F1' })
  t.same(scheduler.heard, [['subscribed', 'F1']])
  await world.stop()
})

t.test('the process fills in user and hostname where they are missing', async t => {
  const bare = new Recorder({ framework: { name: 'bare' } })
  bare.fillIn({ user: 'ada', hostname: 'engine' })
  t.match(bare.framework, { user: 'ada', hostname: 'engine' })
  const full = new Recorder({ framework: { name: 'full', user: 'bob', hostname: 'own' } })
  full.fillIn({ user: 'ada', hostname: 'engine' })
  t.match(full.framework, { user: 'bob', hostname: 'own' })
})

t.test('refuses a master that is no address, and says what one looks like', async t => {
  for (const master of ['10.0.0.1:5050,', '10.0.0.1:', 'zk://a:2181', '10.0.0.1:99999']) {
    t.throws(() => new Recorder({ master }), UserError, master)
  }
})

t.test('every event reaches its callback', async t => {
  const { master, scheduler, world } = await connected()
  scheduler.heard.length = 0
  master.offer(offerOf('O1', 'S1', 1, 100), offerOf('O2', 'S2', 1, 100))
  master.say({ type: 'RESCIND', rescind: { offer_id: { value: 'O1' } } })
  master.say({
    type: 'MESSAGE',
    message: {
      agent_id: { value: 'S1' },
      executor_id: { value: 'e' },
      data: Buffer.from('hé').toString('base64'),
    },
  })
  master.say({
    type: 'FAILURE',
    failure: { agent_id: { value: 'S1' }, executor_id: { value: 'e' }, status: 9 },
  })
  master.say({ type: 'HEARTBEAT' })
  await world.advance(10)
  t.same(scheduler.heard, [
    ['offers', 'O1', 'O2'],
    ['rescinded', 'O1'],
    ['message', 'S1', 'e', 'hé'],
    ['failure', 'S1', 'e', 9],
  ])
  await world.stop()
})

t.test('a status is acknowledged when update has returned, and only if it has a uuid', async t => {
  const { master, scheduler, world } = await connected()
  master.status(status('TASK_RUNNING', { uuid }))
  master.status(status('TASK_LOST', { source: 'SOURCE_MASTER' }))
  await world.advance(10)
  t.match(master.of('ACKNOWLEDGE'), [
    {
      framework_id: { value: 'F1' },
      acknowledge: { agent_id: { value: 'S1' }, task_id: { value: 't1' }, uuid },
    },
  ])
  t.equal(master.of('ACKNOWLEDGE').length, 1)

  let release!: () => void
  const stored = new Promise<void>(resolve => (release = resolve))
  scheduler.onUpdate = () => scheduler.wait(stored)
  master.status(status('TASK_FINISHED', { uuid }))
  await world.advance(1_000)
  t.equal(master.of('ACKNOWLEDGE').length, 1, 'not before the framework has stored it')
  release()
  await world.advance(10)
  t.equal(master.of('ACKNOWLEDGE').length, 2)
  await world.stop()
})

t.test('with explicit acknowledgements nothing is acknowledged by itself', async t => {
  const explicit = new Recorder({ explicitAcknowledgements: true })
  const { master, scheduler, world } = await connected(explicit)
  master.status(status('TASK_RUNNING', { uuid }))
  await world.advance(100)
  t.equal(master.of('ACKNOWLEDGE').length, 0)
  scheduler.acknowledge(status('TASK_RUNNING', { uuid }))
  await world.advance(10)
  t.equal(master.of('ACKNOWLEDGE').length, 1)
  await world.stop()
})

t.test('verbs become calls under the framework id', async t => {
  const { master, scheduler, world } = await connected()
  const offer = offerOf('O1', 'S1', 1, 100)
  const { tasks } = pack(offer, [
    {
      name: 't',
      task_id: { value: 't1' },
      command: { value: 'true' },
      needs: { cpus: 0.5, mem: 10 },
    },
  ])
  scheduler.launch(offer, tasks, { refuse_seconds: 1 })
  scheduler.launch([offerOf('O2', 'S1', 1, 1), { value: 'O3' }], [])
  scheduler.decline([{ value: 'O4' }], { refuse_seconds: 60 })
  scheduler.suppress()
  scheduler.revive(['*'])
  scheduler.kill({ value: 't1' }, { value: 'S1' }, { grace_period: { nanoseconds: 1e9 } })
  scheduler.reconcile([{ task_id: { value: 't1' } }])
  scheduler.sendMessage({ value: 'S1' }, { value: 'e' }, 'hé')
  scheduler.shutdownExecutor({ value: 'e' }, { value: 'S1' })
  scheduler.updateFramework({ name: 'other', failover_timeout: 7 })
  await world.advance(10)
  const framework_id = { value: 'F1' }
  t.match(master.calls.slice(1), [
    {
      type: 'ACCEPT',
      framework_id,
      accept: {
        offer_ids: [{ value: 'O1' }],
        operations: [{ type: 'LAUNCH', launch: { task_infos: [{ agent_id: { value: 'S1' } }] } }],
        filters: { refuse_seconds: 1 },
      },
    },
    { type: 'DECLINE', framework_id, decline: { offer_ids: [{ value: 'O2' }, { value: 'O3' }] } },
    { type: 'DECLINE', framework_id, decline: { filters: { refuse_seconds: 60 } } },
    { type: 'SUPPRESS', framework_id },
    { type: 'REVIVE', framework_id, revive: { roles: ['*'] } },
    {
      type: 'KILL',
      framework_id,
      kill: { agent_id: { value: 'S1' }, kill_policy: { grace_period: { nanoseconds: 1e9 } } },
    },
    { type: 'RECONCILE', framework_id, reconcile: { tasks: [{ task_id: { value: 't1' } }] } },
    { type: 'MESSAGE', framework_id, message: { data: Buffer.from('hé').toString('base64') } },
    { type: 'SHUTDOWN', framework_id, shutdown: { executor_id: { value: 'e' } } },
    {
      type: 'UPDATE_FRAMEWORK',
      framework_id,
      update_framework: {
        framework_info: { name: 'recorder', failover_timeout: 7, id: framework_id },
      },
    },
  ])
  await world.stop()
})

t.test('more than one call can say is refused where it is said', async t => {
  const { master, scheduler, world } = await connected()
  const offer = offerOf('O1', 'S1', 1, 100)
  const request = { name: 't', task_id: { value: 't' }, command: {}, needs: { cpus: 0.1, mem: 1 } }
  const { tasks } = pack(offer, [request])
  const large = tasks.map(task => ({ ...task, data: 'A'.repeat(48 << 20) }))
  t.throws(() => scheduler.launch(offer, large), {
    name: 'UserError',
    message: /^What these offers are accepted for is described in \d+ bytes, and 32MB are the most/,
  })
  scheduler.launch(offer, tasks)
  await world.advance(10)
  t.equal(master.of('ACCEPT').length, 1)
  await world.stop()
})

t.test('what is asked for a role is asked for a role of its own', async t => {
  const { master, scheduler, world } = await connected()
  t.throws(() => scheduler.suppress(['nope']), { message: /'nope' is no role of this framework/ })
  t.throws(() => scheduler.revive(['*', 'nope']), { message: /'nope' is no role/ })
  scheduler.updateFramework({ roles: ['*', 'b'] })
  scheduler.suppress(['b'])
  scheduler.updateFramework({ roles: ['*'], principal: 'other', checkpoint: true })
  await world.advance(10)
  const [, last] = master.of('UPDATE_FRAMEWORK')
  t.same(last?.update_framework.suppressed_roles, [], 'a role that was left is not suppressed')
  const { principal, checkpoint, roles } = last!.update_framework.framework_info
  t.same([principal, checkpoint, roles], [undefined, undefined, ['*']], 'what cannot change')
  await world.stop()
})

t.test(
  'a lost master: told once, offers of the dead are not waited for, and back under the same id',
  async t => {
    const { master, scheduler, world, log } = await connected()
    scheduler.suppress()
    await world.advance(10)
    t.equal(master.of('SUPPRESS').length, 1)
    world.crash(MASTER)
    await world.advance(120_000)
    t.same(scheduler.heard, [['subscribed', 'F1'], ['disconnected']])
    const complaints = log.messages('warn').filter(text => /trying again/.test(text))
    t.ok(
      complaints.length >= 2 && complaints.length <= 6,
      `says so once in a while: ${complaints.length}`,
    )

    const successor = new ScriptedMaster()
    world.start(MASTER).spawn(successor, 'master')
    await world.until(() => scheduler.isSubscribed, 'subscribed again', 16_000)
    const [call] = successor.of('SUBSCRIBE')
    t.same(call?.framework_id, { value: 'F1' })
    t.same(call?.subscribe.framework_info.id, { value: 'F1' })
    t.same(call?.subscribe.suppressed_roles, ['*'], 'still suppressed')
    t.same(scheduler.heard.at(-1), ['subscribed', 'F1'])
    await world.stop()
  },
)

t.test('a master that is slow to answer is asked again, less and less often', async t => {
  const world = new World({ log: collectingLogger() })
  const master = new ScriptedMaster()
  master.answer = undefined
  world.start(MASTER).spawn(master, 'master')
  const scheduler = new Recorder()
  world.start('nat-1:0').spawn(scheduler)
  await world.advance(1_200)
  const early = master.of('SUBSCRIBE').length
  t.ok(early === 2 || early === 3, `${early} in the first seconds`)
  await world.advance(120_000)
  const calls = master.of('SUBSCRIBE').length
  t.ok(calls > early + 6 && calls < 30, `${calls} in two minutes`)
  master.answer = subscribedEvent('F7')
  await world.until(() => scheduler.isSubscribed, 'subscribed', 16_000)
  master.say(subscribedEvent('F7'))
  await world.advance(100)
  t.same(scheduler.heard, [['subscribed', 'F7']], 'a second answer is not a second subscription')
  await world.stop()
})

t.test(
  'launches while there is no master come back as lost, or dropped if the framework knows that word',
  async t => {
    for (const [capabilities, state] of [
      [[], 'TASK_LOST'],
      [[{ type: 'PARTITION_AWARE' }], 'TASK_DROPPED'],
    ] as const) {
      const framework = { name: 'x', user: 'u', capabilities: [...capabilities] }
      const { master, scheduler, world } = await connected(new Recorder({ framework }))
      world.crash(MASTER)
      await world.advance(100)
      scheduler.heard.length = 0
      scheduler.launch(offerOf('O1', 'S1', 1, 1), [
        { name: 't', task_id: { value: 't1' }, agent_id: { value: 'S1' } },
      ])
      scheduler.kill({ value: 't1' })
      await world.advance(10)
      t.same(scheduler.heard, [['update', 't1', state]])
      t.equal(master.of('ACCEPT').length, 0)
      await world.stop()
    }
  },
)

t.test('a lost launch is asked about until it is known what became of it', async t => {
  const { master, scheduler, world } = await connected()
  scheduler.launch(offerOf('O1', 'S1', 1, 1), [
    { name: 't', task_id: { value: 't1' }, agent_id: { value: 'S1' } },
  ])
  await world.advance(10)
  t.equal(master.of('ACCEPT').length, 1)
  world.crash(MASTER)
  await world.advance(100)
  const successor = new ScriptedMaster()
  world.start(MASTER).spawn(successor, 'master')
  await world.until(() => scheduler.isSubscribed, 'subscribed again', 16_000)
  const common = {
    task_id: { value: 't1' },
    source: 'SOURCE_MASTER' as const,
    reason: 'REASON_RECONCILIATION' as const,
  }
  // So is a kill answered that does not say on which agent; it may run there.
  successor.status({ ...common, state: 'TASK_UNKNOWN' })
  await world.advance(5_000)
  const asked = successor.of('RECONCILE')
  t.match(asked.at(-1)?.reconcile.tasks, [{ task_id: { value: 't1' }, agent_id: { value: 'S1' } }])
  successor.status({ ...common, agent_id: { value: 'S1' }, state: 'TASK_GONE' })
  await world.advance(10)
  const before = successor.of('RECONCILE').length
  await world.advance(300_000)
  t.equal(successor.of('RECONCILE').length, before)
  await world.stop()
})

t.test('three missing heartbeats are a lost connection; any event is a sign of life', async t => {
  const { master, scheduler, world } = await connected(new Recorder(), subscribedEvent('F1', 15))
  for (let i = 0; i < 4; i++) {
    await world.advance(30_000)
    master.say({ type: 'HEARTBEAT' })
  }
  await world.advance(44_000)
  t.same(scheduler.heard, [['subscribed', 'F1']])
  await world.advance(2_000)
  t.same(scheduler.heard, [['subscribed', 'F1'], ['disconnected'], ['subscribed', 'F1']])
  t.equal(master.of('SUBSCRIBE').length, 2)
  await world.stop()
})

t.test('only the master that answered is believed', async t => {
  const { world, scheduler, runtime } = await connected()
  const stranger = new ScriptedMaster()
  runtime.spawn(stranger, 'master')
  stranger.scheduler = scheduler.self
  stranger.offer(offerOf('O1', 'S1', 1, 1))
  stranger.say({ type: 'ERROR', error: { message: 'go away' } })
  await world.advance(10)
  t.same(scheduler.heard, [['subscribed', 'F1']])
  await world.stop()
})

t.test('an error ends it, after the callback', async t => {
  const { master, scheduler, world, ended } = await connected()
  master.say({ type: 'ERROR', error: { message: 'Framework has been removed' } })
  master.offer(offerOf('O1', 'S1', 1, 1))
  await world.advance(10)
  t.ok(await ended)
  t.equal(scheduler.ended, 'error')
  t.same(scheduler.heard.slice(1), [['error', 'Framework has been removed']])
  await world.stop()
})

t.test('a refusal of the first subscription ends it too', async t => {
  const world = new World({ log: collectingLogger() })
  const master = new ScriptedMaster()
  master.answer = { type: 'ERROR', error: { message: 'no' } }
  world.start(MASTER).spawn(master, 'master')
  const scheduler = new Recorder()
  const runtime = world.start('nat-1:0')
  const ended = runtime.wait(runtime.spawn(scheduler))
  await world.advance(100)
  t.ok(await ended)
  t.same(scheduler.heard, [['error', 'no']])
  await world.stop()
})

t.test('teardown reaches the master before the end, stop tells it nothing', async t => {
  for (const [how, calls] of [
    ['teardown', 1],
    ['stop', 0],
  ] as const) {
    const { master, scheduler, world, ended, runtime } = await connected()
    scheduler[how]()
    scheduler[how]()
    await world.advance(10)
    t.ok(await ended)
    t.equal(scheduler.ended, how)
    t.equal(master.of('TEARDOWN').length, calls)
    t.same(runtime.actors, [])
    await world.stop()
  }
})

t.test('a teardown while the master is away waits for it, but not for long', async t => {
  const { scheduler, world, ended } = await connected()
  world.crash(MASTER)
  await world.advance(50)
  scheduler.interrupted()
  await world.advance(500)
  t.equal(scheduler.ended, undefined)
  const back = new ScriptedMaster()
  world.start(MASTER).spawn(back, 'master')
  await world.until(() => scheduler.ended !== undefined, 'it has ended', 5_000)
  await world.advance(50)
  t.ok(await ended)
  t.equal(scheduler.ended, 'teardown')
  t.equal(back.of('TEARDOWN').length, 1)
  await world.stop()

  const other = await connected()
  other.world.crash(MASTER)
  await other.world.advance(50)
  other.scheduler.teardown()
  await other.world.advance(5_100)
  t.equal(other.scheduler.ended, 'error', 'its tasks run on, and that is no success')
  await other.world.stop()
})

t.test(
  'an interruption tears down; a callback that throws ends the scheduler without an outcome',
  async t => {
    const one = await connected()
    one.scheduler.interrupted()
    await one.world.advance(10)
    t.equal(one.master.of('TEARDOWN').length, 1)
    await one.world.stop()

    const two = await connected()
    two.scheduler.onUpdate = () => {
      throw new Error('bug')
    }
    two.master.status(status('TASK_RUNNING', { uuid }))
    await two.world.advance(10)
    t.ok(await two.ended)
    t.equal(two.scheduler.ended, undefined)
    t.equal(two.master.of('ACKNOWLEDGE').length, 0, 'what was not understood is not acknowledged')
    await two.world.stop()
  },
)
