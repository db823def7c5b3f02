import t from 'tap'
import { deferred } from '../../src/base/deferred.ts'

t.test('resolves from outside, once', async t => {
  const answer = deferred<number>()
  answer.resolve(1)
  answer.resolve(2)
  answer.reject(new Error('late'))
  t.equal(await answer.promise, 1)
})

t.test('rejects from outside', async t => {
  const answer = deferred()
  answer.reject(new Error('gone'))
  await t.rejects(answer.promise, { message: 'gone' })
})
