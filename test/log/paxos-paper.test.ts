// "Paxos Made Simple" (Lamport, 2001), sentence by sentence, in words of our own: what agents do, and what holds. Names begin
// with the section. An instance is a position; a prepare request is `promise`, an accept request is `write`.

import t from 'tap'
import { MAX_PROPOSAL } from '../../src/messages/log.ts'
import { fill } from '../../src/log/consensus.ts'
import { collectWrites, proposalAbove } from '../../src/log/proposer.ts'
import { ensembleOf, isSafeQuorum, majorityOf } from '../../src/log/quorum.ts'
import { Agents } from './paper-agents.ts'

const types = (answers: readonly { readonly type: string }[]): string =>
  answers.map(({ type }) => type).join(' ')

// 2.1 The problem

t.test('2.1 what is chosen has been proposed by somebody', async t => {
  const a = await Agents.of(3)
  t.equal(a.choice(await a.prepare(0, 1, 1, [0, 1]), 1), 'NOP', 'free: the proposer says what')
  await a.accept(0, 1, 1, 'x', [0])
  t.equal(a.choice(await a.prepare(1, 2, 1, [0, 1]), 2), 'x', 'bound: what another has proposed')
})

t.test('2.1 one value is chosen, and no other after it', async t => {
  const a = await Agents.of(3)
  await a.prepare(0, 1, 1, [0, 1])
  t.ok(a.isChosen(await a.accept(0, 1, 1, 'x', [0, 1])))
  for (const [by, some] of [
    [1, [1, 2]],
    [2, [0, 2]],
    [0, [0, 1, 2]],
  ] as const) {
    const n = 2 + by
    const answers = await a.prepare(by, n, 1, some)
    if (types(answers).includes('accept')) t.match(a.choice(answers, n), /^(x|again above \d+)$/)
  }
})

t.test('2.1 nobody learns a value that is not chosen', async t => {
  const a = await Agents.of(3)
  await a.prepare(0, 1, 1, [0, 1, 2])
  await a.accept(0, 1, 1, 'x', [0])
  for (const i of [0, 1, 2]) t.equal(await a.learned(i, 1), undefined)
  t.equal(await a.run(fill(a.host(1), 1, 2)), 0)
  const name = await a.learned(1, 1)
  t.equal(await a.learned(0, 1), name, 'and then all learn the same')
})

t.test('2.1 a chosen value can be learned in the end', async t => {
  const a = await Agents.of(3)
  await a.prepare(0, 1, 1, [0, 1])
  await a.accept(0, 1, 1, 'x', [0, 1])
  await a.run(fill(a.host(2), 1, 2))
  t.equal(await a.learned(2, 1), 'x')
})

t.test('2.1 one process may be more than one agent', async t => {
  const a = await Agents.of(1)
  const leader = a.leader(0)
  t.equal((await a.run(leader.elect())).type, 'elected', 'proposer and acceptor')
  const at = await a.run(a.append(leader, 'x'))
  t.equal(await a.learned(0, at!), 'x', 'and learner')
})

t.test(
  '2.1 agents may be slow, stop, and start again, all of them, after a value is chosen',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 1, 1, [0, 1])
    a.servers[1]!.disk.syncMs = 5_000
    t.ok(a.isChosen(await a.accept(0, 1, 1, 'x', [0, 1])), 'slow')
    for (const i of [0, 1, 2]) a.crash(i)
    for (const i of [0, 1, 2]) await a.start(i)
    await a.run(fill(a.host(2), 1, 2))
    t.equal(await a.learned(2, 1), 'x')
  },
)

t.test('2.1 messages may take long, come twice, or be lost; they are not corrupted', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  a.world.network.latencyMs = [0.1, 3_000]
  const lost = a.lose('write', 1)
  a.world.network.duplicate(({ message }) => message === 'log.replica/write')
  const positions = [a.append(leader, 'x'), a.append(leader, 'y')]
  await a.world.advance(2_000)
  a.world.network.reset(a.servers[2]!.address)
  t.strictSame(await a.run(Promise.all(positions)), [1, 2])
  lost.stop()
  t.equal(await a.learned(0, 1), 'x')
  t.equal(await a.learned(0, 2), 'y')
})

