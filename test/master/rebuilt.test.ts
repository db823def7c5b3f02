import t from 'tap'
import { Rebuilt } from '../../src/master/routes/rebuilt.ts'

t.test('what is quickly built is always up to date', async t => {
  const { get } = rebuilt()
  t.strictSame([get(1, 20), get(1, 20), get(2, 20), get(3, 20)], [1, 1, 2, 3])
})

t.test('what takes long takes no more than a tenth of the time', async t => {
  const { get, wait } = rebuilt()
  t.equal(get(1, 100), 1)
  wait(899)
  t.equal(get(2, 100), 1, 'a little old')
  wait(1)
  t.equal(get(2, 100), 2)
  t.equal(get(2, 100), 2)
  wait(1_000)
  t.equal(get(3, 5), 3)
  t.equal(get(4, 5), 4, 'it depends on what it took last')
})

function rebuilt() {
  let nowMs = 0
  const view = new Rebuilt<number>(() => nowMs)
  return {
    /** The version that is seen, if building takes so long. */
    get: (version: number, tookMs: number) =>
      view.get(version, () => {
        nowMs += tookMs
        return version
      }),
    wait: (ms: number) => {
      nowMs += ms
    },
  }
}
