import t from 'tap'
import { reregistration } from '../../src/agent/reregistration.ts'
import { taskRecord } from '../../src/agent/task-record.ts'
import { serve } from '../../src/actors/protocol.ts'
import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { Runtime } from '../../src/actors/runtime.ts'
import { unregisterAgent } from '../../src/agent/start.ts'
import { silentLogger } from '../../src/base/log.ts'
import { AgentMaster, MasterAgent } from '../../src/messages/agent-registration.ts'
import { FakeMaster } from './fake-master.ts'
import { AGENT, AWARE, command, custom, framework, MASTER, scene } from './world.ts'

const AGENT_PID = `slave(1)@${AGENT}` as Pid

t.test('it asks at once, and then ever less often, until it is answered', async t => {
  const s = await scene({ master: false })
  await s.world.advance(20_000)
  const complaints = (): string[] => s.log.messages('warn').filter(m => m.includes('still trying'))
  t.strictSame(complaints(), [`master ${MASTER} does not answer; still trying`])
  t.match(s.log.records.find(r => r.message.includes('still trying'))!.fields, {
    attempts: 1,
    error: 'no connection',
  })
  await s.world.advance(60_000)
  t.equal(complaints().length, 3, 'said once a while')

  const master = s.startMaster()
  master.mode = 'silent'
  await s.world.until(() => master.registrations.length === 1, 'the agent found it', 25_000)
  await s.world.advance(120_000)
  const pauses = master.registrations.slice(1).map(({ at }, i) => at - master.registrations[i]!.at)
  t.ok(
    pauses.every(ms => ms > 7_000 && ms < 23_000),
    'fifteen seconds, varied by chance',
  )
  master.mode = 'answer'
  await s.world.until(() => s.log.messages('info').includes('registered with the master'), 'in')
  const asked = master.registrations.length
  await s.world.advance(60_000)
  t.equal(master.registrations.length, asked)
  t.match(master.registrations[0], { from: AGENT_PID })
})

t.test('the first attempts come quickly', async t => {
  const s = await scene({ master: false })
  const master = s.startMaster()
  master.mode = 'silent'
  await s.world.advance(2_000)
  const [first = 0, second = 0, third = 0] = master.registrations.map(({ at }) => at)
  t.ok(second - first >= 50 && second - first <= 160, `${second - first} ms`)
  t.ok(third - second >= 100 && third - second <= 310, `${third - second} ms`)
})

t.test('what it says of itself', async t => {
  const s = await scene()
  const state = JSON.parse((await s.get('/state')).body)
  t.match(state, {
    id: 'S0',
    pid: AGENT_PID,
    hostname: 'agent.example.org',
    capabilities: ['MULTI_ROLE', 'HIERARCHICAL_ROLE', 'RESERVATION_REFINEMENT'],
    resources: { cpus: 4, mem: 4096, disk: 10_000, gpus: 0, ports: '[31000-32000]' },
    reserved_resources: {},
    unreserved_resources_full: [{ name: 'cpus', role: '*', scalar: { value: 4 } }, {}, {}, {}],
    unreserved_resources_allocated: { cpus: 0, mem: 0 },
    attributes: { rack: 'r1', level: 10 },
    master_hostname: '10.0.0.1',
    flags: { port: '5051' },
    frameworks: [],
    completed_frameworks: [],
  })
  t.equal((await s.get('/health')).status, 200)
  t.match(JSON.parse((await s.get('/slave(1)/flags')).body), { flags: { port: '5051' } })
  t.match(JSON.parse((await s.get('/version')).body), { version: '0.1.0' })
})