// 2.2 Choosing a value

t.test('2.2 with one acceptor nothing goes on while that one has failed', async t => {
  const a = await Agents.of(1)
  const leader = a.leader(0)
  await a.run(leader.elect())
  a.crash(0)
  let done = false
  void a.append(leader, 'x').then(() => (done = true))
  await a.world.advance(60_000)
  t.notOk(done)
})

t.test('2.2 several acceptors: a value is chosen when enough of them have accepted it', async t => {
  const a = await Agents.of(5)
  await a.prepare(0, 1, 1, [0, 1, 2])
  t.notOk(a.isChosen(await a.accept(0, 1, 1, 'x', [0, 1])))
  t.ok(a.isChosen(await a.accept(0, 1, 1, 'x', [0, 1, 2])))
})

t.test('2.2 enough are a majority, since any two majorities have a member in common', async t => {
  for (let members = 1; members <= 9; members++) {
    const quorum = majorityOf(members)
    t.ok(2 * quorum > members && quorum <= members)
    t.ok(isSafeQuorum(quorum, members))
    t.notOk(isSafeQuorum(quorum - 1, members), 'one fewer is not enough')
    if (members % 2 === 1) t.equal(ensembleOf(quorum), members)
  }
})

t.test('2.2 it works since an acceptor accepts one value at most under a number', async t => {
  const collector = collectWrites(2, 3)
  t.equal(collector.add('r1', { type: 'accept', proposal: 1, position: 1 }), undefined)
  t.equal(
    collector.add('r1', { type: 'accept', proposal: 1, position: 1 }),
    undefined,
    'and is counted once',
  )
})

t.test('2.2 P1: the first proposal that comes is accepted, were it the only one', async t => {
  const a = await Agents.of(3)
  t.equal(types(await a.accept(2, 1, 1, 'x', [0])), 'accept', 'without any promise before it')
})

t.test(
  '2.2 each may have accepted another value: then none is chosen, and another proposal is',
  async t => {
    const a = await Agents.of(3)
    for (const i of [0, 1, 2]) await a.accept(i, 1 + i, 1, `x${i}`, [i])
    t.equal(a.choice(await a.prepare(0, 4, 1, [2, 1]), 4), 'x2')
    t.ok(a.isChosen(await a.accept(0, 4, 1, 'x2', [0, 1, 2])), 'more than one is accepted')
  },
)

t.test(
  '2.2 two values, each accepted by about half: one failure hides which was chosen',
  async t => {
    const a = await Agents.of(5)
    await a.accept(0, 1, 1, 'x', [0, 1])
    await a.accept(4, 2, 1, 'y', [2, 3])
    a.crash(4)
    const answers = await a.prepare(0, 3, 1, [0, 1, 2, 3])
    t.equal(a.choice(answers, 3), 'y', 'so one that may be chosen is proposed again')
  },
)

t.test('2.2 different proposals have different numbers', async t => {
  const a = await Agents.of(3)
  const one = await a.prepare(0, 7, undefined, [0, 1, 2])
  const two = await a.prepare(1, 7, undefined, [0, 1, 2])
  t.equal(types(one), 'accept accept accept')
  t.equal(types(two), 'reject reject reject', 'who comes second with a number does not get it')
  const split = [
    await a.prepare(0, 9, undefined, [0, 1]),
    await a.prepare(1, 9, undefined, [1, 2, 0]),
  ]
  t.strictSame(split.map(types), ['accept accept', 'reject accept reject'], 'nor both a majority')
})

