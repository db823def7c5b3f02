// The log's simulation in its short form: a few seeds, and a few of the planted bugs. `npm run sim -- log` has the long one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildPlanted, buildsOver, changed, hunt } from './sim/build-planted.ts'
import { FAULT_KINDS } from './sim/faults.ts'
import { PLANTED } from './sim/planted.ts'
import { simulate } from './sim/simulate.ts'

t.teardown(buildsOver)

t.test('whatever breaks: one value a position, no commit lost, no vote twice', async t => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 4; seed++) {
    const { problems, confirmed, reads, size, leases } = await simulate({ seed, seconds: 6 })
    t.strictSame(problems, [], `npm run sim -- log --seed=${seed} --seconds=6`)
    t.ok(confirmed > 0 && reads > 0, `${confirmed} writes, ${reads} reads`)
    seen.add(`${size} ${leases}`)
  }
  t.ok(seen.size >= 2, `ensembles: ${[...seen].join(', ')}`)
})

t.test('all kinds of faults at once', async t => {
  const { problems, struck } = await simulate({ seed: 6, seconds: 12, kinds: FAULT_KINDS })
  t.strictSame(problems, [])
  t.ok(new Set(struck).size >= 3, `struck: ${struck.join(', ')}`)
})

t.test('members come and go, and bits flip, while processes crash', async t => {
  for (const seed of [5, 8]) {
    const kinds = ['members', 'flipped bit', 'crash at work', 'split'] as const
    const { problems, struck } = await simulate({ seed, seconds: 15, kinds })
    t.strictSame(
      problems,
      [],
      `npm run sim -- log --seed=${seed} --seconds=15 --kinds=${kinds.join()}`,
    )
    t.ok(struck.includes('members') && struck.includes('flipped bit'), struck.join())
  }
})

t.test('the same seed does the same', async t => {
  const once = () => simulate({ seed: 11, seconds: 5, level: 'debug', lines: 100_000 })
  const first = await once()
  t.ok(first.transcript.length > 50)
  t.strictSame(await once(), first)
  const { transcript } = await simulate({ seed: 12, seconds: 5, level: 'debug', lines: 100_000 })
  t.notSame(transcript, first.transcript)
})

t.test('every planted bug still has its place in the sources', async t => {
  t.ok(Object.keys(PLANTED).length >= 20)
  for (const [name, { edits }] of Object.entries(PLANTED)) {
    for (const { file, from, to } of edits) {
      const text = readFileSync(join(process.cwd(), file), 'utf8')
      t.doesNotThrow(() => changed(text, from, to, `${name}: ${file}`))
    }
  }
  t.throws(() => changed('a b a', 'a', 'c', 'x'), /x has 2 places, not one/)
  t.throws(() => changed('a b a', 'd', 'c', 'x'), /x has 0 places, not one/)
})

for (const name of [
  'vote before fsync',
  'fill with NOP',
  'one replica counted twice',
  'truncated too far',
  'who was removed still counts',
]) {
  t.test(`planted, and found: ${name}`, async t => {
    const bug = PLANTED[name]!
    const { seeds, problem } = await hunt(await buildPlanted(process.cwd(), name, bug), bug)
    t.ok(seeds, problem || 'nothing was found')
  })
}
