// An actor's record, fed to a fresh one: it does the same, or the replay says where it does not.

import t from 'tap'
import * as v from 'valibot'
import { Actor } from '../../src/actors/actor.ts'
import type { Timer } from '../../src/actors/clock.ts'
import type { ExitReason } from '../../src/actors/mailbox.ts'
import { type Pid, pid } from '../../src/actors/pid.ts'
import { call, cast, protocol, serve } from '../../src/actors/protocol.ts'
import { parseRecording, Recorder } from '../../src/actors/recorder.ts'
import { silentLogger } from '../../src/base/log.ts'
import { leadsAlone } from '../../src/master/leadership.ts'
import { Master } from '../../src/master/master.ts'
import { Registrar, type RegistrarOptions } from '../../src/master/registrar.ts'
import { replicatedLog } from '../../src/master/registry-log.ts'
import { LogService } from '../../src/log/log.ts'
import type { MasterInfo } from '../../src/messages/agent.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { replay } from '../../src/sim/replay.ts'
import { World } from '../../src/sim/world.ts'
import { decode } from '../../src/actors/codec.ts'
import { Cluster, configOf, MASTER, request, task } from '../master/cluster.ts'

const Text = v.object({ text: v.string() })
const Work = protocol('test.work', {
  do: cast(Text),
  ask: call(Text, Text),
  pass: call(Text, Text),
})

const A = '10.0.0.1:1'
const B = '10.0.0.2:1'
const FRIEND = pid('friend', B)

class Friend extends Actor {
  readonly serves = [
    serve(Work, {
      do: ({ text }) => {
        if (text === 'die') this.terminate()
      },
      ask: ({ text }) => {
        if (text === 'fail') throw new Error('no')
        return { text: `${text}!` }
      },
      pass: body => body,
    }),
  ]
}

interface Mood {
  /** What it does when it is told to be itself. */
  readonly quirk?: (self: Worker) => unknown
  readonly disk?: () => Promise<unknown>
}

/** Does everything that an actor can do. */
class Worker extends Actor {
  override readonly idPrefix = 'worker'
  readonly #mood: Mood
  external = (_status: number, _bytes: Uint8Array): void => {}

  readonly serves = [
    serve(Work, {
      do: ({ text }) => this.#do(text),
      ask: async ({ text }) => {
        const friend = this.ref(Work, FRIEND)
        const both = [friend.ask('ask', { text }), friend.ask('pass', { text })]
        const [one, two] = await Promise.all(both)
        await this.sleep(5)
        return { text: `${one!.text}${two!.text}` }
      },
      pass: (body, _from, envelope) => this.ref(Work, FRIEND).forward(envelope, 'pass', body),
    }),
  ]

  constructor(mood: Mood = {}) {
    super()
    this.#mood = mood
  }

  protected override initialize(): void {
    this.link(FRIEND)
    this.link(pid('nobody', B))
    this.unlink(pid('nobody', B))
    this.route('/here', 'Here.', async ({ query, body }) => {
      await this.sleep(1)
      return { status: 200, body: `${query.get('q')} ${body.length}` }
    })
    this.route('/stream', 'A stream.', () => {
      const stream = this.stream({ onClosed: why => this.say(`reader ${why}`) })
      stream.write('x')
      return { status: 200, stream }
    })
    this.external = this.defer((status, bytes) => {
      this.say(`external ${status} ${bytes.length}`)
    })
  }

  draw(): number {
    return this.random.next()
  }

  look(): number {
    return this.clock.now()
  }

  override delay(ms: number, run: () => unknown): Timer {
    return super.delay(ms, run)
  }

  say(text: string): void {
    this.ref(Work, FRIEND).tell('do', { text })
  }

