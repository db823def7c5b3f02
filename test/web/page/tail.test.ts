// Following a file through the master: never a byte twice, never one missed, whatever the text.

import * as fc from 'fast-check'
import t from 'tap'
import {
  keptBytes,
  plainText,
  stepBytes,
  Tail,
  type TailView,
  wholeCharacters,
} from '../../../src/web/page/tail.ts'
import { type Answer, reply, settle, unreachable, VirtualWorld } from './virtual-world.ts'

/** A file as the agent reads it: by bytes, at most 64 KiB at once, torn characters as U+FFFD. */
function fileOf(get: () => Uint8Array): Answer {
  return async path => {
    const query = new URLSearchParams(path.slice(path.indexOf('?')))
    const bytes = get()
    const offset = Number(query.get('offset'))
    if (offset < 0) return reply(200, { offset: bytes.length, data: '' })
    const end = offset + Math.min(Number(query.get('length')), 65_536)
    return reply(200, { offset, data: new TextDecoder().decode(bytes.subarray(offset, end)) })
  }
}

function follow(answer: Answer) {
  const world = new VirtualWorld()
  world.answer = answer
  const views: TailView[] = []
  const tail = new Tail(world, 'S1', '/frameworks/f/stdout', view => views.push(view))
  tail.start()
  return { world, tail, last: () => views.at(-1) }
}

const utf8 = (text: string) => new TextEncoder().encode(text)

t.test('a small file from its beginning, then what is appended', async t => {
  let text = 'one\n'
  const { world, last } = follow(fileOf(() => utf8(text)))
  await world.advance(0)
  t.match(last(), { text: 'one\n', startBytes: 0, endBytes: 4, status: 'following' })
  t.equal(world.asked[0], 'files/read?agent_id=S1&path=%2Fframeworks%2Ff%2Fstdout&offset=-1')
  text += 'two\n'
  await world.advance(1000)
  t.equal(last()?.text, 'one\ntwo\n')
  const asked = world.asked.length
  await world.advance(1000)
  t.equal(world.asked.length, asked + 1, 'an idle file costs one question for its length')
})

t.test('a large file from its end, and back step by step', async t => {
  const text = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join('')
  const { world, tail, last } = follow(fileOf(() => utf8(text)))
  await world.advance(0)
  t.equal(last()?.text, text.slice(-stepBytes))
  t.equal(last()?.startBytes, text.length - stepBytes)
  tail.earlier()
  await world.advance(0)
  t.equal(last()?.text, text.slice(-2 * stepBytes))
  for (let steps = 0; steps < 10; steps++) tail.earlier()
  for (let turns = 0; turns < 100; turns++) await settle()
  t.equal(last()?.text, text)
  t.equal(last()?.startBytes, 0)
})

t.test('keeps a bounded piece of an endless file', async t => {
  let bytes = utf8('x')
  const { world, last } = follow(fileOf(() => bytes))
  await world.advance(0)
  bytes = utf8('x'.repeat(1 + keptBytes + 5 * stepBytes))
  await world.advance(1000)
  for (let turns = 0; turns < 200; turns++) await settle()
  t.equal(last()?.endBytes, bytes.length)
  t.equal(last()?.text.length, (last()?.endBytes ?? 0) - (last()?.startBytes ?? 0))
  t.ok((last()?.text.length ?? 0) <= keptBytes)
})

t.test('begins again when the file was cut', async t => {
  let text = 'old and long\n'
  const { world, last } = follow(fileOf(() => utf8(text)))
  await world.advance(0)
  text = 'new\n'
  await world.advance(1000)
  t.match(last(), { text: 'new\n', startBytes: 0, restarted: true })
})

t.test('says what is wrong, keeps the text, tries again', async t => {
  const file = fileOf(() => utf8('text'))
  const { world, last } = follow(file)
  await world.advance(0)
  world.answer = async () => reply(404, 'Agent S1 is not connected\n')
  await world.advance(1000)
  t.match(last(), { text: 'text', status: 'failed', problem: 'Agent S1 is not connected' })
  world.answer = unreachable
  await world.advance(1000)
  t.match(last(), { status: 'failed', problem: 'Failed to fetch' })
  world.answer = file
  await world.advance(2000)
  t.match(last(), { text: 'text', status: 'following', problem: '' })
})

t.test('stopped, it asks nothing; started again, it goes on where it was', async t => {
  let text = 'one\n'
  const { world, tail, last } = follow(fileOf(() => utf8(text)))
  await world.advance(0)
  tail.stop()
  const asked = world.asked.length
  await world.advance(60_000)
  t.equal(world.asked.length, asked)
  text += 'two\n'
  tail.start()
  await world.advance(0)
  t.equal(last()?.text, 'one\ntwo\n')
})

t.test('any text arrives whole, wherever reads and writes cut it', async t => {
  const piece = fc.array(fc.constantFrom('a', 'é', '漢', '🚀', '\n'), { maxLength: 40 })
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(piece, cuts, async (characters, writes) => {
      const bytes = utf8(characters.join(''))
      let written = 0
      const { world, tail, last } = follow(fileOf(() => bytes.subarray(0, written)))
      await world.advance(0)
      for (const size of [...writes, bytes.length]) {
        written = Math.min(bytes.length, written + size)
        await world.advance(1000)
      }
      tail.stop()
      t.equal(last()?.endBytes, bytes.length)
      t.equal(last()?.text, characters.join(''))
    }),
    { numRuns: 60 },
  )
})

t.test('a torn character waits for its rest; binary data does not hold up', async t => {
  t.strictSame(wholeCharacters('abc', 3), { text: 'abc', sizeBytes: 3 })
  t.strictSame(wholeCharacters('aé\uFFFD', 5), { text: 'aé', sizeBytes: 3 })
  t.strictSame(wholeCharacters('\uFFFD', 3), { text: '', sizeBytes: 0 })
  t.strictSame(wholeCharacters('\uFFFD', 4), { text: '\uFFFD', sizeBytes: 4 })
  t.strictSame(wholeCharacters('a\uFFFDb\uFFFD', 4), { text: 'a\uFFFDb\uFFFD', sizeBytes: 4 })
})

t.test('colours of a terminal are left out', async t => {
  t.equal(plainText('\u001b[1;31merror\u001b[0m: no\u001b[K'), 'error: no')
})
