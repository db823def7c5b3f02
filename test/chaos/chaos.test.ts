// The short form of `npm run chaos`; and that its judges see what they are to see.

import { spawnSync } from 'node:child_process'
import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'
import { encodeEntry } from '../../src/master/registry/entry.ts'
import { distributionText, histogramText } from './distribution.ts'
import { chooseFault, kindsFor } from './faults.ts'
import { whyNoLinks } from './hosts.ts'
import { Terms } from './terms.ts'
import { disagreements, type Held, interleavings, losses, type ReplicaLog } from './verify.ts'

function chaos(...more: string[]): { status: number | null; output: string } {
  const words = ['--enable-source-maps', 'build/test/chaos/main.js', '--rounds=2', ...more]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    timeout: 100_000,
  })
  return { status, output: stdout + stderr }
}

t.test('a few rounds', async t => {
  const why = whyNoLinks()
  if (why !== undefined) t.comment(`links are not cut: ${why}`)
  const { status, output } = chaos('--seed=5')
  t.equal(status, 0, output)
  t.match(output, /[1-9]\d* writes acknowledged by [1-9]\d* leaders, 0 problems/)
})

t.test('a wrong option is refused', async t => {
  const { status, output } = chaos('--seed=x')
  t.equal(status, 2)
  t.match(output, /--seed must be a whole number from 0 on, not 'x'/)
})

t.test('faults are chosen by the seed, whoever leads', async t => {
  const kinds = kindsFor({ links: true, zookeeper: true })
  const choose = (leader: number) => {
    const random = new SeededRandom(7)
    return Array.from({ length: 300 }, () => chooseFault(random, { kinds, masters: 3, leader }))
  }
  t.strictSame(
    choose(0).map(({ kind, ms }) => ({ kind, ms })),
    choose(2).map(({ kind, ms }) => ({ kind, ms })),
  )
  t.strictSame(new Set(choose(0).map(({ kind }) => kind)), new Set(kinds))
  t.ok(choose(1).every(({ target, other }) => target !== other && other < 3))
})

const entry = (masterId: string, timeMs: number, agent?: string): Held => {
  const operations = agent
    ? [
        {
          type: 'admit_agent' as const,
          info: { hostname: 'h', resources: [], attributes: [], id: { value: agent } },
        },
      ]
    : []
  const bytes = encodeEntry({
    version: 1,
    time_ms: timeMs,
    master_id: masterId,
    sequence: 0,
    operations,
  })
  return { learned: true, value: Buffer.from(bytes).toString('base64'), bytes }
}
const replica = (name: string, held: readonly Held[]): ReplicaLog => ({
  name,
  begin: 1,
  held: new Map(held.map((it, i) => [i + 1, it])),
})

t.test('what is wrong with logs is found', async t => {
  const a = entry('A', 1_000, 'A-S0')
  const b = entry('B', 2_000, 'B-S0')
  const whole = replica('one', [a, b])
  t.strictSame(disagreements([whole, replica('two', [a, b])]), [])
  t.strictSame(losses([whole], ['A-S0', 'B-S0']), [])
  t.strictSame(interleavings([whole]), [])

  t.match(disagreements([whole, replica('two', [a, a])]), [/position 2: one and two/])
  const nop: Held = { learned: true, value: 'NOP' }
  t.match(disagreements([replica('two', [a, nop]), whole]), [/position 2: two and one/])
  const tombstone: Held = { learned: true, value: 'NOP, tombstone' }
  t.strictSame(disagreements([whole, replica('two', [a, tombstone])]), [], 'it was truncated there')
  t.match(losses([replica('two', [a])], ['A-S0', 'B-S0']), [/two, learned up to 1, lacks 1 of 2/])
  const unlearned = { ...a, learned: false }
  t.match(losses([replica('two', [unlearned, b])], ['B-S0']), [/learned up to 0/])
  t.match(interleavings([replica('one', [a, b, entry('A', 3_000)])]), [/position 3: A wrote after/])
  t.match(interleavings([replica('one', [a, entry('B', 500)])]), [/B began 500 ms before A ended/])
})

t.test('who leads after another one has begun is found', async t => {
  const terms = new Terms()
  const old = { address: 'h0', incarnation: 1 }
  const young = { address: 'h1', incarnation: 1 }
  t.ok(terms.acknowledged({ ...old, masterId: 'A' }, 1_000))
  t.notOk(terms.acknowledged({ ...old, masterId: 'A' }, 1_100), 'the same term')
  terms.claimed({ ...old, askedMs: 1_500 })
  terms.claimed({ ...young, askedMs: 1_900 })
  t.ok(terms.acknowledged({ ...young, masterId: 'B' }, 2_000))
  terms.claimed({ ...young, askedMs: 2_500 })
  t.strictSame(terms.problems(), [])
  terms.claimed({ ...old, askedMs: 2_250 })
  t.match(terms.problems(), [/^h0 \(process 1\) answered as the leader .* 250 ms after h1/])
})

t.test('a distribution', async t => {
  const text = distributionText(new Map([['kill', [10, 20, 30, 4_000]]]))
  t.match(text, /kill +4 +20 +4000 +4000 +4000/)
  t.match(text, /all +4/)
  t.match(histogramText([10, 20, 300]), /<= 50 ms +2 #+\n.*\n.*\n +<= 500 ms +1 #+/)
})
