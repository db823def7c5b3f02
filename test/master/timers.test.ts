import t from 'tap'
import { delayed } from '../../src/master/timers.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'

/** An actor whose timers, when they fire, are events that wait in its mailbox. */
function actor() {
  const clock = new VirtualClock(0)
  const mailbox: (() => unknown)[] = []
  const waits: number[] = []
  return {
    clock,
    waits,
    delay: (ms: number, run: () => unknown) => {
      waits.push(ms)
      return clock.delay(ms, () => void mailbox.push(run))
    },
    serve: () => {
      for (const run of mailbox.splice(0)) run()
    },
  }
}

t.test('runs once, when its time has come', async t => {
  const a = actor()
  const ran: number[] = []
  delayed(a, 1_000, () => ran.push(a.clock.now()))
  await a.clock.advance(999)
  a.serve()
  t.same(ran, [])
  await a.clock.advance(1)
  a.serve()
  t.same(ran, [1_000])
})

t.test('one that is cancelled does not run, though it has fired already', async t => {
  const a = actor()
  const ran: string[] = []
  const timer = delayed(a, 1_000, () => ran.push('late'))
  delayed(a, 1_000, () => ran.push('other'))
  await a.clock.advance(1_000)
  timer.cancel()
  a.serve()
  t.same(ran, ['other'])
})

t.test('what is longer than a clock can wait is waited for in parts', async t => {
  const a = actor()
  const days = 60
  let ranAtMs = 0
  delayed(a, days * 86_400_000, () => (ranAtMs = a.clock.now()))
  for (let day = 0; day < days + 1; day++) {
    await a.clock.advance(86_400_000)
    a.serve()
  }
  t.equal(ranAtMs, days * 86_400_000)
  t.ok(a.waits.every(ms => ms <= 0x7fff_ffff))
  t.equal(a.waits.length, 3)
  const timer = delayed(a, days * 86_400_000, () => t.fail('cancelled'))
  await a.clock.advance(30 * 86_400_000)
  a.serve()
  timer.cancel()
  await a.clock.advance(60 * 86_400_000)
  a.serve()
})
