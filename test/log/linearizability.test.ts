// The checkers of the log's simulation, held against histories that are known to be good, and known to be bad.

import t from 'tap'
import type { Position } from '../../src/messages/log.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { linearize, type Model } from './sim/linearizability.ts'
import { History } from './sim/history.ts'
import { LOG_MODEL, type LogOp } from './sim/log-model.ts'
import { Truth } from './sim/truth.ts'
import { breaches, type Said } from './sim/votes.ts'

type Line = readonly [drawn: string, ...ops: LogOp[]]

/** One line a client, one column a moment: `[` a call, `]` its return; what lies between is the operation's. */
function history(...lines: readonly Line[]) {
  const calls = lines.flatMap(([drawn, ...ops]) => {
    const spans = [...drawn.matchAll(/\[[^\]]*(\]|$)/g)]
    return ops.map((op, i) => {
      const { 0: text, index: from } = spans[i]!
      return { op, from, to: text.endsWith(']') ? from + text.length : Infinity }
    })
  })
  return linearize(calls, LOG_MODEL).ok
}

const append = (name: string, at?: Position): LogOp => ({
  type: 'append',
  name,
  ...(at !== undefined && { at }),
})
const truncate = (to: Position, at?: Position): LogOp => ({
  type: 'truncate',
  to,
  ...(at !== undefined && { at }),
})
const read = (begin: Position, ...found: (readonly [Position, string])[]): LogOp => ({
  type: 'read',
  begin,
  found,
})

t.test('good histories of a log', async t => {
  const good: Record<string, readonly Line[]> = {
    'one after the other': [
      ['[] [] []', append('a', 1), append('b', 2), read(0, [1, 'a'], [2, 'b'])],
    ],
    'an empty log is read': [['[]', read(0)]],
    'a read at the same time sees it': [
      ['[   ]', append('a', 1)],
      [' [] ', read(0, [1, 'a'])],
    ],
    'or does not see it yet': [
      ['[   ]', append('a', 1)],
      [' [] ', read(0)],
    ],
    'at the same time, in the other order': [
      ['[   ]', append('a', 2)],
      ['[   ]', append('b', 1)],
      ['      []', read(0, [1, 'b'], [2, 'a'])],
    ],
    'nobody knows of it, and it happened': [
      ['[', append('a')],
      ['  []', read(0, [1, 'a'])],
    ],
    'nobody knows of it, and it did not': [
      ['[', append('a')],
      ['  []', read(0)],
    ],
    'nobody knows of it, and it happens later': [
      ['[', append('a')],
      ['  [] [] []', read(0), append('b', 1), read(0, [1, 'b'], [4, 'a'])],
    ],
    truncated: [['[] [] [] []', append('a', 1), append('b', 2), truncate(2, 3), read(2, [2, 'b'])]],
    'truncated by somebody of whom nobody knows': [
      ['[] []', append('a', 1), append('b', 2)],
      ['     [', truncate(2)],
      ['      [] []', read(0, [1, 'a'], [2, 'b']), read(2, [2, 'b'])],
    ],
    'two of which nobody knows, in an order that only the last read tells': [
      ['[', append('a')],
      ['[', append('b')],
      ['  [] []', read(0, [3, 'b']), read(0, [3, 'b'], [7, 'a'])],
    ],
  }
  for (const [what, lines] of Object.entries(good)) t.equal(history(...lines), true, what)
})

t.test('bad histories of a log', async t => {
  const bad: Record<string, readonly Line[]> = {
    'a stale read': [['[] []', append('a', 1), read(0)]],
    'a stale read, after another one saw it': [
      ['[       ]', append('a', 1)],
      [' [] []', read(0, [1, 'a']), read(0)],
    ],
    'a lost update': [['[] [] []', append('a', 1), append('b', 2), read(0, [2, 'b'])]],
    'written over': [['[] []', append('a', 1), append('b', 1)]],
    reordered: [['[] []', append('a', 2), append('b', 1)]],
    'read in another order': [
      ['[   ]', append('a', 1)],
      ['[   ]', append('b', 2)],
      ['      []', read(0, [2, 'b'], [1, 'a'])],
    ],
    'at another position than its writer was told': [['[] []', append('a', 1), read(0, [2, 'a'])]],
    'a phantom': [['[] []', append('a', 1), read(0, [1, 'a'], [2, 'x'])]],
    'before it was called': [
      ['[]', read(0, [1, 'a'])],
      ['   []', append('a', 1)],
    ],
    'read, and gone again': [
      ['[', append('a')],
      ['  [] []', read(0, [1, 'a']), read(0)],
    ],
    'two see two orders': [
      ['[', append('a')],
      ['[', append('b')],
      ['  []', read(0, [1, 'a'], [2, 'b'])],
      ['  []', read(0, [1, 'b'], [2, 'a'])],
    ],
    twice: [['[] []', append('a', 1), read(0, [1, 'a'], [2, 'a'])]],
    'read though it was truncated': [
      ['[] [] []', append('a', 1), truncate(2, 2), read(0, [1, 'a'])],
    ],
    'truncated too far': [['[] [] [] []', append('a', 1), append('b', 2), truncate(2, 3), read(2)]],
    'a position twice': [['[] []', append('a', 1), truncate(1, 1)]],
  }
  for (const [what, lines] of Object.entries(bad)) t.equal(history(...lines), false, what)
})

