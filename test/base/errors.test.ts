import t from 'tap'
import { AssertionError } from '../../src/base/assert.ts'
import { describeError, ERRORS, messageOf, UserError } from '../../src/base/errors.ts'

t.test('the table holds together', async t => {
  for (const [code, { status, sentence }] of Object.entries(ERRORS)) {
    t.match(code, /^[a-z]+(_[a-z]+)*$/)
    t.ok(status >= 300 && status < 600, `${code} has an error's status`)
    t.match(sentence, /^[A-Z].*\.$/, `${code} has a sentence`)
  }
})

t.test('whatever may have happened is not definite', async t => {
  t.equal(new UserError('timeout').definite, false)
  t.equal(new UserError('connection_lost').definite, false)
  t.equal(new UserError('store_failed').definite, false)
  t.equal(new UserError('unavailable').definite, true)
})

t.test('codes are told from other texts', async t => {
  //@ts-expect-error a code that the table does not know
  const unknown = (): UserError => new UserError('no_such_code')
  t.throws(unknown)
})

t.test('an operating error shows message and hint, a bug its stack', async t => {
  const cause = new Error('EACCES')
  const error = new UserError('not_permitted', "'/x' is not writable", {
    hint: 'Run chown on it.',
    cause,
  })
  t.equal(error.status, 500)
  t.equal(error.cause, cause)
  t.equal(describeError(error), "'/x' is not writable\nRun chown on it.")
  t.equal(describeError(new UserError('not_found')), 'There is no such thing here.')
  t.match(describeError(new AssertionError('sum is right')), /AssertionError: sum is right\n +at /)
  t.equal(describeError('thrown text'), 'thrown text')
  t.equal(messageOf(error), "'/x' is not writable")
  t.equal(messageOf(3), '3')
})
