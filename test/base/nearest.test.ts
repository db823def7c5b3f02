import * as fc from 'fast-check'
import t from 'tap'
import { editDistance, nearest } from '../../src/base/nearest.ts'

t.test('counts edits, a swap as one', async t => {
  t.equal(editDistance('work_dir', 'work_dir'), 0)
  t.equal(editDistance('work_dri', 'work_dir'), 1)
  t.equal(editDistance('workdir', 'work_dir'), 1)
  t.equal(editDistance('prot', 'port'), 1)
  t.equal(editDistance('kitten', 'sitting'), 3)
  t.equal(editDistance('', 'abc'), 3)
  t.equal(editDistance('abc', ''), 3)
})

t.test('is a symmetric distance within the obvious bounds', async () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b)
      return (
        distance === editDistance(b, a) &&
        distance >= Math.abs(a.length - b.length) &&
        distance <= Math.max(a.length, b.length) &&
        (distance === 0) === (a === b)
      )
    }),
  )
})

t.test('guesses only what is near', async t => {
  const flags = ['work_dir', 'port', 'ip', 'zk']
  t.equal(nearest('work_dri', flags), 'work_dir')
  t.equal(nearest('work-dir', flags), 'work_dir')
  t.equal(nearest('WORK_DIR', flags), 'work_dir')
  t.equal(nearest('ports', flags), 'port')
  t.equal(nearest('quorum', flags), undefined)
  t.equal(nearest('anything', []), undefined)
})
