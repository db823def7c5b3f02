// Connections between processes: one for each pair, whoever dials; what is lost with one, and what is not.

import fc from 'fast-check'
import t from 'tap'
import { memberAuthenticator } from '../../src/actors/shared-secret.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { DEFAULT_LIMITS } from '../../src/actors/limits.ts'
import { decodeFrames, encode } from '../../src/actors/codec.ts'
import { FRAME } from '../../src/actors/frames.ts'
import { pid } from '../../src/actors/pid.ts'
import { bare } from './bare.ts'
import { A, B, C, Chat, outcome, Probe, type Stage, stage, withStage } from './probe.ts'

const NAT = 'nat-1:0'

/** Times of which none is a multiple of another's, so that nothing happens by coincidence of timers. */
const LATENCY = { latencyMs: [1, 20] as const }

t.test('a process that cannot be dialled is reached by its own connection', async t => {
  await withStage(t, async ({ world, probe }) => {
    const inside = probe(NAT)
    const heard: string[] = []
    const outside = probe(A, {
      note: async (self, text, from) => {
        self.link(from)
        self.chat(from).tell('note', { text: `${text} too` })
        heard.push((await self.chat(from).ask('echo', { text: 'hello?' })).text)
      },
      exited: (_, who) => void heard.push(`exited ${who}`),
    })
    inside.probe.chat(outside.pid).tell('note', { text: 'hello' })
    await world.advance(100)
    t.strictSame([heard, inside.probe.heard], [['hello?'], ['hello too']])
    t.equal(world.network.connections, 1)

    world.crash(NAT)
    await world.advance(100)
    t.strictSame(heard, ['hello?', `exited ${inside.pid}`])
    const asked = outcome(outside.probe.chat(inside.pid).ask('echo', { text: 'still there?' }))
    await world.advance(100)
    t.equal(await asked, 'DISCONNECTED', 'there is no other way to it')
  })
})

t.test('both dial at once: one connection, nothing lost, nothing out of order', async t => {
  const choice = fc.record({
    seed: fc.integer({ min: 0, max: 0xffff_ffff }),
    // When each side says something, and by which name of the other.
    said: fc.array(
      fc.record({ by: fc.constantFrom('a', 'b'), atMs: fc.nat(60), alias: fc.boolean() }),
      { minLength: 1, maxLength: 12 },
    ),
    aliasOf: fc.constantFrom(A, B),
  })
  await fc.assert(
    fc.asyncProperty(choice, async ({ seed, said, aliasOf }) => {
      const { world, probe } = stage({ ...LATENCY, seed })
      world.network.alias('localhost:1', aliasOf)
      const a = probe(A)
      const b = probe(B)
      await world.settle()
      const answers: string[] = []
      const expected: Record<string, string[]> = { a: [], b: [] }
      for (const [i, { by, atMs, alias }] of said.entries()) {
        const [from, to] = by === 'a' ? [a, b] : [b, a]
        const address = alias && to.pid.endsWith(aliasOf) ? 'localhost:1' : undefined
        const target = address ? pid('probe(1)', address) : to.pid
        // Order is promised for each pair of addresses.
        const text = `${address ?? 'plain'} ${i}`
        from.probe.delay(atMs, () => {
          from.probe.link(target)
          from.probe.chat(target).tell('note', { text })
          from.probe
            .chat(target)
            .ask('echo', { text })
            .then(answer => answers.push(answer.text), String)
          expected[by === 'a' ? 'b' : 'a']!.push(text)
        })
      }
      await world.advance(9_000)
      const byName = (texts: readonly string[]) => texts.toSorted((x, y) => key(x) - key(y))
      const key = (text: string) => (text.startsWith('plain') ? 0 : 1)
      t.strictSame(byName(a.probe.heard), byName(expected['a']!), `what a heard, seed ${seed}`)
      t.strictSame(byName(b.probe.heard), byName(expected['b']!), `what b heard, seed ${seed}`)
      t.equal(answers.length, said.length, `every question is answered, seed ${seed}`)
      t.equal(world.network.connections, 1, `one connection, seed ${seed}`)
      await world.stop()
      t.strictSame(world.leftovers(), [])
    }),
    { numRuns: 300 },
  )
})

