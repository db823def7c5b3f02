// How many connections there were with whom, for as many as are remembered.

import t from 'tap'
import { MAX_GENERATION } from '../../src/actors/frames.ts'
import { Generations, nextGeneration } from '../../src/actors/generations.ts'

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