t.test(
  '2.2 a value is chosen when one proposal with it is, not several with fewer votes each',
  async t => {
    const a = await Agents.of(3)
    await a.accept(0, 1, 1, 'x', [0])
    await a.accept(1, 2, 1, 'y', [1])
    const answers = await a.prepare(2, 3, 1, [1, 2])
    t.equal(a.choice(answers, 3), 'y')
    t.equal(a.isLearned(0, 1) || a.isLearned(1, 1), false)
  },
)

t.test(
  '2.2 P2, P2a, P2b: after a value is chosen, every higher proposal has that value',
  async t => {
    const a = await Agents.of(5)
    await a.prepare(0, 1, 1, [0, 1, 2])
    t.ok(a.isChosen(await a.accept(0, 1, 1, 'x', [0, 1, 2])))
    const majorities = [
      [0, 3, 4],
      [1, 3, 4],
      [2, 3, 4],
      [0, 1, 3],
      [2, 4, 3],
    ]
    for (const [i, majority] of majorities.entries()) {
      const n = 2 + i
      t.equal(a.choice(await a.prepare(i, n, 1, majority), n), 'x', 'issued (P2b)')
      const answers = await a.accept(i, n, 1, 'x', [majority[i % 3]!])
      t.equal(types(answers), 'accept', 'accepted (P2a)')
    }
  },
)

t.test(
  '2.2 P1 is not enough: one who wakes up may have another value, and is kept from it',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 1, 1, [0, 1])
    await a.accept(0, 1, 1, 'x', [0, 1])
    // Acceptor 2 has heard of nothing and would accept anything; a proposer has to ask a majority first.
    t.equal(a.choice(await a.prepare(2, 2, 1, [2]), 2), 'no majority')
    t.equal(a.choice(await a.prepare(2, 3, 1, [2, 1]), 3), 'x')
  },
)

t.test(
  '2.2 P2c: nobody in the majority has accepted any, so any value may be proposed',
  async t => {
    const a = await Agents.of(5)
    await a.accept(4, 1, 1, 'y', [4])
    t.equal(a.choice(await a.prepare(0, 2, 1, [0, 1, 2]), 2), 'NOP')
    t.ok(a.isChosen(await a.accept(0, 2, 1, 'x', [0, 1, 2])))
  },
)

t.test(
  '2.2 P2c: or it is the value of the highest-numbered that any of them has accepted',
  async t => {
    const a = await Agents.of(5)
    await a.accept(0, 1, 1, 'low', [0])
    await a.accept(1, 5, 1, 'high', [1])
    await a.accept(2, 3, 1, 'middle', [2])
    for (const [n, order] of [
      [6, [0, 1, 2]],
      [7, [2, 1, 0]],
      [8, [1, 0, 2]],
    ] as const) {
      t.equal(a.choice(await a.prepare(3, n, 1, order), n), 'high')
    }
  },
)

t.test('2.2 instead of foreseeing what will be accepted, the proposer has it promised', async t => {
  const a = await Agents.of(3)
  await a.prepare(1, 5, 1, [0])
  t.strictSame(await a.accept(0, 4, 1, 'x', [0]), [{ type: 'reject', proposal: 5, position: 1 }])
})

t.test(
  '2.2 the prepare request goes to some set of acceptors, the accept request to that or another',
  async t => {
    const a = await Agents.of(5)
    t.equal(a.choice(await a.prepare(0, 1, 1, [0, 1, 2]), 1), 'NOP')
    t.ok(a.isChosen(await a.accept(0, 1, 1, 'x', [2, 3, 4])))
  },
)

t.test('2.2 an acceptor may leave any request unanswered, and nothing is unsafe', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const deaf = ['promise', 'write', 'chosen', 'learned'].map(kind => a.lose(kind, 2))
  t.equal(await a.run(a.append(leader, 'x')), 1)
  for (const rule of deaf) rule.stop()
  const next = a.leader(2)
  await a.run(next.elect())
  t.equal(await a.learned(2, 1), 'x')
})

