import t from 'tap'
import { AssertionError, assert, unreachable } from '../../src/base/assert.ts'

t.test('ends the turn when the condition does not hold', async t => {
  t.doesNotThrow(() => assert('x', 'it is there'))
  t.throws(() => assert(undefined, 'it is there'), {
    name: 'AssertionError',
    message: 'it is there',
  })
})

t.test('closes a union', async t => {
  t.throws(() => unreachable('x' as never), AssertionError)
})
