import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'
import { INDEX_HEADER_BYTES, type Place, SegmentIndex } from '../../src/log/segment-index.ts'

const summary = { sequence: 3, sizeBytes: 12_345, lastPosition: 99, replicaId: 'ab'.repeat(16) }

t.test(
  'finds what was put in last, in whatever order, before and after it was written',
  async t => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed)
      const index = new SegmentIndex()
      const expected = new Map<number, Place>()
      // Mostly upwards, as positions come; and far more back and forth than is put in its place at once.
      let position = 1_000
      for (let n = 0; n < 4_000; n++) {
        const back = random.next() < (seed % 2 === 0 ? 0.05 : 0.6)
        const at = back ? random.integer(position) : (position += 1 + random.integer(3))
        const place = { offset: random.integer(2 ** 31), length: n, nth: random.integer(100) }
        index.add(at, place)
        expected.set(at, place)
      }
      const check = (which: SegmentIndex): void => {
        let wrong = 0
        for (let p = 0; p <= position + 1; p++) {
          const [got, want] = [which.find(p), expected.get(p)]
          if (
            got?.offset !== want?.offset ||
            got?.length !== want?.length ||
            got?.nth !== want?.nth
          )
            wrong++
        }
        t.equal(wrong, 0, `seed ${seed}`)
        t.equal(which.first, Math.min(...expected.keys()))
      }
      check(index)
      const file = index.encode(summary)
      // As it may lie in a bigger buffer.
      const shifted = Buffer.concat([Buffer.alloc(3), file]).subarray(3)
      const read = SegmentIndex.decode(shifted, 3)!
      t.same(read.summary, { ...summary, first: index.first, count: expected.size })
      check(read.index)
    }
  },
)

t.test('an empty one', async t => {
  const { index } = SegmentIndex.decode(new SegmentIndex().encode(summary), 3)!
  t.equal(index.first, undefined)
  t.equal(index.find(0), undefined)
})

t.test('damaged, cut, or of another segment: none', async t => {
  const index = new SegmentIndex()
  for (let p = 5; p < 9; p++) index.add(p, { offset: p, length: 1, nth: 0 })
  const file = index.encode(summary)
  t.ok(SegmentIndex.decode(file, 3))
  t.notOk(SegmentIndex.decode(file, 4))
  for (let at = 0; at < file.length; at++) {
    const flipped = Buffer.from(file)
    flipped[at]! ^= 1 << (at % 8)
    t.notOk(SegmentIndex.decode(flipped, 3), `byte ${at}`)
    t.notOk(SegmentIndex.decode(file.subarray(0, at), 3), `${at} bytes`)
    if (at < INDEX_HEADER_BYTES)
      t.notOk(SegmentIndex.decodeSummary(flipped, 3), `byte ${at} of the header`)
  }
})
