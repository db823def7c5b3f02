import fc from 'fast-check'
import t from 'tap'
import * as v from 'valibot'
import { collectPromises, collectWrites, fillStep, proposalAbove } from '../../src/log/proposer.ts'
import { ensembleOf, isSafeQuorum, majorityOf } from '../../src/log/quorum.ts'
import {
  type Action,
  MAX_PROPOSAL,
  PromiseRequest,
  type PromiseResponse,
  type Value,
} from '../../src/messages/log.ts'

const NOP: Value = { type: 'NOP' }
const to = (n: number): Value => ({ type: 'TRUNCATE', to: n })

const performed = (proposal: number, value: Value, learned = false): Action => ({
  position: 3,
  promised: proposal,
  performed: { proposal, learned, value },
})
const accept = (action?: Action, position = 3): PromiseResponse => ({
  type: 'accept',
  proposal: 9,
  position,
  ...(action && { action }),
})
const reject = (proposal: number): PromiseResponse => ({ type: 'reject', proposal })
const ignored: PromiseResponse = { type: 'ignored' }

/** Feeds answers of r0, r1, … in order; which of them decided, and what. */
function decide(quorum: number, asked: number, answers: readonly (PromiseResponse | undefined)[]) {
  const collector = collectPromises(quorum, asked)
  for (const [i, answer] of answers.entries()) {
    const outcome = collector.add(`r${i}`, answer)
    if (outcome) return { by: i, outcome }
  }
  return undefined
}

t.test('a quorum of promises is enough, and the highest position counts', async t => {
  t.same(decide(2, 3, [accept(undefined, 4), accept(undefined, 7)]), {
    by: 1,
    outcome: { type: 'accept', position: 7 },
  })
  t.equal(decide(2, 3, [accept()]), undefined)
  t.same(decide(1, 1, [accept()])?.outcome, { type: 'accept', position: 3 })
})

t.test('one rejection in the first quorum rejects, with the highest proposal', async t => {
  t.same(decide(2, 3, [accept(), reject(5)])?.outcome, { type: 'reject', proposal: 5 })
  t.same(decide(3, 5, [reject(5), reject(8), accept()])?.outcome, { type: 'reject', proposal: 8 })
})

t.test('a learned action is enough by itself, even after rejections', async t => {
  const learned = performed(2, to(1), true)
  t.same(decide(3, 5, [reject(7), accept(learned)]), {
    by: 1,
    outcome: { type: 'accept', position: 3, action: learned },
  })
})

t.test('P2c: of what was performed, the one with the highest proposal binds', async t => {
  const first = performed(4, to(1))
  const second = performed(6, to(2))
  for (const answers of [
    [accept(first), accept(second), accept()],
    [accept(), accept(second), accept(first)],
  ]) {
    const outcome = decide(3, 5, answers)!.outcome
    t.same(fillStep(outcome, 9), { type: 'write', value: to(2) })
  }
  t.same(fillStep(decide(2, 3, [accept({ position: 3, promised: 8 }), accept()])!.outcome, 9), {
    type: 'write',
    value: NOP,
  })
})

t.test(
  'replicas that do not vote, or are silent, decide nothing but that there is no quorum',
  async t => {
    t.same(decide(2, 3, [ignored, accept(), accept()])?.by, 2)
    t.same(decide(2, 3, [ignored, ignored])?.outcome, { type: 'ignored' })
    t.same(decide(2, 3, [undefined, accept(), undefined])?.outcome, { type: 'ignored' })
    t.same(decide(3, 5, [undefined, reject(4), ignored, undefined])?.outcome, {
      type: 'reject',
      proposal: 4,
    })
  },
)

t.test('there is a highest proposal, and none above it', async t => {
  t.equal(proposalAbove(3, MAX_PROPOSAL - 1, 0), MAX_PROPOSAL)
  t.throws(() => proposalAbove(MAX_PROPOSAL, 1), { code: 'data_damaged', hint: /backup/ })
  t.ok(v.is(PromiseRequest, { proposal: MAX_PROPOSAL }))
  t.notOk(v.is(PromiseRequest, { proposal: MAX_PROPOSAL + 1 }))
})

t.test('a member counts once', async t => {
  const collector = collectWrites(2, 3)
  const yes = { type: 'accept', proposal: 1, position: 0 } as const
  t.equal(collector.add('a', yes), undefined)
  t.equal(collector.add('a', yes), undefined)
  t.same(collector.add('b', yes), { type: 'accept' })
})

t.test(
  'fill: learn what is chosen, repeat what may be, retry above what is in the way',
  async t => {
    const learned = performed(2, to(1), true)
    t.same(fillStep({ type: 'accept', position: 3, action: learned }, 9), {
      type: 'learn',
      action: learned,
    })
    t.same(fillStep({ type: 'accept', position: 3, action: performed(2, to(1)) }, 9), {
      type: 'write',
      value: to(1),
    })
    t.same(fillStep({ type: 'reject', proposal: 12 }, 9), { type: 'retry', above: 12 })
    t.same(fillStep({ type: 'reject', proposal: 9 }, 9), { type: 'retry', above: 9 })
    t.same(fillStep({ type: 'ignored' }, 9), { type: 'retry', above: 9 })
  },
)

t.test('a collector agrees with looking at all answers at once', async () => {
  const response = fc.oneof(
    fc.constant(undefined),
    fc.constant<PromiseResponse>(ignored),
    fc.nat(20).map(reject),
    fc.nat(5).map(position => accept(undefined, position)),
    fc.tuple(fc.nat(20), fc.boolean()).map(([p, learned]) => accept(performed(p, to(p), learned))),
  )
  const quorum = fc.integer({ min: 1, max: 4 })
  fc.assert(
    fc.property(quorum, fc.array(response, { minLength: 7, maxLength: 7 }), (q, all) => {
      const answers = all.slice(0, ensembleOf(q))
      const got = decide(q, ensembleOf(q), answers)
      if (!got) return false
      const seen = answers.slice(0, got.by + 1)
      const accepts = seen.flatMap(a => (a?.type === 'accept' ? [a] : []))
      const rejects = seen.flatMap(a => (a?.type === 'reject' ? [a.proposal] : []))
      const { outcome } = got
      switch (outcome.type) {
        case 'accept': {
          const actions = accepts.flatMap(a => a.action ?? [])
          if (outcome.action?.performed?.learned) return actions.includes(outcome.action)
          const highest = Math.max(-1, ...actions.map(a => a.performed?.proposal ?? -1))
          return (
            accepts.length === q &&
            rejects.length === 0 &&
            (outcome.action?.performed?.proposal ?? -1) === highest &&
            outcome.position === Math.max(...accepts.map(a => a.position))
          )
        }
        case 'reject':
          return outcome.proposal === Math.max(...rejects)
        case 'ignored':
          return rejects.length === 0 && accepts.length < q
      }
    }),
  )
})

t.test('two quorums meet, and a smaller number would not', async t => {
  for (let members = 1; members <= 9; members++) {
    const quorum = majorityOf(members)
    t.ok(isSafeQuorum(quorum, members))
    t.notOk(isSafeQuorum(quorum - 1, members))
    t.ok(members <= ensembleOf(quorum))
  }
})