t.test('nobody passes for this very process, not even itself by another name', async t => {
  await withStage(t, async ({ world, probe }) => {
    world.network.alias('localhost:5051', A)
    const listener = probe(A)
    const target = pid('probe(1)', 'localhost:5051')
    const speaker = probe(A, { initialize: self => self.link(target) })
    const asked = outcome(speaker.probe.chat(target).ask('echo', { text: 'myself' }))
    await world.advance(100)
    t.equal(await asked, 'DISCONNECTED')
    t.strictSame([listener.probe.heard, speaker.probe.heard], [[], [`exited ${target}`]])
  })
})

t.test('a crash breaks links, both ways; a new start is a new process', async t => {
  await withStage(
    t,
    async ({ world, probe, restart }) => {
      const one = probe(A, {}, 'one')
      const two = probe(B, { initialize: self => self.link(one.pid) }, 'two')
      await world.advance(100)
      one.probe.link(two.pid)
      await world.advance(100)
      restart(B)
      const again = probe(B, { initialize: self => self.link(one.pid) }, 'two')
      await world.advance(100)
      t.strictSame(one.probe.heard, [`exited ${two.pid}`])
      one.probe.chat(two.pid).tell('note', { text: 'welcome' })
      await world.advance(100)
      t.strictSame(again.probe.heard, ['welcome'])
      t.equal(world.network.connections, 1)
    },
    LATENCY,
  )
})

t.test('a restarted process replaces the connection that its peer holds for alive', async t => {
  await withStage(
    t,
    async ({ world, probe, restart }) => {
      const one = probe(A, {}, 'one')
      const two = probe(B, {}, 'two')
      one.probe.link(two.pid)
      await world.advance(100)
      // The reset meets a cut link: nobody tells A.
      world.network.partition([A], [B])
      restart(B)
      await world.advance(100)
      world.network.heal()
      t.strictSame(one.probe.heard, [])
      const again = probe(B, {}, 'two')
      again.probe.chat(one.pid).tell('note', { text: 'I am new' })
      await world.advance(100)
      t.strictSame(one.probe.heard, [`exited ${two.pid}`, 'I am new'])
      one.probe.chat(two.pid).tell('note', { text: 'welcome' })
      await world.advance(100)
      t.strictSame(again.probe.heard, ['welcome'])
    },
    LATENCY,
  )
})

t.test('silence ends a connection on both sides; after healing a new one works', async t => {
  await withStage(
    t,
    async ({ world, probe }) => {
      const one = probe(A, {}, 'one')
      const two = probe(B, { initialize: self => self.link(one.pid) }, 'two')
      one.probe.link(two.pid)
      await world.advance(60_000)
      t.strictSame([one.probe.heard, two.probe.heard], [[], []], 'an idle connection is kept')
      world.network.partition([A], [B])
      const asked = outcome(one.probe.chat(two.pid).ask('echo', { text: 'lost' }))
      await world.advance(9_000)
      t.strictSame([one.probe.heard, two.probe.heard], [[], []], 'a short silence means nothing')
      await world.advance(7_000)
      t.strictSame(one.probe.heard.splice(0), [`exited ${two.pid}`])
      t.strictSame(two.probe.heard.splice(0), [`exited ${one.pid}`])
      t.equal(await asked, 'DISCONNECTED')

      one.probe.link(two.pid)
      one.probe.chat(two.pid).tell('note', { text: 'into the void' })
      await world.advance(11_000)
      t.strictSame(one.probe.heard.splice(0), [`exited ${two.pid}`], 'nor can it be dialled')

      world.network.heal()
      one.probe.chat(two.pid).tell('note', { text: 'again' })
      two.probe.chat(one.pid).tell('note', { text: 'and back' })
      await world.advance(1_000)
      t.strictSame([one.probe.heard, two.probe.heard], [['and back'], ['again']])
      t.equal(world.network.connections, 1)
    },
    LATENCY,
  )
})