t.test('2.2 a prepare request may always be answered', async t => {
  const a = await Agents.of(3)
  await a.prepare(0, 3, 1, [0])
  await a.accept(0, 3, 1, 'x', [0])
  t.equal(types(await a.prepare(1, 4, 1, [0])), 'accept')
  t.equal(types(await a.prepare(1, 2, 1, [0])), 'reject', 'that is an answer, too')
})

t.test(
  '2.2 P1a: it accepts a proposal if it has answered no prepare request with a higher number',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 3, 1, [0])
    t.equal(types(await a.accept(1, 2, 1, 'x', [0])), 'reject', 'lower')
    t.equal(types(await a.accept(0, 3, 1, 'y', [0])), 'accept', 'equal')
    t.equal(types(await a.accept(1, 4, 1, 'z', [0])), 'accept', 'higher')
    t.equal(
      types(await a.accept(0, 3, 1, 'y', [0])),
      'reject',
      'and that is one it has taken part in',
    )
  },
)

t.test(
  '2.2 a prepare request with a number it has passed, or has accepted under, is no use',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 5, 1, [0])
    t.strictSame(await a.prepare(1, 4, 1, [0]), [{ type: 'reject', proposal: 5 }])
    await a.accept(0, 5, 1, 'x', [0])
    t.strictSame(await a.prepare(1, 5, 1, [0]), [{ type: 'reject', proposal: 5 }])
  },
)

t.test(
  '2.2 it remembers the highest it has accepted and the highest it has answered, through failures',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 2, 1, [0])
    await a.accept(0, 2, 1, 'x', [0])
    await a.prepare(1, 6, 1, [0])
    await a.restart(0)
    t.strictSame(await a.accept(0, 5, 1, 'y', [0]), [{ type: 'reject', proposal: 6, position: 1 }])
    const [answer] = await a.prepare(2, 7, 1, [0])
    t.match(answer, { type: 'accept', action: { promised: 6, performed: { proposal: 2 } } })
  },
)

t.test('2.2 it needs to remember no other: what was accepted lower is gone', async t => {
  const a = await Agents.of(3)
  for (const n of [1, 2, 3]) await a.accept(0, n, 1, `x${n}`, [0])
  await a.restart(0)
  const [answer] = await a.prepare(1, 9, 1, [0])
  t.match(answer, { action: { performed: { proposal: 3, learned: false } } })
})

t.test(
  '2.2 a proposer may abandon a proposal and forget it, but not use its number again',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 1, undefined, [0, 1, 2])
    await a.restart(0)
    const leader = a.leader(0)
    t.equal((await a.run(leader.elect())).type, 'elected')
    t.ok(a.servers[0]!.acceptor.metadata.promised > 1, 'its own acceptor has kept the number')
  },
)

t.test(
  '2.2 phase 1: it promises to accept nothing lower, and tells what it has accepted',
  async t => {
    const a = await Agents.of(3)
    await a.accept(0, 2, 1, 'x', [0])
    t.match(await a.prepare(1, 5, 1, [0, 1]), [
      { type: 'accept', proposal: 5, position: 1, action: { performed: { proposal: 2 } } },
      { type: 'accept', proposal: 5, position: 1 },
    ])
    t.equal(types(await a.accept(0, 4, 1, 'y', [0, 1])), 'reject reject')
  },
)

t.test(
  '2.2 phase 2: with the answers of a majority it sends the value; accepted unless promised higher',
  async t => {
    const a = await Agents.of(3)
    t.equal(a.choice(await a.prepare(0, 1, 1, [0]), 1), 'no majority', 'not before')
    t.equal(a.choice(await a.prepare(0, 2, 1, [0, 1]), 2), 'NOP')
    await a.prepare(1, 3, 1, [1])
    t.equal(types(await a.accept(0, 2, 1, 'x', [0, 1, 2])), 'accept reject accept')
  },
)

