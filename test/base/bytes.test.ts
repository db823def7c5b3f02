import * as fc from 'fast-check'
import t from 'tap'
import * as b from '../../src/base/bytes.ts'

/** A pattern for tap; its own type knows no fields beyond those of `Error`. */
const expected = (message: RegExp, hint: RegExp): Error =>
  ({ name: 'UserError', code: 'invalid_value', message, hint }) as unknown as Error

const { formatBytes, parseBytes } = b

t.test('text to bytes', async t => {
  const cases: Readonly<Record<string, number>> = {
    '0B': 0,
    '10B': 10,
    '4KB': 4_096,
    '10mb': 10_485_760,
    '2GB': 2_147_483_648,
    '1TB': 1_099_511_627_776,
  }
  for (const [text, sizeBytes] of Object.entries(cases)) t.equal(parseBytes(text), sizeBytes, text)
})

t.test('bytes to text', async t => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0B'],
    [1_023, '1023B'],
    [b.kilobytes(1_025), '1025KB'],
    [b.megabytes(10), '10MB'],
    [b.gigabytes(2), '2GB'],
    [b.terabytes(3_000), '3000TB'],
  ]
  for (const [sizeBytes, text] of cases) t.equal(formatBytes(sizeBytes), text)
})

t.test('what is printed parses to the same', async () => {
  fc.assert(fc.property(fc.maxSafeNat(), n => parseBytes(formatBytes(n)) === n))
})

t.test('errors say what is wrong and show what was meant', async t => {
  const hints: Readonly<Record<string, readonly [RegExp, RegExp]>> = {
    '10': [/'10' is not a size in bytes: it has no unit/, /10MB; the units are B, KB, MB, GB, TB/],
    '10GiB': [/'GiB' is no unit/, /10GB/],
    '10k': [/'k' is no unit/, /10KB/],
    '10 frogs': [/' frogs' is no unit/, /10MB/],
    '1.5GB': [/fractions are not understood/, /1536MB/],
    '9999999TB': [/too large/, /8191TB/],
    '-1MB': [/it is negative/, /10MB/],
    MB: [/it has no number/, /10MB/],
  }
  for (const [text, [message, hint]] of Object.entries(hints)) {
    t.throws(() => parseBytes(text), expected(message, hint), text)
  }
})