t.test('one side redials while the other still believes in the old connection', async t => {
  await withStage(
    t,
    async ({ world, probe }) => {
      const one = probe(A, {}, 'one')
      const two = probe(B, {}, 'two')
      two.probe.link(one.pid)
      await world.advance(100)
      // What A sends is lost from now on, and its side of the connection ends: B does not hear of that.
      world.network.partition([A], [B])
      await world.advance(10_000)
      one.probe.chat(two.pid).tell('note', { text: 'lost in the cut link' })
      world.network.cutOff(A)
      await world.advance(100)
      t.strictSame(two.probe.heard, [], 'B noticed nothing')
      world.network.heal()
      one.probe.chat(two.pid).tell('note', { text: 'on a new connection' })
      await world.advance(100)
      t.strictSame(two.probe.heard, [`exited ${one.pid}`, 'on a new connection'])
      t.equal(world.network.connections, 1)
    },
    LATENCY,
  )
})

t.test('partitions, crashes and restarts at random: it always comes back', async t => {
  const step = fc.record({
    what: fc.constantFrom('say', 'say', 'say', 'partition', 'one way', 'heal', 'restart', 'wait'),
    who: fc.constantFrom(0, 1, 2),
    whom: fc.constantFrom(0, 1, 2),
    ms: fc.nat(12_000),
  })
  type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
  const hosts = [A, B, C]
  const run = async (seed: number, steps: readonly Step[]) => {
    const s: Stage = stage({ ...LATENCY, seed })
    const { world } = s
    const probes = hosts.map(host => s.probe(host).probe)
    const say = (who: number, whom: number, text: string) => {
      probes[who]!.link(pid('probe(1)', hosts[whom]!))
      probes[who]!.chat(pid('probe(1)', hosts[whom]!)).tell('note', { text })
    }
    await world.settle()
    for (const [i, { what, who, whom, ms }] of steps.entries()) {
      const others = hosts.filter((_, host) => host !== who)
      if (what === 'say') say(who, whom, `step ${i}`)
      else if (what === 'partition') world.network.partition([hosts[who]!], others)
      else if (what === 'one way') world.network.partition([hosts[who]!], others, { oneWay: true })
      else if (what === 'heal') world.network.heal()
      else if (what === 'restart') {
        s.restart(hosts[who]!)
        probes[who] = s.probe(hosts[who]!).probe
      }
      await world.advance(what === 'wait' ? ms : ms / 100)
    }
    world.network.heal()
    await world.advance(40_000)
    for (const probe of probes) probe.heard.length = 0
    for (const who of [0, 1, 2]) for (const whom of [0, 1, 2]) say(who, whom, `${who}`)
    await world.advance(1_000)
    return { world, heard: probes.map(probe => probe.heard.toSorted().join(' ')) }
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 25 }), async (seed, steps) => {
      const { world, heard } = await run(seed, steps)
      t.strictSame(heard, ['0 1 2', '0 1 2', '0 1 2'], `seed ${seed}`)
      t.equal(world.network.connections, 3)
      await world.stop()
      t.strictSame(world.leftovers(), [])
    }),
    { numRuns: 100 },
  )
})

t.test('what one turn says to one process is one message', async t => {
  await withStage(t, async ({ world, probe }) => {
    const far = probe(B)
    let messages = 0
    const rule = world.network.drop(passing => {
      if (passing.from === A) messages++
      return false
    })
    const { probe: speaker } = probe(A, {
      note: self => {
        for (let i = 0; i < 100; i++) self.chat(far.pid).tell('note', { text: `${i}` })
      },
    })
    speaker.chat(far.pid).tell('note', { text: 'first contact' })
    await world.advance(100)
    rule.stop()
    // Each frame of a message is shown to the rules; messages are counted at the other end's socket instead.
    t.equal(messages, 2, 'the greeting and the first message')
    const sizes: number[] = []
    const sent = world.network.drop(() => {
      sizes.push(world.clock.now())
      return false
    })
    speaker.chat(speaker.self).tell('note', { text: 'go' })
    await world.advance(100)
    sent.stop()
    t.equal(sizes.length, 100)
    t.equal(new Set(sizes).size, 1)
    t.equal(far.probe.heard.length, 101)
  })
})

t.test('two names of one actor are two links', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    world.network.alias('localhost:1', B)
    const far = probe(B, {}, 'far')
    const { probe: near } = probe(A)
    near.chat(far.pid).tell('note', { text: 'connect' })
    await world.advance(100)
    near.link(far.pid)
    near.link(pid('far', 'localhost:1'))
    await world.advance(100)
    near.unlink(far.pid)
    await world.advance(100)
    runtime(B).terminate(far.pid)
    await world.advance(100)
    t.strictSame(near.heard, ['exited far@localhost:1'])
  })
})

