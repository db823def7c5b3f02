// Bytes that everybody can read, and bytes that nobody should have sent.

import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import t from 'tap'
import { decode, decodeFrames, encode, MAX_DEPTH, MalformedError } from '../../src/actors/codec.ts'
import { LIST_HEADER_BYTES, Packing } from '../../src/actors/packing.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

t.test('golden bytes', async t => {
  // From the msgpack specification; any other library writes and reads the same.
  const golden: [unknown, string][] = [
    [null, 'c0'],
    [false, 'c2'],
    [true, 'c3'],
    [0, '00'],
    [127, '7f'],
    [128, 'cc 80'],
    [256, 'cd 0100'],
    [65_536, 'ce 00010000'],
    [-1, 'ff'],
    [-32, 'e0'],
    [-33, 'd0 df'],
    [-129, 'd1 ff7f'],
    [-32_769, 'd2 ffff7fff'],
    [1.5, 'cb 3ff8000000000000'],
    [2 ** 53 - 1, 'cb 433fffffffffffff'],
    ['', 'a0'],
    ['ü', 'a2 c3bc'],
    ['x'.repeat(32), `d9 20 ${'78'.repeat(32)}`],
    [Buffer.from([1, 2]), 'c4 02 0102'],
    [[], '90'],
    [[1, [2]], '92 01 91 02'],
    [Array(16).fill(0), `dc 0010 ${'00'.repeat(16)}`],
    [{}, '80'],
    [{ a: 1, b: { c: null } }, '82 a1 61 01 a1 62 81 a1 63 c0'],
    [{ gone: undefined }, '81 a4 676f6e65 d4 00 00'],
    [
      [2, 'master', 'x', 'p/m', { id: 1 }, 7],
      '96 02 a6 6d6173746572 a1 78 a3 702f6d 81 a2 6964 01 07',
    ],
  ]
  for (const [value, expected] of golden) {
    const text = JSON.stringify(value) ?? 'undefined'
    t.equal(hex(encode(value)), expected.replaceAll(' ', ''), `write ${text.slice(0, 40)}`)
    t.strictSame(decode(bytes(expected)), value, `read ${text.slice(0, 40)}`)
  }
  // Forms that others may choose, and we do not.
  const readable: [string, unknown][] = [
    ['ca 3fc00000', 1.5],
    ['cf 0000000000000001', 1],
    ['d3 ffffffffffffffff', -1],
    ['da 0001 78', 'x'],
    ['db 00000001 78', 'x'],
    ['c5 0001 07', Buffer.from([7])],
    ['c6 00000001 07', Buffer.from([7])],
    ['dd 00000001 07', [7]],
    ['de 0001 a1 78 07', { x: 7 }],
    ['df 00000001 a1 78 07', { x: 7 }],
  ]
  for (const [text, value] of readable) t.strictSame(decode(bytes(text)), value, text)
})

t.test('a list whose members were written one by one', async t => {
  for (const count of [1, 15, 16, 65_535, 65_536]) {
    const members = Array.from({ length: count }, (_, i) => i % 300)
    const packing = new Packing(LIST_HEADER_BYTES)
    for (const member of members) packing.value(member)
    t.ok(Buffer.compare(packing.takeList(count), encode(members)) === 0, `${count} members`)
  }
})

t.test('what is no acceptable message', async t => {
  const refused: [string, RegExp][] = [
    ['', /cut short at byte 0/],
    ['c1', /byte 0xc1 at 0/],
    ['00 00', /1 bytes after the end/],
    ['dd ffffffff', /4294967295 items claimed at byte 5/],
    ['df ffffffff', /8589934590 items claimed at byte 5/],
    ['dc ffff 00', /65535 items claimed/],
    ['de ffff 00', /131070 items claimed/],
    ['9f 00', /15 items claimed/],
    ['db ffffffff 78', /cut short/],
    ['c6 ffffffff 78', /cut short/],
    ['bf 78', /cut short/],
    ['d6 ff 00000000', /byte 0xd6 at 0/],
    ['c7 00 01', /byte 0xc7 at 0/],
    ['d4 01 00', /extension type 1 at byte 0/],
    ['d4 72 40', /extension type 114 at byte 0/],
    ['d4 00 01', /extension type 0 at byte 0/],
    ['81 80 00', /the key at byte 1 is no string/],
    ['81 01 00', /the key at byte 1 is no string/],
    ['82 a0 81 a0 00 c0 00', /the key at byte 5 is no string/],
    ['91 81 91 00 00', /the key at byte 2 is no string/],
  ]
  for (const [text, expected] of refused) {
    t.throws(() => decode(bytes(text)), new MalformedError(''), text || 'nothing')
    t.throws(() => decode(bytes(text)), { message: expected }, text || 'nothing')
  }
  const deep = (depth: number) => bytes(`${'91'.repeat(depth)}c0`)
  t.ok(decode(deep(MAX_DEPTH)))
  t.throws(() => decode(deep(MAX_DEPTH + 1)), { message: /deeper than 64/ })
  t.throws(() => decode(deep(1_000_000)), { message: /deeper than 64/ })
  t.throws(() => decode(encode(new Date(0))), MalformedError, 'a Date is no part of a message')
})

