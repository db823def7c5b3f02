// What is remembered of strangers, and taken from them as a name, has a limit.

import t from 'tap'
import { MAX_GENERATION } from '../../src/actors/frames.ts'
import { Generations, nextGeneration } from '../../src/actors/generations.ts'
import { parsePid } from '../../src/actors/pid.ts'
import { Shunned } from '../../src/actors/shunned.ts'
import { VirtualClock } from '../../src/sim/virtual-clock.ts'

t.test('of more processes than are remembered, the one that was longest silent is forgotten', t => {
  const generations = new Generations()
  const at = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:5050`
  for (let i = 0; i < 100_000; i++) generations.remember(at(i), 1)
  generations.remember(at(0), 2)
  t.strictSame([generations.seen(at(0)), generations.seen(at(1))], [2, 1], 'so many are kept')
  generations.remember(at(100_000), 1)
  t.strictSame(
    [0, 1, 2, 100_000].map(i => generations.seen(at(i))),
    [2, 0, 1, 1],
  )
  t.end()
})

t.test('who cannot be dialled needs no count, and no count exceeds what a greeting may say', t => {
  const generations = new Generations()
  generations.remember('nat-1:0', 3)
  t.equal(generations.seen('nat-1:0'), 0)
  t.equal(nextGeneration(0), 1)
  t.equal(nextGeneration(MAX_GENERATION), MAX_GENERATION)
  t.end()
})

t.test(
  'who did not read is shunned for a while; of very many, the earlier are forgiven',
  async t => {
    const clock = new VirtualClock()
    const shunned = new Shunned(clock, 10_000)
    shunned.add('a:1')
    await clock.advance(9_999)
    t.ok(shunned.has('a:1'))
    await clock.advance(1)
    t.notOk(shunned.has('a:1'))
    for (let i = 0; i < 1_000; i++) shunned.add(`b${i}:1`)
    t.ok(shunned.has('b0:1'))
    shunned.add('c:1')
    t.strictSame([shunned.has('b0:1'), shunned.has('c:1')], [false, true])
  },
)

t.test('a pid from outside is an id of at most 512 characters at an address', t => {
  const id = 'x'.repeat(512)
  t.equal(parsePid(`${id}@10.0.0.1:5050`), `${id}@10.0.0.1:5050`)
  for (const text of [`${id}x@10.0.0.1:5050`, '@10.0.0.1:5050', 'x', 'x@10.0.0.1', 'x@a:65536']) {
    t.equal(parsePid(text), undefined, text)
  }
  t.end()
})