t.test('a greeting that waits for our dial serves when the dial fails', async t => {
  const { world, runtime, connect, open } = bare({}, C)
  const probe = new Probe()
  runtime.spawn(probe, 'x')
  probe.link(pid('far', B))
  await world.settle()
  const ours = open()
  await world.settle()
  const theirs = connect()
  theirs.greet()
  await world.settle()
  t.strictSame([ours.got.sent.length, theirs.got.sent.length], [1, 0], 'one greeting, no answer')
  ours.events.closed('reset')
  await world.settle()
  t.strictSame([theirs.got.sent.length, theirs.got.closed], [2, ''], 'the answer, and the link')
  t.strictSame(probe.heard, [])
  theirs.events.closed('reset')
  await world.settle()
  t.strictSame(probe.heard, [`exited far@${B}`])
  t.equal(world.clock.pending, 1, 'the ping, for the last time')
})

t.test(
  'where proofs are asked for, nobody is sent to another address that was not dialled',
  async t => {
    const random = new SeededRandom(3)
    const secret = 'a secret of thirty-two characters'
    const authenticator = memberAuthenticator(secret, count => random.bytes(count))
    const { world, runtime, open, log } = bare({}, A, authenticator)
    const probe = new Probe()
    runtime.spawn(probe, 'x')
    probe.link(pid('far', B))
    await world.settle()
    const ours = open()
    await world.settle()
    ours.events.closed(`duplicate of ${C}`)
    await world.settle()
    t.strictSame(probe.heard, [`exited far@${B}`])
    t.match(log.records.at(-1), { fields: { reason: /which was not dialled/ } })
  },
)

t.test('a process without a port greets just when it is written to', async t => {
  const { world, runtime, connect } = bare()
  runtime.ref(Chat, pid('x', NAT)).tell('note', { text: 'are you there?' })
  const { greet, got } = connect()
  greet(NAT)
  await world.settle()
  t.strictSame([got.sent.length, got.closed], [2, ''])
})

t.test('who does not greet properly is cut off', async t => {
  const { world, log, connect, hello } = bare()
  const cases: [string, unknown[] | Uint8Array, RegExp][] = [
    ['another frame first', [[FRAME.ping]], /did not greet first/],
    ['another version', [[FRAME.hello, { ...hello(B), version: 1 }]], /version 1 is not ours, 2/],
    ['our own address', [[FRAME.hello, hello(A)]], /this very process/],
    ['no msgpack', new Uint8Array([0xc1]), /malformed/],
    ['no list', encode({ hello: 'world' }), /malformed/],
    ['a bad address', [[FRAME.hello, hello('http://x/')], [FRAME.ping]], /did not greet first/],
    ['no address', [[FRAME.hello, {}], [FRAME.ping]], /did not greet first/],
  ]
  for (const [name, message, expected] of cases) {
    const { events, got, send } = connect()
    if (message instanceof Uint8Array) events.message(message)
    else send(...message)
    t.match(got.closed, expected, name)
    t.strictSame(got.sent, [], `${name}: no answer`)
  }
  const silent = connect()
  const nonsense = connect()
  nonsense.send(['no frame'])
  await world.advance(9_000)
  t.equal(silent.got.closed, '')
  await world.advance(2_000)
  t.strictSame([silent.got.closed, nonsense.got.closed], Array(2).fill('no greeting in time'))
  await world.advance(DEFAULT_LIMITS.pingIntervalMs)
  t.equal(world.clock.pending, 0, 'and no timer is left of them')

  const said = log.messages('warn').length
  for (let i = 0; i < 500; i++) connect().events.message(new Uint8Array([0xc1]))
  t.equal(log.messages('warn').length, said, 'no more lines for the same')
  for (let i = 0; i < 500; i++) {
    const { greet, send } = connect()
    greet(`10.1.1.${i}:1`)
    send([99])
  }
  t.ok(log.messages('warn').length <= 50, 'and an end of lines, however many there are')
  await world.advance(60_000)
  connect().events.message(new Uint8Array([0xc1]))
  t.match(log.records.findLast(record => record.level === 'warn')?.fields, {
    peer: '192.0.2.1',
    suppressed: Number,
  })
})

