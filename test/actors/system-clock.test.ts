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

t.test(
  'soon is after all promise continuations that are ready, however many follow on each other',
  async t => {
    const seen: string[] = []
    await new Promise<void>(done => {
      void (async () => {
        for (let i = 0; i < 100; i++) await Promise.resolve()
        seen.push('continued')
      })()
      systemClock.soon(() => {
        seen.push('soon')
        done()
      })
      seen.push('running')
    })
    t.same(seen, ['running', 'continued', 'soon'])
  },
)

t.test(
  'whoever asks for the next run in each does not keep sockets and timers waiting',
  async t => {
    let runs = 0
    let others = false
    setImmediate(() => {
      others = true
    })
    await new Promise<void>(done => {
      const next = (): void => {
        runs++
        if (others || runs === 10_000) done()
        else systemClock.soon(next)
      }
      next()
    })
    t.ok(others)
    t.ok(runs < 100, `${runs} runs`)
  },
)

t.test('those that let others go first come after them', async t => {
  const seen: string[] = []
  await new Promise<void>(done => {
    systemClock.soon(() => {
      seen.push('soon')
      done()
    }, true)
    setImmediate(() => seen.push('other'))
    queueMicrotask(() => process.nextTick(() => seen.push('tick')))
  })
  t.equal(seen[0], 'tick')
})