t.test('every beginning of a message is refused', async t => {
  const message = encode([
    [0, { address: 'a:1', n: [1, -1, 1.5, 300, 70_000, 2 ** 40], s: 'x'.repeat(40) }],
    [1, 'to', 'from', 'p/m', { b: Buffer.alloc(300), u: undefined, l: 'y'.repeat(300) }],
    Array(20).fill(null),
  ])
  t.ok(decode(message))
  for (let length = 0; length < message.length; length++) {
    t.throws(() => decode(message.subarray(0, length)), MalformedError, `${length} bytes`)
  }
})

t.test('claims cost no memory', async t => {
  const before = process.memoryUsage().rss
  for (const text of ['dd 10000000', 'df 08000000', 'c6 40000000', 'db 40000000']) {
    const message = bytes(text)
    for (let i = 0; i < 1_000; i++) t.throws(() => decode(message))
  }
  t.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024)
})

t.test('empty lists are not cheap because they are short', async t => {
  const bomb = Buffer.alloc(2_000_005, 0x90)
  bomb.set([0xdd, 0, 0x1e, 0x84, 0x80])
  t.throws(() => decode(bomb), { name: 'MalformedError', message: /more than 1000000 lists/ })
})

t.test('names of prototypes are plain names', async t => {
  const evil = bytes(
    '82 a9 5f5f70726f746f5f5f 81 a8 706f6c6c75746564 c3 ab 636f6e7374727563746f72 01',
  )
  const decoded = decode(evil) as Record<string, unknown>
  t.equal(Object.getPrototypeOf(decoded), Object.prototype)
  t.equal(decoded['polluted'], undefined)
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
  t.equal(decoded['constructor'], 1)
})

const plain = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    fc.constant(null),
    fc.constant(undefined),
    fc.boolean(),
    fc.maxSafeInteger(),
    // -0 is sent as 0.
    fc.double({ noNaN: true }).map(x => (x === 0 ? 0 : x)),
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc.uint8Array({ maxLength: 300 }).map(array => Buffer.from(array)),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ unit: 'grapheme', maxLength: 20 }).filter(key => key !== '__proto__'),
      tie('value'),
      { noNullPrototype: true },
    ),
  ),
})).value

t.test('decode(encode(x)) is x', async t => {
  fc.assert(
    fc.property(plain, value => {
      t.strictSame(decode(encode(value)), value)
    }),
    { numRuns: 500 },
  )
})

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' })