t.test('one wrong frame does not spoil its message', async t => {
  const { world, runtime, log, connect } = bare()
  const probe = new Probe()
  runtime.spawn(probe, 'x')
  const { greet, send, got, events } = connect()
  greet()
  const note = (text: unknown) => [FRAME.tell, 'x', 'y', 'test.chat/note', { text }]
  send(note('one'), [99, 'from the future'], note(7), note('two'), [FRAME.tell, 'x'], 'x')
  send([FRAME.tell, 'nobody', 'y', 'test.chat/note', {}], [FRAME.reply, 77, 'to no question'])
  send([FRAME.tell, 'x', 'y', 'test.chat/unknown', {}], [FRAME.fail, 77, 'OH', 'no'])
  send(note('three'), [FRAME.unlink, 'z'], [FRAME.exited, 'z', 'ended'], [FRAME.pong])
  await world.settle()
  t.strictSame(probe.heard, ['one', 'two', 'three'])
  t.strictSame(runtime.dropped, { malformed: 4, oversized: 0, unknown: 2 })
  t.equal(got.closed, '', 'the connection stays')
  t.equal(log.messages('warn').length, 3, 'one line for each sort')
  events.message(new Uint8Array([0x92, 0x00]))
  t.equal(got.closed, 'malformed message', 'unless nobody knows what was in it')
})

t.test('a message too large to travel is dropped alone', async t => {
  const { world, runtime, log, connect } = bare({ maxMessageBytes: 10_000 })
  const probe = new Probe()
  runtime.spawn(probe, 'x')
  const { greet, send, got } = connect()
  greet()
  const far = pid('far', B)
  probe.link(far)
  const text = 'x'.repeat(10_000)
  probe.chat(far).tell('note', { text })
  probe.chat(far).tell('note', { text: 'small' })
  probe.many([far]).tell('note', { text })
  const refused = probe.chat(far).ask('echo', { text })
  await world.settle()
  await t.rejects(refused, { code: 'REFUSED', message: /larger than/ })
  send([FRAME.ask, 'x', 'far', 'test.chat/echo', { text: text }, 7])
  await world.settle()
  const said = got.sent.flatMap(bytes => decodeFrames(bytes) as unknown[][])
  t.strictSame(
    said.map(frame => frame.slice(0, 2)),
    [
      [FRAME.hello, said[0]?.[1]],
      [FRAME.link, 'far'],
      [FRAME.tell, 'far'],
      [FRAME.fail, 7],
    ],
  )
  t.equal(got.closed, '', 'the connection stays, and what else travels on it')
  t.strictSame(probe.heard, [])
  t.equal(runtime.dropped.oversized, 4)
  t.match(log.messages('warn'), ['message larger than 10000B, dropped'])
})

t.test('queues have a limit', async t => {
  const limits = { maxMessageBytes: 10_000, maxQueuedBytes: 100_000 }
  const text = 'x'.repeat(1_000)
  const setUp = () => {
    const made = bare(limits)
    const probe = new Probe()
    made.runtime.spawn(probe, 'x')
    const buffered = { bytes: 0 }
    const connection = made.connect(buffered)
    connection.greet()
    probe.link(pid('far', B))
    const tell = (count: number, what = text) => {
      for (let i = 0; i < count; i++) probe.chat(pid('far', B)).tell('note', { text: what })
    }
    return { ...made, ...connection, probe, tell, buffered }
  }

  const many = setUp()
  await many.world.settle()
  many.got.sent.length = 0
  many.tell(50)
  await many.world.settle()
  t.equal(many.got.sent.length, 6, 'more than one message holds are several messages')
  t.ok(many.got.sent.every(bytes => bytes.length <= limits.maxMessageBytes))
  t.equal(many.got.closed, '')

  const full = setUp()
  full.buffered.bytes = 50_000
  full.tell(30)
  await full.world.settle()
  t.equal(full.got.closed, '')
  full.buffered.bytes = 90_000
  full.tell(30)
  await full.world.settle()
  t.equal(full.got.closed, 'queue full', 'a peer that does not read is cut off')
  t.strictSame(full.probe.heard, [`exited far@${B}`])

  const waiting = setUp()
  waiting.probe.link(pid('far', C))
  await waiting.world.settle()
  for (let i = 0; i < 200; i++) waiting.probe.chat(pid('far', C)).tell('note', { text })
  await waiting.world.settle()
  t.strictSame(waiting.probe.heard, [`exited far@${C}`], 'nor is more held for one that is dialled')
})