t.test(
  '2.2 a proposer may make many proposals, and leave them in the middle, however late the answers',
  async t => {
    const a = await Agents.of(3)
    a.world.network.latencyMs = [0.1, 800]
    const leader = a.leader(0)
    for (let i = 0; i < 5; i++) {
      const election = leader.elect()
      await a.world.advance(300 * i)
      leader.demote()
      await a.run(election)
    }
    await a.world.advance(5_000)
    t.equal((await a.run(leader.elect())).type, 'elected')
    t.equal(await a.run(a.append(leader, 'x')), 1)
    await a.world.advance(5_000)
    for (const i of [0, 1, 2]) t.equal(await a.learned(i, 1), 'x')
  },
)

t.test('2.2 who is passed by a higher number is told so, and gives up', async t => {
  const a = await Agents.of(3)
  const [one, two] = [a.leader(0), a.leader(1)]
  await a.run(one.elect())
  await a.run(two.elect())
  t.equal(await a.run(a.append(one, 'x')), undefined)
  t.equal(one.state, 'initial')
  t.equal((await a.run(one.elect())).type, 'elected', 'and goes above it the next time')
})

// 2.3 Learning a chosen value

t.test('2.3 a learner finds out that a majority has accepted; fewer say nothing', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const rules = [a.lose('write', 1), a.lose('write', 2)]
  const appended = a.append(leader, 'x')
  await a.world.advance(2_000)
  t.equal(a.isLearned(0, 1), false, 'one vote')
  for (const rule of rules) rule.stop()
  await a.run(appended)
  t.equal(a.isLearned(0, 1), true)
})

t.test('2.3 acceptors answer one learner, and that one tells the others', async t => {
  const a = await Agents.of(5)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const told = a.count('chosen')
  await a.run(a.append(leader, 'x'))
  await a.world.advance(10)
  t.equal(told.count, 4)
  for (const i of [0, 1, 2, 3, 4]) t.equal(await a.learned(i, 1), 'x')
})

t.test('2.3 a learner may learn from another one', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const rule = a.lose('write', 2)
  const fetched = a.count('fetch')
  await a.run(a.append(leader, 'x'))
  await a.world.advance(1_000)
  rule.stop()
  t.ok(fetched.count > 0)
  t.equal(await a.learned(2, 1), 'x', 'it has never voted')
})

t.test(
  '2.3 a value may be chosen and no learner know it; a new proposal brings it out',
  async t => {
    const a = await Agents.of(3)
    await a.prepare(0, 1, 1, [0, 1, 2])
    t.ok(a.isChosen(await a.accept(0, 1, 1, 'x', [0, 1])))
    for (const i of [0, 1, 2]) t.equal(a.isLearned(i, 1), false)
    a.crash(0)
    // Those that are left cannot tell from their votes alone: one has it, the other has not.
    await a.run(fill(a.host(2), 1, 2))
    t.equal(await a.learned(2, 1), 'x')
  },
)

// 2.4 Progress

t.test('2.4 two proposers may pass each other again and again, and nothing is chosen', async t => {
  const a = await Agents.of(3)
  for (let n = 1; n <= 20; n += 2) {
    await a.prepare(0, n, 1, [0, 1, 2])
    await a.prepare(1, n + 1, 1, [0, 1, 2])
    t.equal(types(await a.accept(0, n, 1, 'x', [0, 1, 2])), 'reject reject reject')
  }
})

t.test(
  '2.4 one distinguished proposer that reaches a majority succeeds, with a number above all',
  async t => {
    const a = await Agents.of(5)
    await a.prepare(3, 40, undefined, [2, 3, 4])
    a.crash(3)
    a.crash(4)
    const leader = a.leader(0)
    const first = await a.run(leader.elect())
    if (first.type !== 'elected') {
      t.equal(first.type, 'lost', 'it hears of the higher number')
      t.equal((await a.run(leader.elect())).type, 'elected', 'and goes above it')
    }
    t.equal(await a.run(a.append(leader, 'x')), 1)
  },
)

