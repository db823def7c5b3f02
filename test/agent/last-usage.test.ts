import t from 'tap'
import type { ContainerStatistics } from '../../src/agent/containerizer/container.ts'
import { LastUsage } from '../../src/agent/containerizer/last-usage.ts'

t.test('an idle container is not measured each time', t => {
  let nowMs = 0
  let activity: string | undefined = '1'
  let measured = 0
  let more: ContainerStatistics = {}
  const last = new LastUsage({ now: () => nowMs }, () => activity)
  const ask = () => last.of('a', () => ({ processes: ++measured, ...more })).processes
  t.strictSame([ask(), ask()], [1, 1])
  activity = '2'
  t.strictSame([ask(), ask()], [2, 2], 'it has had a processor')
  nowMs += 20_000
  t.strictSame([ask(), ask()], [3, 3], 'what the kernel took back by itself')
  last.drop('a')
  t.equal(ask(), 4, 'it has other limits')
  more = { net_rx_bytes: 1 }
  last.drop('a')
  t.strictSame([ask(), ask()], [5, 6], 'packets come on no account of its own')
  more = {}
  activity = undefined
  t.strictSame([ask(), ask()], [7, 8], 'nobody can know')
  t.end()
})

t.test('not all are measured again at one time', t => {
  let nowMs = 0
  const last = new LastUsage({ now: () => nowMs }, () => '1')
  const ids = Array.from({ length: 160 }, (_, index) => String(index))
  const measured = () => {
    let count = 0
    for (const id of ids) last.of(id, () => (count++, {}))
    return count
  }
  t.equal(measured(), 160)
  const each = Array.from({ length: 20 }, () => {
    nowMs += 1_000
    return measured()
  })
  t.ok(Math.max(...each) <= 40, String(each))
  t.ok(
    each.slice(0, 20).reduce((sum, count) => sum + count) >= 160,
    'but all of them in twenty seconds',
  )
  t.end()
})