t.test('who does not read is left alone for a while, unless it comes back by itself', async t => {
  const limits = { maxQueuedBytes: 100_000, greetingLimitMs: 10_000 }
  const { world, runtime, connect, dialled } = bare(limits)
  const probe = new Probe()
  runtime.spawn(probe, 'x')
  const far = pid('far', B)
  const buffered = { bytes: 90_000 }
  const stuck = connect(buffered)
  stuck.greet()
  const text = 'x'.repeat(20_000)
  probe.chat(far).tell('note', { text })
  await world.settle()
  t.equal(stuck.got.closed, 'queue full')
  stuck.events.closed('gone')

  probe.chat(far).tell('note', { text })
  const asked = outcome(probe.chat(far).ask('echo', { text }))
  await world.settle()
  t.equal(await asked, 'DISCONNECTED')
  t.equal(dialled.length, 0, 'nothing is held for it')

  const again = connect()
  again.greet()
  probe.chat(far).tell('note', { text })
  await world.settle()
  t.ok(
    again.got.sent.some(bytes => bytes.length > text.length),
    'it has come back',
  )
  again.events.closed('gone again')

  await world.advance(10_001)
  probe.chat(far).tell('note', { text: 'later' })
  await world.settle()
  t.equal(dialled.length, 1)
})

t.test('many are told the same, each in order among what else it is told', async t => {
  await withStage(t, async ({ world, probe }) => {
    const here = [probe(A, {}, 'one'), probe(A, {}, 'two')]
    const there = [probe(B, {}, 'one'), probe(C, {}, 'one'), probe(C, {}, 'two')]
    const all = [...here, ...there]
    const speaker = probe(A)
    const many = speaker.probe.many(all.map(it => it.pid))
    const tell = (text: string) => {
      for (const { pid: to } of all) speaker.probe.chat(to).tell('note', { text })
    }
    tell('before')
    many.tell('note', { text: 'all' })
    many.tell('note', { text: 'x'.repeat(100_000) })
    tell('after')
    await world.advance(100)
    const expected = ['before', 'all', 'x'.repeat(100_000), 'after']
    for (const { probe: it, pid: who } of all) t.strictSame(it.heard, expected, who)
  })
})

t.test('what many are told is encoded once, and shared by none', async t => {
  await withStage(t, async ({ world, probe }) => {
    const froms: string[] = []
    const bodies: (readonly string[] | undefined)[] = []
    const listening = {
      noteTags: (tags: readonly string[] | undefined, from: string) => {
        bodies.push(tags)
        froms.push(from)
      },
    }
    const all = [A, A, B, B, C].map((address, i) => probe(address, listening, `p${i}`))
    const speaker = probe(A)
    let read = 0
    const message = {
      get text() {
        read++
        return 'once'
      },
      tags: ['a'],
    }
    speaker.probe.many(all.slice(2).map(it => it.pid)).tell('note', message)
    t.equal(read, 1)
    speaker.probe.many(all.slice(0, 2).map(it => it.pid)).tell('note', { text: '', tags: ['a'] })
    await world.advance(100)
    t.strictSame(bodies, [['a'], ['a'], ['a'], ['a'], ['a']])
    t.equal(new Set(bodies).size, 5, 'each has its own')
    t.ok(froms.every(from => from === speaker.pid))

    const symbol = Symbol('no text') as never
    t.throws(() => speaker.probe.many(all.map(it => it.pid)).tell('note', { text: symbol }))
    speaker.probe.terminate()
    await world.advance(100)
    speaker.probe.many(all.map(it => it.pid)).tell('note', { text: 'dead' })
    await world.advance(100)
    t.equal(bodies.length, 5, 'nobody was told what cannot be said, or by one who has ended')
  })
})