t.test('2.4 rivals wait for a time by chance, so that one of them gets through', async t => {
  const a = await Agents.of(3)
  const filled = await a.run(Promise.all([0, 1, 2].map(i => fill(a.host(i), 1, 1))))
  t.strictSame(filled, [0, 0, 0])
  t.strictSame(await Promise.all([0, 1, 2].map(i => a.learned(i, 1))), ['NOP', 'NOP', 'NOP'])
})

t.test('2.4 whether the election of the one succeeds or not, nothing becomes unsafe', async t => {
  const a = await Agents.of(3)
  const leaders = [0, 1, 2].map(i => a.leader(i))
  const names: string[] = []
  for (let round = 0; round < 10; round++) {
    await a.run(
      Promise.all(leaders.filter(({ state }) => state === 'initial').map(leader => leader.elect())),
    )
    const all = leaders.map((leader, i) => {
      names.push(`${round}.${i}`)
      return a.append(leader, names.at(-1)!)
    })
    await a.run(Promise.all(all))
  }
  await a.world.advance(1_000)
  const last = Math.max(...a.servers.map(({ acceptor }) => acceptor.end))
  if (leaders[0]!.state === 'initial') await a.run(leaders[0]!.elect())
  for (let at = 1; at <= last; at++) {
    const learned = await Promise.all([0, 1, 2].map(i => a.learned(i, at)))
    t.ok(new Set(learned.filter(name => name !== undefined)).size <= 1, `${at}: ${learned.join()}`)
  }
})

// 2.5 The implementation

t.test('2.5 an acceptor has its answer on stable storage before it sends it', async t => {
  const a = await Agents.of(3)
  for (const [n, fate] of [
    [2, 'lost'],
    [4, 'torn'],
    [6, 'lost'],
  ] as const) {
    await a.prepare(1, n, 1, [0])
    await a.restart(0, fate)
    t.equal(types(await a.accept(2, n - 1, 1, 'x', [0])), 'reject', 'a promise')
    await a.accept(1, n, 1, `x${n}`, [0])
    await a.restart(0, fate)
    const [answer] = await a.prepare(2, n + 1, 1, [0])
    t.match(answer, { action: { performed: { proposal: n } } }, 'a vote')
  }
})

t.test('2.5 what was not on stable storage has not been said', async t => {
  const a = await Agents.of(3)
  const { disk } = a.servers[0]!
  disk.syncMs = 1_000
  let said = false
  const request = { proposal: 5, position: 1 }
  const { proposer } = a.servers[1]!
  void proposer
    .replica(a.servers[0]!.replica)
    .ask('promise', request)
    .then(
      () => (said = true),
      () => {},
    )
  await a.world.advance(500)
  t.notOk(said)
  a.crash(0, 'lost')
  disk.syncMs = 1
  await a.start(0)
  t.equal(types(await a.accept(2, 4, 1, 'x', [0])), 'accept', 'it is not bound')
})

t.test(
  '2.5 a proposer goes above the highest number that it has tried, after a restart too',
  async t => {
    const a = await Agents.of(3)
    const numbers: number[] = []
    for (let i = 0; i < 4; i++) {
      await a.run(a.leader(0).elect())
      numbers.push(a.servers[0]!.acceptor.metadata.promised)
      await a.restart(0)
    }
    t.strictSame(
      [...new Set(numbers)].sort((x, y) => x - y),
      numbers,
      'each above the one before',
    )
    t.equal(proposalAbove(3, 9, 4), 10)
    t.throws(() => proposalAbove(MAX_PROPOSAL), /none may be above/)
  },
)

// 3 Implementing a state machine

t.test('3 a sequence of instances: the value chosen by the i-th is the i-th command', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const names = ['x', 'y', 'z']
  for (const [i, name] of names.entries()) t.equal(await a.run(a.append(leader, name)), i + 1)
  await a.world.advance(10)
  for (const server of [0, 1, 2]) {
    t.strictSame(await Promise.all([1, 2, 3].map(at => a.learned(server, at))), names)
  }
})

