// What waits for one peer: whole frames, in order, in messages that keep to the limit.

import fc from 'fast-check'
import t from 'tap'
import { decodeFrames, encode } from '../../src/actors/codec.ts'
import { FRAME, type Frame } from '../../src/actors/frames.ts'
import { Outbox, SharedFrame } from '../../src/actors/outbox.ts'
import { beginning } from '../../src/actors/packing.ts'

const LIMITS = { maxMessageBytes: 1_000, maxQueuedBytes: 5_000 }

const ALIKE = beginning(5, [FRAME.tell, 'to', 'from', 'p/m'])
const ASKED = beginning(6, [FRAME.ask, 'to', 'from', 'p/m'])

const asked = (frame: Frame): Frame => [
  FRAME.ask,
  'to',
  'from',
  'p/m',
  (frame as readonly unknown[])[4],
  7,
]
const note = (text: string): Frame => [FRAME.tell, 'to', 'from', 'p/m', { text }]
const read = (messages: readonly Uint8Array[]) =>
  messages.flatMap(it => decodeFrames(it) as Frame[])

t.test('whatever is added comes out once, in order, in messages within the limit', async t => {
  const step = fc.record({
    way: fc.constantFrom('whole', 'parts', 'alike', 'asked', 'shared', 'taken', 'from another'),
    length: fc.integer({ min: 0, max: 1_100 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const outbox = new Outbox()
      const expected: Frame[] = []
      const out: Frame[] = []
      let waiting = 0
      for (const [i, { way, length }] of steps.entries()) {
        if (way === 'taken') {
          const messages = outbox.take()
          t.ok(messages.every(it => it.length <= LIMITS.maxMessageBytes))
          out.push(...read(messages))
          waiting = 0
          continue
        }
        const said = note(`${i} ${'x'.repeat(length)}`)
        const frame: Frame = way === 'asked' ? asked(said) : said
        const size = encode(frame).length
        const overflow = add(outbox, way, frame)
        if (size + 5 > LIMITS.maxMessageBytes) t.equal(overflow, 'message too large')
        else if (waiting + size > LIMITS.maxQueuedBytes) t.equal(overflow, 'queue full')
        else {
          t.equal(overflow, undefined)
          expected.push(frame)
          const added = outbox.length - waiting
          // Only one that is alike can have left out its beginning.
          if (added !== size) t.strictSame([way, added], ['alike', size - ALIKE.length + 2])
          waiting += added
        }
        t.equal(outbox.length, waiting)
      }
      out.push(...read(outbox.take()))
      t.strictSame(out, expected)
    }),
    { numRuns: 300 },
  )
})

function add(outbox: Outbox, way: string, frame: Frame) {
  const [kind, to, from, name, body] = frame as readonly unknown[]
  const head = beginning(5, [kind, to, from, name])
  if (way === 'alike') return outbox.addParts(ALIKE, body, undefined, LIMITS)
  if (way === 'asked') return outbox.addParts(ASKED, body, 7, LIMITS)
  if (way === 'parts') return outbox.addParts(head, body, undefined, LIMITS)
  if (way === 'shared') return outbox.addShared(new SharedFrame(head, encode(body)), LIMITS)
  if (way === 'whole') return outbox.add(frame, LIMITS)
  const other = new Outbox()
  const limits = { ...LIMITS, maxQueuedBytes: LIMITS.maxQueuedBytes - outbox.length }
  const overflow = other.add(frame, limits)
  outbox.append(other)
  return overflow
}

t.test('tells in a row with one beginning have it sent once for each message', async t => {
  const outbox = new Outbox()
  const texts = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(20)}`)
  for (const text of texts) outbox.addParts(ALIKE, { text }, undefined, LIMITS)
  const messages = outbox.take()
  t.ok(messages.length > 1 && messages.every(it => it.length <= LIMITS.maxMessageBytes))
  const bodies = texts.reduce((sum, text) => sum + encode({ text }).length, 0)
  const sent = messages.reduce((sum, it) => sum + it.length, 0)
  t.ok(sent < bodies + 2 * texts.length + messages.length * (ALIKE.length + 3))
  t.strictSame(read(messages), texts.map(note))
})

t.test('a beginning is left out only where the frame before has it', async t => {
  const outbox = new Outbox()
  const other = beginning(5, [FRAME.tell, 'to', 'other', 'p/m'])
  const say = (head: Uint8Array, text: string) =>
    t.equal(outbox.addParts(head, { text }, undefined, LIMITS), undefined)
  say(ALIKE, 'one')
  t.equal(outbox.addParts(ASKED, { text: 'two' }, 7, LIMITS), undefined)
  say(ALIKE, 'three')
  say(other, 'four')
  t.equal(outbox.add(note('five'), LIMITS), undefined)
  say(ALIKE, 'six')
  t.throws(() => outbox.addParts(other, { text: Symbol('no') }, undefined, LIMITS))
  say(ALIKE, 'seven')
  say(other, 'eight')
  const messages = outbox.take()
  say(other, 'nine')
  t.strictSame(read([...messages, ...outbox.take()]), [
    note('one'),
    asked(note('two')),
    note('three'),
    [FRAME.tell, 'to', 'other', 'p/m', { text: 'four' }],
    note('five'),
    note('six'),
    note('seven'),
    [FRAME.tell, 'to', 'other', 'p/m', { text: 'eight' }],
    [FRAME.tell, 'to', 'other', 'p/m', { text: 'nine' }],
  ])
})

t.test('a long frame that many get is copied for none', async t => {
  const limits = { maxMessageBytes: 1_000_000, maxQueuedBytes: 5_000_000 }
  const head = beginning(5, [FRAME.tell, 'to', 'from', 'p/m'])
  const shared = new SharedFrame(head, encode({ text: 'x'.repeat(100_000) }))
  const outboxes = [new Outbox(), new Outbox()]
  for (const outbox of outboxes) {
    outbox.add(note('before'), limits)
    outbox.addShared(shared, limits)
    outbox.add(note('after'), limits)
  }
  const [one = [], two = []] = outboxes.map(it => it.take())
  t.equal(one.length, 3)
  t.equal(one[1], two[1])
  t.equal(read(one).length, 3)
})

t.test('what cannot be encoded is as if it had not been said', async t => {
  const outbox = new Outbox()
  const head = beginning(5, [FRAME.tell, 'to', 'from', 'p/m'])
  outbox.add(note('before'), LIMITS)
  t.throws(() => outbox.addParts(head, { text: Symbol('no') }, undefined, LIMITS))
  t.throws(() => outbox.add(note(Symbol('no') as never), LIMITS))
  outbox.addParts(head, { text: 'after' }, undefined, LIMITS)
  t.strictSame(read(outbox.take()), [note('before'), note('after')])
})

t.test(
  'what a getter or a toJSON says while it is read comes out whole, and so does what it is in',
  async t => {
    const limits = { maxMessageBytes: 100_000, maxQueuedBytes: 200_000 }
    const head = beginning(5, [FRAME.tell, 'to', 'from', 'p/m'])
    const ways = ['whole', 'parts', 'shared']
    for (const outer of ['whole', 'parts']) {
      for (const inner of ways) {
        const outbox = new Outbox()
        const other = new Outbox()
        const long = 'x'.repeat(1_000)
        const say = (it: Outbox, text: string) => {
          if (inner === 'whole') it.add(note(text), limits)
          else if (inner === 'parts') it.addParts(head, { text }, undefined, limits)
          else it.addShared(new SharedFrame(head, encode({ text })), limits)
        }
        const body = {
          before: 'before',
          get text() {
            say(outbox, `getter ${long}`)
            say(other, 'elsewhere')
            return 'own'
          },
          last: [new Spoken(() => say(outbox, 'toJSON'), long), 7],
        }
        outbox.add(note('first'), limits)
        if (outer === 'whole') outbox.add([FRAME.tell, 'to', 'from', 'p/m', body], limits)
        else outbox.addParts(head, body, undefined, limits)
        outbox.add(note('next'), limits)
        const whole = { before: 'before', text: 'own', last: [{ also: long }, 7] }
        const said = [note('first'), [FRAME.tell, 'to', 'from', 'p/m', whole]]
        said.push(note(`getter ${long}`), note('toJSON'), note('next'))
        t.equal(
          outbox.length,
          said.reduce((sum, it) => sum + encode(it).length, 0),
        )
        t.strictSame(read(outbox.take()), said, `${inner} in ${outer}`)
        t.equal(outbox.length, 0)
        t.strictSame(read(other.take()), [note('elsewhere')])
      }
    }
  },
)

t.test(
  'what a getter says follows what it is in, also where that goes into the next message',
  async t => {
    const outbox = new Outbox()
    outbox.add(note('x'.repeat(900)), LIMITS)
    const body = {
      get text() {
        outbox.add(note('getter'), LIMITS)
        return 'y'.repeat(200)
      },
    }
    outbox.add([FRAME.tell, 'to', 'from', 'p/m', body], LIMITS)
    outbox.add(note('next'), LIMITS)
    const texts = read(outbox.take()).map(frame => (frame[4] as { text: string }).text[0])
    t.strictSame(texts, ['x', 'y', 'g', 'n'])
  },
)

t.test('what a getter says has been said even if it throws then', async t => {
  const outbox = new Outbox()
  const head = beginning(5, [FRAME.tell, 'to', 'from', 'p/m'])
  const body = {
    get text() {
      outbox.add(note('said'), LIMITS)
      throw new Error('no')
    },
  }
  t.throws(() => outbox.addParts(head, body, undefined, LIMITS), { message: 'no' })
  t.strictSame(read(outbox.take()), [note('said')])
})

class Spoken {
  readonly #say: () => void
  readonly #also: string

  constructor(say: () => void, also: string) {
    this.#say = say
    this.#also = also
  }

  toJSON() {
    this.#say()
    return { also: this.#also }
  }
}