t.test('what cannot be encoded fails the turn that said it', async t => {
  const { world, runtime, connect } = bare()
  const { greet, got } = connect()
  greet()
  const ref = runtime.ref(Chat, pid('far', B))
  const text = Symbol('no text') as never
  t.throws(() => ref.tell('note', { text }))
  await world.settle()
  t.equal(got.closed, '')
})

t.test('many pings of one message are answered once', async t => {
  const { world, connect } = bare()
  const flood = connect()
  flood.greet()
  await world.settle()
  const before = flood.got.sent.length
  flood.send(...Array.from({ length: 10_000 }, () => [FRAME.ping]))
  await world.settle()
  t.equal(flood.got.sent.length, before + 1)
})

t.test('a greeting may not claim to have seen for ever more connections', async t => {
  const { world, connect, hello } = bare()
  const { send, got } = connect()
  send([FRAME.hello, { ...hello(B), generation: Number.MAX_SAFE_INTEGER }])
  await world.advance(11_000)
  t.equal(got.closed, 'no greeting in time')
  t.strictSame(got.sent, [])
})

t.test('who floods is not read from while its messages pile up; others are', async t => {
  const { world, runtime, connect } = bare()
  // A message is served as it comes, unless a continuation must run before: so they pile up behind the first.
  const probe = new Probe({
    note: self => (self.heard.length === 1 ? Promise.resolve() : undefined),
  })
  runtime.spawn(probe, 'x')
  let waiting = -1
  const free = new Probe({ note: async () => void (waiting = await metric('waiting_events')) })
  runtime.spawn(free, 'y')
  const metric = async (name: string): Promise<number> =>
    (await runtime.metrics.snapshot(world.clock))[`actors/peers/${name}`]!
  const flood = connect()
  flood.greet()
  const other = connect()
  other.greet(C)
  const note = [FRAME.tell, 'x', 'y', 'test.chat/note', { text: '' }]
  const frames = Array.from({ length: 1_000 }, () => note)
  for (let i = 0; i < 100; i++) flood.send(...frames)
  let wasPaused = false
  world.clock.delay(0, () => {
    wasPaused = flood.got.paused
    t.equal(other.got.paused, false, 'nobody else waits for that')
    t.equal(connect().got.paused, false, 'nor those who come now')
    other.send([FRAME.tell, 'y', 'y', 'test.chat/note', { text: 'heard at once' }])
  })
  await world.settle()
  t.equal(wasPaused, true)
  t.equal(flood.got.paused, false, 'and on it goes')
  t.equal(probe.heard.length, 100_000)
  t.strictSame(free.heard, ['heard at once'])
  t.ok(waiting > 10_000, 'while much of the flood still waited')
  t.equal(await metric('waiting_events'), 0)
  t.equal(await metric('waiting_bytes'), 0)
  t.equal(await metric('pauses'), 1)
})

t.test('nobody is read from while very much of this process’ own making waits', async t => {
  const { world, runtime, connect } = bare()
  const probe = new Probe({ note: () => Promise.resolve() })
  const self = runtime.ref(Chat, runtime.spawn(probe, 'x'))
  const peer = connect()
  peer.greet()
  await world.settle()
  for (let i = 0; i < 60_000; i++) self.tell('note', { text: '' })
  let paused: boolean[] = []
  world.clock.delay(0, () => {
    const late = connect()
    paused = [peer.got.paused, late.got.paused]
  })
  await world.settle()
  t.equal(paused[0], true)
  t.equal(peer.got.paused, false, 'and on it goes')
  t.equal(probe.heard.length, 60_000)
})

t.test('nor while they pile up behind turns that are all asynchronous', async t => {
  const { world, runtime, connect } = bare()
  const probe = new Probe({ note: () => Promise.resolve() })
  runtime.spawn(probe, 'x')
  const flood = connect()
  flood.greet()
  const note = [FRAME.tell, 'x', 'y', 'test.chat/note', { text: '' }]
  for (let i = 0; i < 60; i++) flood.send(...Array.from({ length: 1_000 }, () => note))
  let wasPaused = false
  world.clock.delay(0, () => {
    wasPaused = flood.got.paused
  })
  await world.settle()
  t.equal(wasPaused, true)
  t.equal(flood.got.paused, false)
})
