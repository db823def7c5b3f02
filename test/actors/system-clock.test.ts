// The real clock, with the timer under it replaced: nobody waits sixty days for a test.

import t from 'tap'
import { systemClock } from '../../src/actors/system-clock.ts'

const DAY_MS = 86_400_000

t.test('a delay longer than setTimeout can wait is waited for in parts', async t => {
  const pending: { readonly run: () => void; readonly ms: number }[] = []
  const real = globalThis.setTimeout
  t.teardown(() => {
    globalThis.setTimeout = real
  })
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    pending.push({ run, ms })
    return real(() => {}, 0)
  }) as typeof setTimeout

  let fired = 0
  systemClock.delay(60 * DAY_MS, () => fired++)
  let waitedMs = 0
  for (let part = pending.shift(); part; part = pending.shift()) {
    t.equal(fired, 0, 'not before its time')
    t.ok(part.ms < 2 ** 31, 'a part is what setTimeout can wait')
    waitedMs += part.ms
    part.run()
  }
  t.equal(waitedMs, 60 * DAY_MS)
  t.equal(fired, 1)
})