t.test('another library reads what we write', async t => {
  fc.assert(
    fc.property(plain, value => {
      t.strictSame(packr.unpack(Buffer.from(encode(value))), value)
    }),
    { numRuns: 500 },
  )
  class Point {
    readonly x = 1
  }
  const odd: [unknown, unknown][] = [
    [new Map([['a', 1]]), { a: 1 }],
    [new Set([1]), [1]],
    [new Point(), { x: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [5n, 5],
    [() => 1, undefined],
    // Alone it is no character.
    ['\ud800', '\ufffd'],
    ['é'.repeat(31), 'é'.repeat(31)],
    ['é'.repeat(3_000), 'é'.repeat(3_000)],
    ['x'.repeat(70_000), 'x'.repeat(70_000)],
  ]
  for (const [value, read] of odd) {
    t.strictSame(decode(encode([value, 'next'])), [read, 'next'])
  }
})

t.test(
  'a tell that left out its beginning gets that of the tell before; all else is read as it is',
  async t => {
    const id = fc.constantFrom('a', 'b', 'master', 'x'.repeat(40))
    const tell = fc.tuple(fc.constant(1), id, id, fc.constantFrom('p/m', 'p/n'), plain)
    const again = fc.tuple(fc.constant(12), plain)
    const ask = fc.tuple(fc.constant(2), id, id, id, plain, fc.nat())
    const frames = fc.array(fc.oneof({ weight: 5, arbitrary: tell }, again, ask, plain), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(frames, fc.option(fc.nat()), (list, cut) => {
        const whole = encode(list)
        const input = cut === null ? whole : whole.subarray(0, cut % (whole.length + 1))
        const outcome = (read: (bytes: Uint8Array) => unknown): unknown => {
          try {
            return read(input)
          } catch (error) {
            return (error as Error).name
          }
        }
        t.strictSame(
          outcome(decodeFrames),
          outcome(bytes => madeWhole(decode(bytes))),
        )
      }),
      { numRuns: 2_000 },
    )
  },
)

t.test('a message full of what is no frame is not read on', async t => {
  const strays = (count: number) => encode([[1, 'a', 'b', 'p/m', 0], ...Array(count).fill(null)])
  t.equal((decodeFrames(strays(1_000)) as unknown[]).length, 1_001)
  t.throws(() => decodeFrames(strays(1_001)), MalformedError)
})

t.test('a message of very many tells is read whole', async t => {
  const bodies = Array.from({ length: 70_000 }, (_, i) => i % 100)
  const list = [[1, 'a', 'b', 'p/m', 0], ...bodies.map(body => [12, body])]
  t.ok(isDeepStrictEqual(decodeFrames(encode(list)), madeWhole(list)))
})

/** What `decodeFrames` says it does. */
function madeWhole(message: unknown): unknown {
  if (!Array.isArray(message)) return message
  let tell: readonly unknown[] | undefined
  return message.map((frame: unknown) => {
    if (!Array.isArray(frame)) return frame
    if (tell && frame[0] === 12 && frame.length === 2) return [...tell.slice(0, 4), frame[1]]
    if (frame[0] === 1 && frame.length === 5) tell = frame
    return frame
  })
}

t.test('keys that follow on each other otherwise than before are read as they are', async t => {
  const keys = ['a', 'ab', 'abc', 'b', 'ba', 'é', 'k'.repeat(33)]
  const map = fc.dictionary(fc.constantFrom(...keys), fc.nat(3), { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(map), maps => {
      t.strictSame(decode(encode(maps)), maps)
    }),
  )
})

t.test('maps of every size of header are read as they are, here and by another library', t => {
  for (const [count, header] of [
    [15, '8f'],
    [16, 'de0010'],
    [0xffff, 'deffff'],
    [0x1_0000, 'df00010000'],
  ] as const) {
    const map = Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]))
    const encoded = encode(map)
    t.equal(hex(encoded).slice(0, header.length), header)
    t.ok(isSame(decode(encoded), map) && isSame(packr.unpack(Buffer.from(encoded)), map), header)
  }
  t.end()
})

/** A deep comparison by tap of so many keys would take seconds. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

t.test('what cannot be encoded leaves nothing behind', async t => {
  const packing = new Packing()
  packing.value('before')
  t.throws(() => packing.value({ a: 'x'.repeat(1_000), b: Symbol('no') }))
  packing.value('after')
  t.equal(hex(packing.take()), hex(encode('before')) + hex(encode('after')))
})

t.test('the check agrees with the decoder', async t => {
  // Mostly headers, so that random bytes get beyond their first byte now and then; and real messages, damaged.
  const header = fc.constantFrom(
    ...bytes(
      '80 81 82 90 91 92 93 a0 a1 a2 bf c0 c1 c2 c4 c5 c6 c7 ca cb cc cd ce cf d0 d1 d2 d3 d4 d5 d9 da db dc dd de df',
    ),
  )
  const random = fc.array(fc.oneof(header, fc.integer({ min: 0, max: 8 }), fc.nat(255)), {
    maxLength: 40,
  })
  const damaged = fc
    .tuple(plain, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }))
    .map(([value, changes]) => {
      const out = Buffer.from(encode(value))
      for (const [at, byte] of changes) out[at % out.length] = byte
      return [...out]
    })
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(random, damaged), message => {
      const input = Buffer.from(message)
      let ours: unknown
      try {
        ours = decode(input)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        if (error.message.startsWith('not msgpack')) throw error
        return
      }
      accepted++
      // Bytes that are no UTF-8 are replaced, so that the value may be another one the second time round.
      t.strictSame(packr.unpack(input), ours)
    }),
    { numRuns: 5_000 },
  )
  t.ok(accepted > 500, `${accepted} were accepted`)
})
