// The simulated world itself: time, the network's order, and the same run again from the same seed.

import t from 'tap'
import { collectingLogger, silentLogger } from '../../src/base/log.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'
import { World } from '../../src/sim/world.ts'
import { A, B, C, outcome, Probe } from '../actors/probe.ts'

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

t.test('a wrong clock is as wrong about timers as about the time', async t => {
  const clock = new VirtualClock(1_000_000)
  const fast = clock.fork()
  fast.skew({ rate: 2, offsetMs: 500 })
  t.equal(fast.now(), 1_000_500)
  const fired: number[] = []
  fast.delay(1_000, () => void fired.push(fast.now()))
  await clock.advance(499)
  t.strictSame(fired, [])
  await clock.advance(2)
  t.equal(fired.length, 1)
  t.ok(fired[0]! >= 1_001_500 && fired[0]! < 1_001_501, `at ${fired[0]}, never too early`)
  fast.skew({ rate: 1 })
  const before = fast.now()
  await clock.advance(100)
  t.equal(fast.now(), before + 100, 'it keeps what it is ahead')
  fast.skew({ offsetMs: 0 })
  t.equal(fast.now(), before + 100, 'it does not go back')
  await clock.advance(10_000)
  t.equal(fast.now(), clock.now(), 'until it is right again')
})

t.test('a process that stands still misses nothing and does all of it later, in order', async t => {
  const clock = new VirtualClock()
  const process = clock.fork()
  const log: string[] = []
  const say = (text: string) => () => void log.push(text)
  process.delay(10, say('first timer'))
  const cancelled = process.delay(30, say('cancelled'))
  process.delay(20, () => {
    log.push('second timer')
    cancelled.cancel()
    process.run(say('came while it caught up'))
  })
  process.pause()
  await clock.advance(15)
  process.run(say('message'))
  await clock.advance(1_000)
  t.strictSame(log, [])
  process.unpause()
  t.strictSame(log, [], 'not before its turn')
  await clock.settle()
  t.strictSame(log, ['first timer', 'message', 'second timer', 'came while it caught up'])
  process.run(say('at once'))
  t.equal(log.at(-1), 'at once')
  process.pause()
  process.run(say('never'))
  process.stop()
  process.unpause()
  process.run(say('never'))
  await clock.advance(1_000)
  t.equal(log.at(-1), 'at once')
  t.equal(process.pending, 0)
})

t.test('what falls due while a process catches up waits behind what has waited longer', async t => {
  const clock = new VirtualClock()
  const process = clock.fork()
  const log: string[] = []
  process.pause()
  process.delay(5, () => void log.push('waited'))
  clock.delay(10, () => process.unpause())
  process.delay(10, () => void log.push('due as it goes on'))
  await clock.advance(10)
  t.strictSame(log, ['waited', 'due as it goes on'])
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
    `${A}: 1 links`,
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

t.test('what was booted at an address is restarted there', async t => {
  const world = new World({ log: silentLogger })
  const boots: string[] = []
  const first = world.start(A, {
    boot: runtime => {
      boots.push(runtime.address)
      runtime.spawn(new Probe())
    },
  })
  await world.settle()
  t.ok(world.isAlive(A))
  const second = world.restart(A)
  t.not(second, first)
  t.strictSame(boots, [A, A])
  t.strictSame(second.actors, ['probe(1)'])
  world.start(B)
  t.throws(() => world.restart(B), { message: /start it with a boot/ })
  await world.stop()
  t.notOk(world.isAlive(A))
  t.strictSame(world.leftovers(), [])
})

t.test('checks run after every step, and what they find ends the run', async t => {
  const world = new World({ seed: 5, log: silentLogger })
  let looks = 0
  let value = 0
  world.check('value', () => {
    looks++
    return value > 2 ? [`${value} is more than 2`] : undefined
  })
  for (let ms = 1; ms <= 3; ms++) {
    // What a continuation does belongs to the step.
    world.clock.delay(ms, () => void Promise.resolve().then(() => value++))
  }
  await world.advance(2)
  t.equal(looks, 2)
  await t.rejects(world.advance(10), { message: 'did not hold (seed 5): value: 3 is more than 2' })
  await world.advance(10)

  const heard: string[] = []
  const other = new World({ log: silentLogger, onProblem: text => heard.push(text) })
  other.check('never', () => ['so it is'])
  other.clock.soon(() => {})
  await other.settle()
  t.strictSame(heard, ['never: so it is'])
})

t.test('a machine with a wrong clock has it also after a restart', async t => {
  const world = new World({ log: silentLogger })
  const boot = () => {}
  const before = world.start(A, { boot })
  world.skew(A, { rate: 2, offsetMs: 60_000 })
  await world.advance(1_000)
  t.equal(before.clock.now() - world.clock.now(), 1_000, 'its rate at once')
  const after = world.restart(A)
  t.equal(after.clock.now() - world.clock.now(), 60_000, 'its time from the next start on')
  world.skew(A, { offsetMs: -60_000 })
  const behind = world.restart(A)
  t.equal(behind.clock.now() - world.clock.now(), -60_000)
  await world.advance(1_000)
  t.equal(behind.clock.now() - world.clock.now(), -60_000, 'behind, and not standing still')
  await world.stop()
})

t.test('a process that stands still is given up by its links, and then finds that out', async t => {
  const world = new World({
    log: silentLogger,
    limits: { pingIntervalMs: 100, silenceLimitMs: 1_000 },
  })
  const near = new Probe()
  const far = new Probe()
  world.start(A).spawn(near)
  world.start(B).spawn(far)
  await world.settle()
  near.link(`probe(1)@${B}` as never)
  far.link(`probe(1)@${A}` as never)
  await world.advance(500)
  world.pause(B)
  near.chat(`probe(1)@${B}` as never).tell('note', { text: 'before' })
  await world.advance(500)
  t.strictSame(near.heard, [])
  await world.advance(5_000)
  t.strictSame(near.heard, [`exited probe(1)@${B}`])
  t.strictSame(far.heard, [])
  world.unpause(B)
  await world.advance(100)
  t.strictSame(far.heard, ['before', `exited probe(1)@${A}`])
  await world.stop()
  t.strictSame(world.leftovers(), [])
})