  async #do(text: string): Promise<void> {
    switch (text) {
      case 'look': {
        const { random } = this
        const drawn = [
          random.next(),
          random.integer(6),
          random.bytes(3).join(),
          random.uuid(),
          random.shuffle(['a', 'b', 'c']).join(),
        ]
        return this.say(`${this.clock.now()} ${drawn.join(' ')} ${this.context.waiting('message')}`)
      }
      case 'spawn': {
        const child = this.spawn(new Friend())
        this.terminate(child)
        return this.say(`${child} ${await this.waitFor(child)} ${await this.waitFor(child)}`)
      }
      case 'time': {
        this.delay(10, () => this.say('10 ms'))
        this.delay(20, () => this.say('never')).cancel()
        this.dispatch(() => this.say('at once'))
        return
      }
      case 'disk':
        return this.say(String(await this.resume(this.#mood.disk?.() ?? Promise.resolve(7))))
      case 'ask in vain':
        try {
          await this.ref(Work, pid('nobody', B)).ask('ask', { text }, { timeoutMs: 50 })
        } catch (error) {
          this.say(String((error as { code?: string }).code))
        }
        return
      case 'many':
        return this.refs(Work, [FRIEND, pid('witness', B)]).tell('do', { text })
      case 'die':
        return this.say(text)
      case 'fail':
        throw new Error('as it was told')
      case 'quirk':
        await this.#mood.quirk?.(this)
        return
      default:
        this.say(`heard ${text}`)
    }
  }

  protected override exited(gone: Pid, why: ExitReason): void {
    this.ref(Work, pid('witness', B)).tell('do', { text: `${gone} ${why}` })
  }

  protected override finalize(): void {
    this.say('farewell')
  }
}

/** Runs a worker through these texts, one every 100 ms; `ask`, `pass` and `http` are asked. */
async function recorded(
  texts: readonly string[],
  mood: Mood = {},
  record = new Recorder(),
): Promise<Uint8Array> {
  const world = new World({ log: silentLogger })
  const runtime = world.start(A)
  const outside = world.start(B)
  outside.spawn(new Friend(), 'friend')
  const worker = new Worker(mood)
  const self = runtime.spawn(worker, 'worker', { record })
  const ref = outside.ref(Work, self)
  for (const text of texts) {
    if (text === 'ask' || text === 'pass') ref.ask(text, { text }).catch(() => {})
    else if (text === 'http') void runtime.http(request('/worker/here?q=x'))
    else if (text === 'stream') {
      const { stream } = await served(world, runtime.http(request('/worker/stream')))
      await stream![Symbol.asyncIterator]().return!()
    } else if (text === 'external') worker.external(3, new Uint8Array(2))
    else if (text === 'end') runtime.terminate(self)
    else ref.tell('do', { text })
    await world.advance(100)
  }
  await world.stop()
  return record.toBytes()
}

async function served<T>(world: World, promise: Promise<T>): Promise<T> {
  await world.settle()
  return promise
}

const ALL = [
  'hello',
  'look',
  'spawn',
  'time',
  'disk',
  'ask in vain',
  'ask',
  'pass',
  'http',
  'stream',
  'external',
  'many',
  'die',
  'quirk',
]

const events = (record: Uint8Array): readonly string[] =>
  parseRecording(record).events.map(({ input }) => input.on)

t.test('an actor that does all that actors do is replayed to the end', async t => {
  const record = await recorded(ALL)
  const { self, actor, truncated } = parseRecording(record)
  t.strictSame([self, actor, truncated], [`worker@${A}`, 'Worker', false])
  t.strictSame([...new Set(events(record))].toSorted(), [
    'ask',
    'call',
    'closed',
    'deferred',
    'exited',
    'finalize',
    'http',
    'initialize',
    'message',
    'reject',
    'resume',
    'timer',
  ])
  const { length } = events(record)
  t.strictSame(await replay(record, new Worker()), { events: length, truncated: false })
})

t.test('a failure is replayed too', async t => {
  for (const [texts, mood] of [
    [['hello', 'fail'], {}],
    [['disk'], { disk: () => Promise.reject(new Error('no space left')) }],
    [['quirk'], { quirk: (self: Worker) => self.delay(5, boom) }],
  ] as const) {
    const record = await recorded(texts, mood)
    const { outputs } = parseRecording(record).events.at(-2)!
    t.match(outputs.at(-1), { did: 'fail' })
    const fresh = { ...mood, disk: () => Promise.resolve('a disk that works is not looked at') }
    const { departure } = await replay(record, new Worker(fresh))
    t.equal(departure, undefined)
  }
})

const boom = (): never => {
  throw new Error('boom')
}

t.test('what a changed actor does otherwise is caught, at its event', async t => {
  const quirk = (run?: (self: Worker) => unknown): Mood => (run ? { quirk: run } : {})
  const told = (text: string) => (self: Worker) => self.say(text)
  for (const [was, is, expected] of [
    [told('a'), told('b'), { recorded: /"text":"a"/, actual: /"text":"b"/ }],
    [told('a'), undefined, { recorded: /"text":"a"/, actual: 'nothing' }],
    [undefined, told('b'), { recorded: 'nothing', actual: /"text":"b"/ }],
    [undefined, boom, { recorded: 'nothing', actual: /"did":"fail".*boom/ }],
    [boom, undefined, { recorded: /"did":"fail".*boom/, actual: 'nothing' }],
    [undefined, (self: Worker) => self.draw(), { recorded: 'nothing', actual: /one more 'draw'/ }],
    [
      (self: Worker) => self.delay(10, () => {}),
      (self: Worker) => self.delay(11, () => {}),
      { recorded: /"ms":10/, actual: /"ms":11/ },
    ],
  ] as const) {
    const record = await recorded(['hello', 'quirk', 'hello'], quirk(was))
    const { departure, events: fed } = await replay(record, new Worker(quirk(is)))
    t.match(departure, { event: 2, input: /"text":"quirk"/, ...expected })
    t.equal(fed, 3, 'and there it ends')
  }
})

t.test('an actor that only reads the clock more or less often is the same', async t => {
  const record = await recorded(['quirk', 'look'], { quirk: self => self.look() })
  t.equal((await replay(record, new Worker())).departure, undefined)
  const other = new Worker({ quirk: self => [self.look(), self.look()] })
  t.equal((await replay(record, other)).departure, undefined)
})

t.test('an actor that does not serve or ask for what is on record departs', async t => {
  class Mute extends Worker {
    override readonly serves = [] as never
  }
  const { departure } = await replay(await recorded(['hello']), new Mute())
  t.match(departure, { input: /"on":"message"/, actual: 'does not serve test.work/do' })

  const record = await recorded(['quirk'], { quirk: self => self.delay(5, () => {}) })
  const deaf = await replay(record, new Worker())
  t.match(deaf.departure, { input: /"text":"quirk"/, recorded: /"did":"delay"/, actual: 'nothing' })
})

t.test('what is more than data is marked, and ends a replay where it stands', async t => {
  const mood = { disk: async () => new Map([['a', 1]]) }
  const { departure } = await replay(await recorded(['hello', 'disk'], mood), new Worker(mood))
  t.match(departure, {
    input: '{"on":"resume","op":1,"value":{"lost":"a Map is more than data"}}',
    actual: 'cannot be served this: it could not be recorded: a Map is more than data',
  })
  for (const value of [10n ** 30n, boom, [new Date(0)], { a: { b: new Set() } }]) {
    const odd = { disk: async () => value }
    t.match((await replay(await recorded(['disk'], odd), new Worker(odd))).departure, {
      actual: /cannot be served this/,
    })
  }
  for (const value of [undefined, null, -0, 'x', [1, { a: undefined }], new Uint8Array(2)]) {
    const plain = { disk: async () => value }
    t.equal((await replay(await recorded(['disk'], plain), new Worker())).departure, undefined)
  }
})

t.test('a record that grows too large keeps its beginning, and says so', async t => {
  const record = await recorded(ALL, {}, new Recorder({ maxBytes: 1_500 }))
  const whole = events(await recorded(ALL))
  const kept = events(record)
  t.ok(record.length < 2_000)
  t.strictSame(kept, whole.slice(0, kept.length))
  t.ok(kept.length > 3 && kept.length < whole.length)
  t.strictSame(await replay(record, new Worker()), { events: kept.length, truncated: true })
})

t.test('what is no record is refused', async t => {
  for (const bytes of [new Uint8Array([0x80]), new Uint8Array([0xc1])]) {
    await t.rejects(replay(bytes, new Worker()))
  }
})

t.test('a recorded run is the same as one that is not', async t => {
  const run = async (record: boolean): Promise<unknown> => {
    const c = await Cluster.start(record ? { record: () => new Recorder() } : {})
    await busy(c)
    return c.log.records.map(({ message, fields }) => [message, JSON.stringify(fields)])
  }
  t.strictSame(await run(true), await run(false))
})

/** Agents, frameworks and tasks come and go; the master's page is looked at. */
async function busy(c: Cluster): Promise<void> {
  const agent = await c.registered()
  const scheduler = await c.subscribed()
  for (const id of ['t1', 't2', 't3']) await c.running(scheduler, agent, id)
  agent.update('t1', 'TASK_FINISHED')
  scheduler.say({ type: 'KILL', kill: { task_id: { value: 't2' } } })
  await c.settle()
  agent.update('t2', 'TASK_KILLED')
  const lost = await c.registered()
  lost.answersPings = false
  await c.world.advance(120_000)
  const offer = await c.revived(scheduler)
  scheduler.accept([offer], [task('t4', offer)], 0)
  await c.settle()
  await c.json('/state')
  await c.json('/slaves')
  scheduler.say({ type: 'TEARDOWN' })
  await c.settle()
}

/** The records of a master and its registrar. */
async function recordedMaster(): Promise<Record<'master' | 'registrar(1)', Uint8Array>> {
  const recorders = { master: new Recorder(), 'registrar(1)': new Recorder() }
  const record = (id: string) => recorders[id as keyof typeof recorders]
  const c = await Cluster.start({ disk: new MemoryDisk(), record })
  await busy(c)
  return {
    master: recorders.master.toBytes(),
    'registrar(1)': recorders['registrar(1)'].toBytes(),
  }
}

const REGISTRAR: RegistrarOptions = {
  makeLog: ref => replicatedLog(ref(LogService, pid('log(1)', MASTER))),
  logPid: pid('log(1)', MASTER),
  fetchTimeoutMs: 60_000,
  storeTimeoutMs: 20_000,
}

t.test('the registrar of a master at work is replayed, and a changed one is caught', async t => {
  const record = (await recordedMaster())['registrar(1)']
  const { length } = events(record)
  t.ok(length > 15, `${length} events`)
  t.strictSame(await replay(record, new Registrar(REGISTRAR)), { events: length, truncated: false })

  const slower = new Registrar({ ...REGISTRAR, storeTimeoutMs: 21_000 })
  const { departure } = await replay(record, slower)
  const first = parseRecording(record).events.findIndex(({ outputs }) =>
    outputs.some(output => output.did === 'delay' && output.ms === 20_000),
  )
  t.match(departure, { event: first, recorded: /"ms":20000/, actual: /"ms":21000/ })

  const idle = new Registrar({ ...REGISTRAR, logPid: undefined })
  t.match((await replay(record, idle)).departure, { event: 0, recorded: /"did":"link"/ })
})

t.test('a master with its allocator is replayed, and a changed one is caught', async t => {
  const record = (await recordedMaster()).master
  const { events: all } = parseRecording(record)
  t.ok(all.length > 60, `${all.length} events`)
  const info = masterInfo(record)
  const registrar = pid('registrar(1)', MASTER)
  const leadership = leadsAlone(info)
  const same = new Master({ config: configOf(), info, registrar, leadership })
  t.strictSame(await replay(record, same), { events: all.length, truncated: false })

  const config = { ...configOf(), agentPingTimeoutMs: 14_000 }
  const changed = new Master({ config, info, registrar, leadership })
  const { departure } = await replay(record, changed)
  // It says so at once, in its answer to the first agent: five pings.
  t.match(departure, {
    recorded: /"did":"tell".*"total_ping_timeout_seconds":75\b/,
    actual: /"did":"tell".*"total_ping_timeout_seconds":70\b/,
  })
  t.match(
    all[departure!.event]?.outputs.find(o => o.did === 'tell'),
    { name: 'agent.master/registered' },
  )
})

/** What the master said of itself; its id is drawn before it starts. */
function masterInfo(record: Uint8Array): MasterInfo {
  for (const { outputs } of parseRecording(record).events) {
    for (const output of outputs) {
      if (output.did !== 'ask') continue
      return (decode(output.body as Uint8Array) as { master: MasterInfo }).master
    }
  }
  throw new Error('it never asked its registrar')
}