t.test('a register, as others check theirs', async t => {
  type Op = { readonly write: number } | { readonly read: number }
  const register: Model<number, Op> = {
    initial: 0,
    step: (state, op) => ('write' in op ? op.write : op.read === state ? state : undefined),
    key: String,
  }
  const ok = (...calls: [Op, from: number, to: number][]) =>
    linearize(
      calls.map(([op, from, to]) => ({ op, from, to })),
      register,
    ).ok
  // The examples of Herlihy and Wing: a new value, then the old one, while one write is under way.
  t.equal(ok([{ write: 1 }, 0, 9], [{ read: 1 }, 1, 2], [{ read: 1 }, 3, 4]), true)
  t.equal(ok([{ write: 1 }, 0, 9], [{ read: 1 }, 1, 2], [{ read: 0 }, 3, 4]), false)
  t.equal(
    ok([{ write: 1 }, 0, 9], [{ write: 2 }, 1, 8], [{ read: 2 }, 2, 3], [{ read: 1 }, 4, 5]),
    true,
  )
  t.equal(ok([{ write: 1 }, 0, Infinity], [{ read: 0 }, 1, 2], [{ read: 1 }, 3, 4]), true)
})

t.test(
  'what one machine did is always linearizable, and one wrong word makes it not so',
  async t => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = new SeededRandom(seed)
      const log: [Position, string][] = []
      let begin = 0
      let next = 1
      const calls = Array.from({ length: 60 }, (_, i) => {
        // Each takes effect at i, and is seen to take longer, so that they overlap.
        const [from, to] = [i - random.next() * 4, i + random.next() * 4]
        const lost = random.next() < 0.1
        const what = random.next()
        let op: LogOp
        if (what < 0.5) {
          op = append(`v${i}`, lost ? undefined : next)
          log.push([next++, `v${i}`])
        } else if (what < 0.55) {
          begin = Math.max(begin, random.integer(next))
          op = truncate(begin, next++)
        } else {
          op = read(begin, ...log.filter(([at]) => at >= begin))
        }
        return { op, from, to: lost && op.type === 'append' ? Infinity : to }
      })
      t.equal(linearize(calls, LOG_MODEL).ok, true, `seed ${seed}`)
      // Of a write that was confirmed, so that it must have happened.
      const confirmed = new Set(
        calls.flatMap(({ op, to }) => (to < Infinity && 'name' in op ? op.name : [])),
      )
      const spoils = calls.flatMap(({ op }) => {
        if (op.type !== 'read') return []
        const entry = op.found.slice(0, -1).find(([, name]) => confirmed.has(name))
        return entry ? [{ op, found: op.found.filter(each => each !== entry) }] : []
      })
      const { op, found } = spoils[random.integer(spoils.length)]!
      const spoiled = calls.map(call => (call.op === op ? { ...call, op: { ...op, found } } : call))
      t.equal(
        linearize(spoiled, LOG_MODEL).ok,
        false,
        `seed ${seed}, without an entry in the middle`,
      )
    }
  },
)