t.test('3 instances are apart: a promise and a vote in one bind nobody in another', async t => {
  const a = await Agents.of(3)
  await a.prepare(0, 9, 1, [0, 1])
  await a.accept(0, 9, 1, 'x', [0, 1])
  t.equal(a.choice(await a.prepare(1, 2, 2, [0, 1]), 2), 'NOP')
  t.ok(a.isChosen(await a.accept(1, 2, 2, 'y', [0, 1])))
})

t.test(
  '3 the leader decides which instance a command is for; another leader may get in between',
  async t => {
    const a = await Agents.of(3)
    const [one, two] = [a.leader(0), a.leader(1)]
    await a.run(one.elect())
    await a.run(a.append(one, 'x'))
    await a.run(two.elect())
    const [lost, won] = await a.run(Promise.all([a.append(one, 'y'), a.append(two, 'z')]))
    t.strictSame([lost, won], [undefined, 2], 'one command at most is the second')
    t.equal(await a.learned(1, 2), 'z')
  },
)

/** Instances 1 and 2 are chosen, 3 is accepted by one, 4 by none, 5 is chosen, 6 accepted by one, 7 and above untouched. */
async function gaps(): Promise<Agents> {
  const a = await Agents.of(3)
  await a.prepare(0, 1, undefined, [0, 1, 2])
  await a.accept(0, 1, 0, 'NOP', [0, 1, 2])
  for (const [at, some] of [
    [1, [0, 1, 2]],
    [2, [0, 1]],
    [3, [2]],
    [5, [0, 2]],
    [6, [1]],
  ] as const) {
    await a.accept(0, 1, at, `v${at}`, some)
  }
  a.crash(0)
  return a
}

t.test(
  '3 a new leader completes what may be chosen, and fills the gaps before it with no-ops',
  async t => {
    const a = await gaps()
    const leader = a.leader(1)
    t.match(await a.run(leader.elect()), { type: 'elected', position: 6 })
    const names = await Promise.all([1, 2, 3, 4, 5, 6].map(at => a.learned(1, at)))
    t.strictSame(names, ['v1', 'v2', 'v3', 'NOP', 'v5', 'v6'])
  },
)

t.test('3 what lies behind a gap cannot be executed before the gap is filled', async t => {
  const a = await gaps()
  t.equal(a.servers[2]!.acceptor.learnedBelow, 0)
  await a.run(a.leader(2).elect())
  t.equal(a.servers[2]!.acceptor.learnedBelow, 7)
})

t.test('3 then it is free to propose any command for all that come behind', async t => {
  const a = await gaps()
  const leader = a.leader(1)
  await a.run(leader.elect())
  const promises = a.count('promise')
  t.equal(await a.run(a.append(leader, 'x')), 7)
  t.equal(await a.run(a.append(leader, 'y')), 8)
  t.equal(promises.count, 0, 'without another phase 1')
})

t.test('3 it may propose the next one before it knows that the one before is chosen', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const order: (number | undefined)[] = []
  const all = ['x', 'y', 'z'].map(name => {
    const appended = a.append(leader, name)
    void appended.then(at => order.push(at))
    return appended
  })
  const writes = a.count('write')
  await a.world.settle()
  await a.run(Promise.all(all))
  t.ok(writes.count >= 2)
  t.strictSame(order, [1, 2, 3], 'and says so in order')
})

t.test(
  '3 the messages of one instance may be lost while the next is chosen: a gap, filled when it fails',
  async t => {
    const a = await Agents.of(3)
    const leader = a.leader(0)
    await a.run(leader.elect())
    const first = a.world.network.drop(
      ({ message, body }) =>
        message === 'log.replica/write' && (body as { position: number }).position === 1,
    )
    void a.append(leader, 'x')
    await a.world.settle()
    void a.append(leader, 'y')
    await a.world.advance(100)
    t.equal(a.isLearned(0, 1), false)
    t.equal(a.isLearned(0, 2), true, 'chosen, though not reported')
    a.crash(0)
    first.stop()
    await a.run(a.leader(1).elect())
    t.strictSame([await a.learned(1, 1), await a.learned(1, 2)], ['NOP', 'y'])
  },
)

