// The simulated world itself: time, the network's order, and the same run again from the same seed.

import t from 'tap'
import { collectingLogger, silentLogger } from '../../src/base/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { VirtualNetwork } from '../../src/sim/virtual-network.ts'
import { World } from '../../src/sim/world.ts'
import { A, B, C, Chat, outcome, Probe, withStage } from '../actors/probe.ts'

t.test('time moves only when told', async t => {
  const clock = new VirtualClock(1_000)
  const log: string[] = []
  const at = (name: string) => () => void log.push(`${name} ${clock.now()}`)
  clock.delay(20, at('b'))
  clock.delay(10, at('a'))
  clock.delay(20, at('c'))
  clock.delay(-5, at('past'))
  const cancelled = clock.delay(15, at('cancelled'))
  clock.delay(10, () => {
    cancelled.cancel()
    cancelled.cancel()
    clock.soon(at('soon'))
    void Promise.resolve()
      .then(() => {})
      .then(() => clock.delay(0, at('from a continuation')))
  })
  t.equal(clock.pending, 6)
  await clock.settle()
  t.strictSame(log.splice(0), ['past 1000'])
  await clock.advance(19)
  t.strictSame(log.splice(0), ['a 1010', 'soon 1010', 'from a continuation 1010'])
  t.equal(clock.now(), 1_019)
  await clock.advance(1)
  t.strictSame(log, ['b 1020', 'c 1020'])
  t.equal(clock.pending, 0)
})

t.test('a continuation, however long, comes before the next event', async t => {
  const clock = new VirtualClock()
  const log: string[] = []
  const long = async (name: string) => {
    for (let i = 0; i < 100; i++) await Promise.resolve()
    log.push(name)
  }
  clock.delay(1, () => void long('first'))
  clock.delay(1, () => void log.push('second'))
  await clock.advance(1)
  t.strictSame(log, ['first', 'second'])
})

t.test('the clock of a dead process is silent', async t => {
  const clock = new VirtualClock()
  const process = clock.fork()
  process.delay(10, () => t.fail('it fired'))
  process.soon(() => t.fail('it fired'))
  t.equal(process.pending, 2)
  process.stop()
  process.delay(10, () => t.fail('it fired')).cancel()
  t.equal(process.pending + clock.pending, 0)
  await clock.advance(100)
  t.equal(process.now(), clock.now())
})

t.test('nothing overtakes what waited in a cut link', async t => {
  const clock = new VirtualClock()
  const network = new VirtualNetwork({ clock, random: new SeededRandom(1), latencyMs: [1, 50] })
  const got: string[] = []
  network.transport(B).onChannel(() => ({
    message: bytes => void got.push(String(bytes[0])),
    closed: reason => void got.push(reason),
  }))
  let channel: { send(b: Uint8Array): void; close(r: string): void } | undefined
  network.transport(A).dial(B, { opened: c => (channel = c), message: () => {}, closed: () => {} })
  await clock.advance(200)
  const expected: string[] = []
  for (let i = 0; i < 200; i++) {
    if (i % 20 === 5) network.partition([A], [B], { oneWay: true })
    if (i % 20 === 15) network.heal()
    channel?.send(new Uint8Array([i]))
    expected.push(String(i))
    await clock.advance(1)
  }
  channel?.close('the end')
  channel?.send(new Uint8Array([7]))
  await clock.advance(200)
  t.strictSame(got, [...expected, 'the end'])
  t.equal(network.connections, 0)
})

t.test('drop rules', async t => {
  await withStage(t, async ({ world, probe }) => {
    const far = probe(B)
    const { probe: near } = probe(A)
    near.chat(far.pid).tell('note', { text: 'one' })
    await world.advance(10)
    const rule = world.network.drop(({ message, toId, to }) => {
      return message === Chat.wire.note && toId === 'probe(1)' && to === B
    })
    near.chat(far.pid).tell('note', { text: 'two' })
    await world.advance(10)
    t.equal(rule.count, 1)
    rule.stop()
    near.chat(far.pid).tell('note', { text: 'three' })
    await world.advance(10)
    t.strictSame(far.probe.heard, ['one', 'three'])
  })
})

/** Everybody asks everybody, with timers, crashes and a partition; returns all that anybody noticed. */
async function transcript(seed: number): Promise<string[]> {
  const log = collectingLogger()
  const world = new World({ seed, log, latencyMs: [1, 30] })
  const lines: string[] = []
  const note = (line: string) => lines.push(`${world.clock.now()} ${line}`)
  const start = (address: string) => {
    const others = [A, B, C].filter(other => other !== address)
    const probe = new Probe({
      initialize: self => round(self),
      note: (self, text, from) => void note(`${self.self} heard ${text} from ${from}`),
      exited: (self, who) => void note(`${self.self} lost ${who}`),
    })
    const runtime = world.start(address)
    const round = async (self: Probe): Promise<void> => {
      const to = runtime.random.shuffle(others)[0]!
      self.link(`probe(1)@${to}` as never)
      self.chat(`probe(1)@${to}` as never).tell('note', { text: runtime.random.uuid() })
      self.delay(runtime.random.integer(100), () => round(self))
      const asked = self
        .chat(`probe(1)@${to}` as never)
        .ask('echo', { text: to }, { timeoutMs: 50 })
      note(`${self.self} ${await outcome(asked)}`)
    }
    runtime.spawn(probe)
  }
  for (const address of [A, B, C]) start(address)
  await world.advance(1_000)
  world.crash(B)
  await world.advance(500)
  start(B)
  world.network.partition([A], [C])
  await world.advance(20_000)
  world.network.heal()
  await world.advance(1_000)
  await world.stop()
  return [...lines, ...log.records.map(record => JSON.stringify(record))]
}

t.test('the same seed is the same run', async t => {
  const [one, again, other] = [await transcript(1), await transcript(1), await transcript(2)]
  t.ok(one.length > 500, `${one.length} lines`)
  t.strictSame(again, one)
  t.notSame(other, one)
})

t.test('a world says what is left of it', async t => {
  const world = new World({ log: silentLogger })
  const runtime = world.start(A)
  const probe = new Probe()
  runtime.spawn(probe)
  world.start(B).spawn(new Probe())
  await world.settle()
  probe.delay(1_000, () => {})
  probe.link(`probe(1)@${B}` as never)
  await world.advance(10)
  t.match(world.leftovers(), [
    `${A}: actors probe(1)`,
    new RegExp(`${A}: \\d+ timers`),
    `${B}: actors probe(1)`,
    new RegExp(`${B}: \\d+ timers`),
    '1 connections',
  ])
  t.throws(() => world.start(A), { message: /is running already/ })
  await world.until(() => true, 'at once')
  await t.rejects(
    world.until(() => false, 'pigs fly', 100),
    { message: /not within 100 .* pigs fly .seed 1/ },
  )
  await world.stop()
  t.strictSame(world.leftovers(), [])
})