t.test('the truth says which of the open writes happened', async t => {
  const problems: string[] = []
  const truth = new Truth(['r1', 'r2', 'r3'], text => problems.push(text))
  const client = new History()
  client.asks('c', { type: 'append', name: 'a' })
  client.asks('c', { type: 'append', name: 'b' })
  truth.voted('r1', 1, 1, 'a')
  truth.voted('r1', 1, 1, 'a')
  t.equal(truth.chosen(1), undefined, 'a vote that is repeated is one')
  truth.voted('r2', 1, 1, 'a')
  t.equal(truth.chosen(1), 'a')
  client.answered(client.asks('d', { type: 'read' }), { begin: 0, found: [[1, 'a']] })
  t.equal(client.flaw(truth), undefined)
  client.answered(client.asks('d', { type: 'read' }), {
    begin: 0,
    found: [
      [1, 'a'],
      [2, 'b'],
    ],
  })
  t.match(client.flaw(truth), /not linearizable/, 'b was never chosen')
  t.strictSame(problems, [])
  truth.learned('r3', 2, 'b')
  truth.voted('r3', 1, 2, 'c')
  truth.voted('r2', 1, 2, 'c')
  truth.voted('r3', 1, 2, 'd')
  truth.voted('r1', 5, 2, 'a')
  truth.voted('r2', 5, 2, 'a')
  t.strictSame(problems, [
    'r3 learned b at 2, where nothing is chosen',
    'two values chosen at 1: a, and then c',
    'two values under one proposal: c and d at 1 under 2',
    'two values chosen at 1: a, and then d',
    'a was written once, and is chosen at 1 and at 5',
  ])
})

t.test('the truth counts the votes of those who are members at a position', async t => {
  const problems: string[] = []
  const truth = new Truth(['r1', 'r2', 'r3'], text => problems.push(text))
  const grown = { version: 1, members: ['r1', 'r2', 'r3', 'r4'] }
  truth.voted('r1', 1, 1, 'M', grown)
  truth.voted('r4', 1, 1, 'M', grown)
  truth.voted('r4', 2, 1, 'a')
  t.equal(truth.chosen(1), undefined, 'who is to be added has no vote on that')
  truth.voted('r1', 2, 1, 'a')
  truth.voted('r2', 1, 1, 'M', grown)
  t.same(truth.membersAt(1), ['r1', 'r2', 'r3'])
  t.same(truth.membersAt(2), grown.members)
  t.equal(truth.chosen(2), undefined, 'two of four')
  truth.voted('r9', 2, 1, 'a')
  t.equal(truth.chosen(2), undefined, 'who is no member has no vote')
  truth.voted('r2', 2, 1, 'a')
  t.equal(truth.chosen(2), 'a')
  t.strictSame(problems, [])
  for (const r of grown.members) truth.voted(r, 3, 1, 'two', { version: 2, members: ['r1', 'r2'] })
  t.match(problems, [/version 2.*chosen at 3.*at 1/], 'one at a time')
})

t.test('what an acceptor may say, and what it may not', async t => {
  const said = (...all: (Said | undefined)[]) =>
    breaches(all.map(each => (each ? { said: each } : {})))
  const implicit = (proposal: number, end: Position): Said => ({ type: 'implicit', proposal, end })
  const vote = (proposal: number, position: Position, ...names: string[]): Said => ({
    type: 'vote',
    proposal,
    position,
    names,
  })
  const explicit = (
    proposal: number,
    position: Position,
    accepted?: { proposal: number; name: string },
    isLearned = false,
  ): Said => ({ type: 'explicit', proposal, position, accepted, isLearned })
  t.strictSame(
    said(
      implicit(1, 0),
      undefined,
      vote(1, 1, 'a', 'b'),
      vote(1, 1, 'a', 'b'),
      implicit(3, 2),
      vote(2, 1, 'a'),
      explicit(4, 2, { proposal: 1, name: 'b' }),
      vote(4, 2, 'b'),
      explicit(2, 1, { proposal: 2, name: 'a' }, true),
      vote(3, 3, 'c'),
    ),
    [],
  )
  t.match(said(implicit(2, 0), implicit(2, 0)), [/promised 2 to a candidate after 2/])
  t.match(said(implicit(2, 0), vote(1, 1, 'a')), [/voted for a at 1 under 1, having promised 2/])
  t.match(said(explicit(2, 5), vote(1, 5, 'a')), [/having promised 2/])
  t.match(said(explicit(2, 5), explicit(2, 5)), [/promised 2 at 5 after 2/])
  t.match(said(vote(1, 1, 'a'), vote(1, 1, 'b')), [/voted twice at 1 under 1: a and b/])
  t.match(said(vote(1, 1, 'a'), explicit(2, 1)), [/told of nothing at 1, having voted under 1/])
  t.match(said(vote(2, 1, 'a'), explicit(3, 1, { proposal: 1, name: 'z' })), [/told of 1 at 1/])
  t.match(said(vote(2, 1, 'a'), explicit(3, 1, { proposal: 2, name: 'z' })), [/told of z at 1/])
  t.match(said(vote(2, 7, 'a'), implicit(3, 6)), [/with 6 as its last, having voted at 7/])
})