t.test('3 a request that is not answered is sent again', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const rule = a.lose('write')
  const appended = a.append(leader, 'x')
  await a.world.advance(15_000)
  rule.stop()
  t.equal(await a.run(appended), 1)
})

t.test('3 the leader gets a bounded number ahead', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const lost = a.lose('write')
  const all: Promise<number | undefined>[] = []
  for (let i = 0; i < 50; i++) {
    all.push(a.append(leader, `${i}`))
    await a.world.settle()
  }
  await a.world.advance(100)
  t.ok(a.servers[0]!.acceptor.end <= 16, `up to ${a.servers[0]!.acceptor.end} of 50`)
  lost.stop()
  t.strictSame(
    await a.run(Promise.all(all)),
    Array.from({ length: 50 }, (_, i) => i + 1),
  )
})

t.test(
  '3 phase 1 for all instances at once is one short message to each, and one answer',
  async t => {
    const a = await Agents.of(3)
    const one = a.leader(0)
    await a.run(one.elect())
    for (let i = 0; i < 20; i++) await a.run(a.append(one, `${i}`))
    await a.world.advance(1_000)
    const promises = a.count('promise')
    await a.run(a.leader(1).elect())
    t.equal(promises.count, 2)
    for (const answer of await a.prepare(0, 99, undefined, [0, 1, 2])) {
      t.match(answer, { type: 'accept', proposal: 99, position: 20 })
      t.notOk('action' in answer, 'nothing of single instances')
    }
  },
)

t.test('3 more than a simple answer is needed only where a phase 2 message has come', async t => {
  const a = await gaps()
  const [one, two] = await a.prepare(1, 5, 4, [1, 2])
  t.equal(one && Object.keys(one).includes('action'), false, 'nobody was asked to accept anything')
  t.equal(two && Object.keys(two).includes('action'), false)
  const [three] = await a.prepare(1, 5, 3, [2])
  t.match(three, { action: { performed: { proposal: 1 } } })
})

t.test('3 the cost of a command is that of phase 2', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  const [promises, writes] = [a.count('promise'), a.count('write')]
  const { disk } = a.servers[0]!
  const before = disk.syncs
  await a.run(a.append(leader, 'x'))
  t.strictSame([promises.count, writes.count, disk.syncs - before], [0, 2, 1])
})

t.test('3 without a leader nothing new is proposed', async t => {
  const a = await Agents.of(3)
  const leader = a.leader(0)
  await a.run(leader.elect())
  leader.demote()
  const writes = a.count('write')
  t.equal(await a.run(a.append(leader, 'x')), undefined)
  await a.world.advance(1_000)
  t.equal(writes.count, 0)
})

t.test(
  '3 several leaders may keep each other from choosing; two values are never chosen',
  async t => {
    const a = await Agents.of(5)
    const leaders = [0, 2, 4].map(i => a.leader(i))
    const confirmed = new Map<number, string>()
    for (let round = 0; round < 8; round++) {
      for (const [i, leader] of leaders.entries()) {
        if (leader.state === 'initial') await a.run(leader.elect())
        const name = `${round}.${i}`
        void a.append(leader, name).then(at => {
          if (at === undefined) return
          t.notOk(confirmed.has(at), `${at}: ${confirmed.get(at)}, and ${name}`)
          confirmed.set(at, name)
        })
        await a.world.advance(round * 0.3)
      }
    }
    await a.world.advance(30_000)
    t.ok(confirmed.size > 0)
    await a.run(a.leader(1).elect())
    for (const [at, name] of confirmed) t.equal(await a.learned(1, at), name)
  },
)
