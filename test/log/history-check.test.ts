import t from 'tap'
import { HistoryCheck } from '../../src/log/history-check.ts'
import type { StoredRecord } from '../../src/log/record.ts'
import { appendOf } from '../../src/log/storage.ts'

const vote = (position: number, proposal: number, text: string): StoredRecord => ({
  type: 'write',
  position,
  proposal,
  learned: false,
  value: appendOf(Buffer.from(text)),
})
const promise = (position: number, promised: number): StoredRecord => ({
  type: 'promise',
  position,
  promised,
})
const status = (promised: number): StoredRecord => ({
  type: 'metadata',
  status: 'VOTING',
  promised,
})
const held = (position: number, proposal: number): StoredRecord => ({
  type: 'held',
  position,
  held: {
    promised: proposal,
    performed: { proposal, learned: false, value: { type: 'APPEND' } },
  },
})
const restating = (restated: StoredRecord[], own: StoredRecord[]): StoredRecord[] => [
  { type: 'closed', sizeBytes: 100 },
  ...restated,
  { type: 'released', through: 0 },
  ...own,
]

/** A replica that has promised 5, and voted at 1 and 2. */
function begun(): HistoryCheck {
  const check = new HistoryCheck()
  t.same(check.add([status(5), vote(1, 5, 'a'), vote(2, 5, 'b')]), [])
  return check
}

t.test('nothing is wrong with a batch that restates its own records', t => {
  const check = begun()
  const own = [status(6), promise(2, 7), vote(2, 7, 'c'), promise(2, 9), vote(3, 6, 'd')]
  const restated = [status(5), held(1, 5), held(2, 9), held(3, 6)]
  t.same(check.add(restating(restated, own)), [])
  t.same(check.add([vote(3, 6, 'd'), promise(2, 10)]), [])
  t.match(check.add([vote(2, 9, 'e')]), [/though 10 was promised/])
  t.match(check.add([vote(1, 5, 'x')]), [/carries two values/], 'that was not forgotten')
  t.end()
})

t.test('what is wrong with its own records is told', t => {
  const restated = [status(5), held(1, 5), held(2, 5)]
  t.match(begun().add(restating(restated, [vote(1, 5, 'x')])), [/carries two values/])
  t.match(begun().add(restating(restated, [vote(2, 3, 'b')])), [/though 5 was promised/])
  t.match(begun().add(restating(restated, [status(4)])), [/sinks from 5 to 4/])
  t.match(begun().add(restating([status(4)], [])), [/sinks from 5 to 4/], 'restated wrongly')
  t.end()
})

t.test('where something was missed, what is restated is believed', t => {
  for (const check of [new HistoryCheck(), begun()]) {
    check.missed()
    t.same(check.add(restating([status(8), held(1, 8)], [vote(1, 8, 'z'), promise(4, 8)])), [])
    t.match(check.add([vote(1, 7, 'y')]), [/though 8 was promised/])
  }
  t.end()
})