t.test('a new master is told all that runs, and what it believed besides is settled', async t => {
  const s = await scene({ program: ({ argv }) => (argv[2] === 'my-executor' ? {} : undefined) })
  const gone = framework('F9')
  s.master.run(AWARE, command('done', 'true'), command('long', 'sleep 500'), custom('waiting'))
  s.master.run(gone, command('other', 'true'))
  await s.reaches('long', 'TASK_RUNNING')
  await s.reaches('other', 'TASK_FINISHED')
  s.master.acknowledges = false
  s.master.run(AWARE, command('unheard', 'exit 1'))
  await s.reaches('unheard', 'TASK_STARTING')
  s.master.run(AWARE, command('refused', 'true', { command: {} }))
  await s.reaches('refused', 'TASK_ERROR')
  await s.world.advance(1_000)
  s.world.crash(MASTER)
  await s.world.advance(30_000)
  t.ok(s.log.messages('warn').includes('disconnected from the master; registering again'))

  const master = s.startMaster()
  master.reconciliations = [
    { framework: 'F1', tasks: ['long', 'lost', 'refused'] },
    { framework: 'F8', tasks: ['unknown'] },
  ]
  await s.world.until(() => master.reregistrations.length === 1, 'the agent is back', 25_000)
  const [told] = master.reregistrations
  t.equal(told!.agent.id!.value, 'S0')
  t.strictSame(
    told!.tasks.map(task => [task.task_id.value, task.state, task.status_update_state]),
    [
      ['long', 'TASK_RUNNING', 'TASK_RUNNING'],
      ['waiting', 'TASK_STAGING', undefined],
      ['unheard', 'TASK_FAILED', 'TASK_STARTING'],
      ['refused', 'TASK_ERROR', 'TASK_ERROR'],
    ],
  )
  t.equal(told!.tasks[0]!.executor_id, undefined)
  t.strictSame(
    told!.executor_infos.map(e => e.executor_id.value),
    ['ex'],
  )
  t.strictSame(
    told!.frameworks.map(f => f.id!.value),
    ['F1'],
  )
  t.ok(told!.frameworks[0]!.capabilities)
  await s.reaches('unheard', 'TASK_FAILED')
  t.strictSame(master.states('unheard'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED'])
  await s.reaches('lost', 'TASK_DROPPED')
  t.match(master.last('lost'), {
    reason: 'REASON_RECONCILIATION',
    message: 'Reconciliation: task unknown to the agent',
  })
  await s.reaches('unknown', 'TASK_LOST')
  t.strictSame(master.states('long'), [])
  await s.reaches('long', 'TASK_FINISHED')
})

t.test('what is more than one message holds is told in several, in order', async t => {
  const identity = {
    agent: { hostname: 'h' },
    version: '',
    agent_capabilities: [],
    checkpointed_resources: [],
  }
  const labels = { labels: [{ key: 'k', value: 'x'.repeat(400_000) }] }
  const tasks = ['a', 'b', 'c', 'd', 'e'].map(id => ({
    ...taskRecord(command(id, 'true'), AWARE),
    labels,
  }))
  const all = { tasks, executor_infos: [], frameworks: [AWARE] }
  const { parts, body } = reregistration(identity, all)
  t.equal(body.parts, 2)
  t.strictSame(
    parts.map(({ index }) => index),
    [0, 1],
  )
  const said = [...parts, body].map(part => part.tasks.map(({ task_id }) => task_id.value))
  t.strictSame(said, [['a', 'b'], ['c', 'd'], ['e']])
  t.strictSame(
    [...parts, body].flatMap(({ frameworks }) => frameworks),
    [AWARE],
  )
  const few = reregistration(identity, { ...all, tasks: [] })
  t.match(few, { parts: [], body: { parts: 0, frameworks: [AWARE] } })
})

t.test('asking again, it names the last answer that it had', async t => {
  const s = await scene()
  s.master.say.tell('ping', { connected: false })
  await s.world.until(() => s.master.reregistrations.length === 1, 'it asks again')
  t.equal(s.master.reregistrations[0]!.registration, 'R0')
  await s.world.advance(100)
  s.master.mode = 'silent'
  s.master.say.tell('ping', { connected: false })
  await s.world.until(() => s.master.reregistrations.length === 2, 'once more')
  t.equal(s.master.reregistrations[1]!.registration, 'R1')
  s.master.say.tell('ping', { connected: false, registration: 'R7' })
  await s.world.advance(5)
  t.strictSame(
    s.master.reregistrations.slice(2).map(({ registration }) => registration),
    ['R7'],
    'at once, if an answer was lost',
  )
})

t.test('each part is sent when the one before it was taken, else it begins again', async t => {
  const s = await scene()
  const large = { labels: [{ key: 'k', value: 'x'.repeat(640_000) }] }
  const tasks = ['a', 'b', 'c'].map(id => command(id, 'sleep 500', { labels: large }))
  s.master.run(AWARE, ...tasks)
  await s.reaches('c', 'TASK_RUNNING')
  s.master.takesParts = false
  s.master.say.tell('ping', { connected: false })
  await s.world.advance(3_000)
  t.ok(s.master.parts.length >= 2)
  t.ok(s.master.parts.every(({ index }) => index === 0))
  t.strictSame(s.master.reregistrations, [])
  s.master.takesParts = true
  s.master.parts.length = 0
  await s.world.until(() => s.master.reregistrations.length === 1, 'it is back', 16_000)
  const said = [...s.master.parts, s.master.reregistrations[0]!]
  t.strictSame(
    said.map(part => part.tasks.map(({ task_id }) => task_id.value)),
    [['a'], ['b'], ['c']],
  )
  t.strictSame(
    s.master.parts.map(({ index }) => index),
    [0, 1],
  )
})

t.test('while it asks, it does not answer that it is not known', async t => {
  const s = await scene()
  await s.world.advance(100)
  s.master.mode = 'silent'
  const pongs = s.master.pongs
  for (let i = 0; i < 10; i++) s.master.say.tell('ping', { connected: false })
  await s.world.advance(20)
  t.equal(s.master.pongs, pongs + 1)
})

t.test('silence and doubt make it register again', async t => {
  const s = await scene()
  const { master } = s
  master.pings = false
  master.say.tell('ping', { connected: true })
  await s.world.advance(10)
  t.equal(master.pongs, 1)
  await s.world.advance(74_000)
  t.equal(master.reregistrations.length, 0)
  await s.world.advance(2_000)
  t.equal(master.reregistrations.length, 1, 'no ping for 75 seconds')
  master.say.tell('ping', { connected: false })
  await s.world.advance(500)
  t.equal(master.reregistrations.length, 2, 'the master does not know it')
  await s.world.advance(60_000)
  t.equal(master.reregistrations.length, 2)
})

t.test('a task that was sent before the agent was disconnected is not run after it', async t => {
  const s = await scene()
  const { master } = s
  master.pings = false
  master.run(AWARE, command('running', 'sleep 10'))
  master.say.tell('ping', { connected: false })
  master.run(AWARE, command('stale', 'sleep 10'))
  master.kill(AWARE, 'stale')
  master.run(AWARE, custom('staff', 'never'))
  await s.world.settle()
  await s.world.advance(1_000)
  t.equal(s.processes.launched.length, 1)
  t.ok(master.reregistrations.length > 0)
  t.strictSame(master.states('stale'), [], 'nor does its kill say that it has ended')
  t.match(
    master.exits,
    [{ executor_id: { value: 'never' }, launched_for: { value: 'staff' } }],
    'an executor that was counted for it is given back',
  )
  master.run(AWARE, command('fresh', 'sleep 10'))
  await s.world.advance(1_000)
  t.equal(s.processes.launched.length, 2, 'it is back')
})

t.test('only the master is obeyed', async t => {
  const s = await scene()
  class Impostor extends Actor {
    override readonly serves = [
      serve(MasterAgent, {
        register_agent: () => {},
        reregister_part: () => ({ taken: true }),
        reregister_agent: () => {},
        unregister_agent: () => {},
        status_update: () => {},
        exited_executor: () => {},
        executor_message: () => {},
        pong: () => {},
      }),
    ]
    override initialize(): void {
      const agent = this.ref(AgentMaster, AGENT_PID)
      agent.tell('run_task', { framework: AWARE, task: command('evil', 'true') })
      agent.tell('shutdown', { message: 'die' })
      agent.tell('registered', {
        agent_id: { value: 'S666' },
        connection: { total_ping_timeout_seconds: 1 },
      })
    }
  }
  s.world.start('10.0.0.66:5050').spawn(new Impostor(), 'master')
  await s.world.advance(5_000)
  t.equal(s.processes.launched.length, 0)
  t.strictSame(s.shutdowns, [])
  t.equal(s.log.messages('warn').filter(m => m === 'ignored: it is not the master').length, 3)
  t.match(JSON.parse((await s.get('/state')).body), { id: 'S0' })
})

t.test(
  'a master that goes by another name than the one given is the master all the same',
  async t => {
    const s = await scene({ options: { masters: ['localhost:5050'] }, master: false })
    const { world } = s
    const master = new FakeMaster()
    new Runtime({
      address: MASTER,
      transport: world.network.transport('localhost:5050'),
      clock: world.clock,
      random: world.random,
      log: silentLogger,
    }).spawn(master, 'master')
    await world.until(() => s.log.messages('info').includes('registered with the master'), 'in')
    s.master = master
    master.run(AWARE, command('t1', 'true'))
    await s.reaches('t1', 'TASK_FINISHED')
    t.equal(master.registrations.length, 1)
  },
)

t.test('told to shut down, it ends all it runs and says so', async t => {
  const s = await scene({ program: () => ({ ignoresSigterm: true }) })
  s.master.run(AWARE, command('t1', 'x'))
  await s.reaches('t1', 'TASK_RUNNING')
  s.master.say.tell('shutdown', { message: 'Machine is `DOWN`' })
  await s.world.advance(1_000)
  t.strictSame(s.shutdowns, [])
  await s.world.advance(5_000)
  t.strictSame(s.shutdowns, ['Machine is `DOWN`'])
  t.equal(s.processes.alive, 0)
  t.notOk(s.agent.actors.includes('slave(1)'))
})

t.test('an agent that leaves for good gives its id back', async t => {
  const s = await scene()
  s.master.run(AWARE, command('t1', 'sleep 100'))
  await s.reaches('t1', 'TASK_RUNNING')
  const left = unregisterAgent(s.agent, 'asked to by its operator')
  await s.world.advance(1_000)
  await left
  t.strictSame(s.master.unregistered, ['S0'])
  t.strictSame(s.shutdowns, ['asked to by its operator'])
  t.equal(s.processes.alive, 0)
  await unregisterAgent(s.agent, 'twice')
})

t.test('a refusal may be the first word of a master that goes by another name', async t => {
  const s = await scene({ options: { masters: ['localhost:5050'] }, master: false })
  const { world } = s
  const master = new FakeMaster()
  master.mode = 'silent'
  new Runtime({
    address: MASTER,
    transport: world.network.transport('localhost:5050'),
    clock: world.clock,
    random: world.random,
    log: silentLogger,
  }).spawn(master, 'master')
  await world.until(() => master.registrations.length > 0, 'it asks')
  master.say.tell('shutdown', { message: 'too many attributes' })
  await world.advance(100)
  t.strictSame(s.shutdowns, ['too many attributes'])
})

t.test('an agent that is refused before it registered ends as well', async t => {
  const s = await scene({ master: false })
  const master = s.startMaster()
  master.mode = 'silent'
  await s.world.until(() => master.registrations.length > 0, 'it asks')
  master.say.tell('shutdown', { message: 'no' })
  await s.world.advance(100)
  t.strictSame(s.shutdowns, ['no'])
})
