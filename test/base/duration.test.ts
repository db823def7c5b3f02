import * as fc from 'fast-check'
import t from 'tap'
import * as d from '../../src/base/duration.ts'

/** A pattern for tap; its own type knows no fields beyond those of `Error`. */
const expected = (message: RegExp, hint: RegExp): Error =>
  ({ name: 'UserError', code: 'invalid_value', message, hint }) as unknown as Error

const { formatDuration, parseDuration } = d

t.test('text to milliseconds', async t => {
  const cases: Readonly<Record<string, number>> = {
    '10ns': 0.00001,
    '15us': 0.015,
    '200ms': 200,
    '15secs': 15_000,
    '1.1secs': 1_100,
    '1.5mins': 90_000,
    '.5mins': 30_000,
    '2hrs': 7_200_000,
    '1days': 86_400_000,
    '2weeks': 1_209_600_000,
    '0ns': 0,
  }
  for (const [text, ms] of Object.entries(cases)) t.equal(parseDuration(text), ms, text)
})

t.test('milliseconds to text', async t => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0ns'],
    [0.00001, '10ns'],
    [0.015, '15us'],
    [0.0155, '15500ns'],
    [200, '200ms'],
    [1_500, '1500ms'],
    [15_000, '15secs'],
    [60_000, '1mins'],
    [90_000, '90secs'],
    [600_000, '10mins'],
    [86_400_000, '1days'],
    [864_000_000, '10days'],
    [1_209_600_000, '2weeks'],
    [3_600_001, '60.0000166666667mins'],
    [-15_000, '-15secs'],
  ]
  for (const [ms, text] of cases) t.equal(formatDuration(ms), text)
})

t.test('what is printed parses to the same within its 15 digits', async () => {
  const units = fc.constantFrom(d.milliseconds, d.seconds, d.minutes, d.hours, d.days, d.weeks)
  fc.assert(
    fc.property(fc.nat(10_000), units, (n, unit) => {
      return Math.abs(parseDuration(formatDuration(unit(n))) - unit(n)) < 0.001
    }),
  )
})

t.test('errors say what is wrong and show what was meant', async t => {
  const hints: Readonly<Record<string, readonly [RegExp, RegExp]>> = {
    '15': [/'15' is not a duration: it has no unit/, /15secs; the units are ns, us, ms, secs/],
    '15s': [/'s' is no unit/, /15secs/],
    '3 hours': [/' hours' is no unit/, /3hrs/],
    '3 mins': [/' mins' is no unit/, /3mins/],
    '2fortnights': [/'fortnights' is no unit/, /2secs/],
    '1e3secs': [/'e3secs' is no unit/, /1secs/],
    '-1secs': [/it is negative/, /15secs/],
    secs: [/it has no number/, /1\.5mins/],
    '': [/it has no number/, /200ms/],
    '5toString': [/'toString' is no unit/, /5secs/],
  }
  for (const [text, [message, hint]] of Object.entries(hints)) {
    t.throws(() => parseDuration(text), expected(message, hint), text)
  }
})
