import t from 'tap'
import { SeededRandom } from '../../src/base/random.ts'
import { Acceptor, type PromiseDecision } from '../../src/log/acceptor.ts'
import { learnedAction } from '../../src/log/actions.ts'
import { chosen, collectPromises, collectWrites, fillStep } from '../../src/log/proposer.ts'
import { majorityOf } from '../../src/log/quorum.ts'
import { appendOf, type ReplicaRecord, type Written } from '../../src/log/storage.ts'
import type { Position, Proposal, Value } from '../../src/messages/log.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const append = (text: string): Value => appendOf(bytes(text))
const NOP: Value = { type: 'NOP' }

/** A replica that votes, and what it would have on disk. */
function voting(): { acceptor: Acceptor; disk: ReplicaRecord[] } {
  const acceptor = new Acceptor()
  const disk: ReplicaRecord[] = [...acceptor.become('VOTING')]
  for (const record of disk) acceptor.apply(record)
  return { acceptor, disk }
}

t.test('a replica that does not vote ignores promises and writes', async t => {
  for (const status of ['EMPTY', 'STARTING', 'RECOVERING'] as const) {
    const acceptor = new Acceptor()
    acceptor.apply({ type: 'metadata', status, promised: 0 })
    t.same(acceptor.promise({ proposal: 1 }), { response: { type: 'ignored' }, persist: [] })
    t.same(acceptor.promise({ proposal: 1, position: 0 }), {
      response: { type: 'ignored' },
      persist: [],
    })
    t.same(acceptor.write({ proposal: 1, position: 3, values: [NOP] }), {
      response: { type: 'ignored', position: 3, ...(status === 'EMPTY' && { empty: true }) },
      persist: [],
    })
  }
})

t.test(
  'an implicit promise is granted once, answers with the end, and holds where nothing is held',
  async t => {
    const { acceptor } = voting()
    t.same(acceptor.promise({ proposal: 2 }), {
      response: { type: 'accept', proposal: 2, position: 0 },
      persist: [{ type: 'metadata', status: 'VOTING', promised: 2 }],
    })
    t.same(acceptor.promise({ proposal: 2 }).response, { type: 'reject', proposal: 2 })
    t.same(acceptor.promise({ proposal: 1 }).response, { type: 'reject', proposal: 2 })
    t.same(acceptor.promise({ proposal: 2, position: 7 }).response, { type: 'reject', proposal: 2 })
    t.same(acceptor.write({ proposal: 1, position: 9, values: [NOP] }).response, {
      type: 'reject',
      proposal: 2,
      position: 9,
    })
    t.equal(acceptor.end, 0, 'what was rejected leaves no trace')
    t.same(acceptor.write({ proposal: 2, position: 9, values: [NOP] }).response, {
      type: 'accept',
      proposal: 2,
      position: 9,
    })
    t.equal(acceptor.end, 9)
  },
)

t.test('an explicit promise answers with what was there before it', async t => {
  const { acceptor } = voting()
  t.same(acceptor.promise({ proposal: 1, position: 4 }), {
    response: { type: 'accept', proposal: 1, position: 4 },
    persist: [{ type: 'promise', position: 4, promised: 1 }],
  })
  acceptor.write({ proposal: 1, position: 4, values: [append('a')] })
  t.same(acceptor.promise({ proposal: 5, position: 4 }).response, {
    type: 'accept',
    proposal: 5,
    position: 4,
    held: { promised: 1, performed: { proposal: 1, learned: false, value: { type: 'APPEND' } } },
  })
  t.same(acceptor.promise({ proposal: 5, position: 4 }).response, { type: 'reject', proposal: 5 })
  t.equal(acceptor.write({ proposal: 4, position: 4, values: [NOP] }).response.type, 'reject')
  t.equal(
    acceptor.promise({ proposal: 1 }).response.type,
    'accept',
    'other positions are not bound',
  )
  t.equal(acceptor.write({ proposal: 1, position: 5, values: [NOP] }).response.type, 'accept')
})

t.test('a learned position answers no write, and tells promises that it is learned', async t => {
  const { acceptor } = voting()
  acceptor.learned(chosen(0, 3, append('x')))
  t.same(acceptor.write({ proposal: 9, position: 0, values: [NOP] }), {
    response: { type: 'ignored', position: 0 },
    persist: [],
  })
  for (const proposal of [2, 9]) {
    t.same(acceptor.promise({ proposal, position: 0 }), {
      response: { type: 'accept', proposal, position: 0, isLearned: true },
      persist: [],
    })
  }
  t.same(acceptor.learned(chosen(0, 4, append('x'))), [], 'it is learned once')
})

t.test('learning what was accepted does not repeat it; learning anything else does', async t => {
  const { acceptor } = voting()
  acceptor.write({ proposal: 1, position: 0, values: [append('a')] })
  t.same(acceptor.learned(chosen(0, 1, append('a'))), [
    { type: 'learned', position: 0, proposal: 1 },
  ])
  acceptor.write({ proposal: 1, position: 1, values: [append('b')] })
  t.match(acceptor.learned(chosen(1, 2, append('c'))), [
    { type: 'write', position: 1, proposal: 2, learned: true },
  ])
})

t.test(
  'a learned TRUNCATE moves the beginning; what is before it is a learned tombstone',
  async t => {
    const { acceptor } = voting()
    for (const p of [0, 1, 2, 3]) acceptor.learned(chosen(p, 1, append(`${p}`)))
    acceptor.write({ proposal: 1, position: 4, values: [{ type: 'TRUNCATE', to: 3 }] })
    t.equal(acceptor.begin, 0, 'not before it is chosen')
    acceptor.learned(chosen(4, 1, { type: 'TRUNCATE', to: 3 }))
    t.equal(acceptor.begin, 3)
    t.equal(acceptor.at(2), undefined)
    t.same(acceptor.promise({ proposal: 1, position: 2 }), {
      response: {
        type: 'accept',
        proposal: 1,
        position: 2,
        held: {
          promised: 1,
          performed: { proposal: 0, learned: true, value: { type: 'NOP', tombstone: true } },
        },
      },
      persist: [],
    })
    t.equal(acceptor.write({ proposal: 9, position: 2, values: [NOP] }).response.type, 'ignored')
    t.same(acceptor.missing(0, 6, 100), [5, 6])
  },
)

t.test('a learned tombstone says that all up to it is truncated', async t => {
  const { acceptor } = voting()
  acceptor.learned(chosen(1, 1, append('old')))
  acceptor.learned(chosen(5, 1, { type: 'NOP', tombstone: true }))
  t.equal(acceptor.begin, 6)
  t.equal(acceptor.at(1), undefined)
  t.same(acceptor.missing(0, 7, 100), [6, 7])
})

t.test(
  'missing: position 0 of a new log, holes, what is not learned, what is past the end',
  async t => {
    const { acceptor } = voting()
    t.same(acceptor.missing(0, 0, 100), [0])
    acceptor.learned(chosen(0, 1, NOP))
    acceptor.learned(chosen(4, 1, NOP))
    acceptor.write({ proposal: 1, position: 2, values: [NOP] })
    t.same(acceptor.missing(0, 5, 100), [1, 2, 3, 5])
    t.same(acceptor.missing(0, 0, 100), [])
  },
)

// "Paxos Made Simple", section 2.2 and 2.3.

t.test('P1: an acceptor must accept the first proposal that it receives', async t => {
  const { acceptor } = voting()
  t.equal(
    acceptor.write({ proposal: 1, position: 0, values: [append('v')] }).response.type,
    'accept',
  )
})

t.test('P1a: it can accept n iff it has not responded to a prepare greater than n', async t => {
  for (const [promised, proposal, accepts] of [
    [2, 1, false],
    [2, 2, true],
    [2, 3, true],
  ] as const) {
    const { acceptor } = voting()
    acceptor.promise({ proposal: promised, position: 0 })
    const { response } = acceptor.write({ proposal, position: 0, values: [append('v')] })
    t.equal(response.type === 'accept', accepts, `${proposal} after a promise of ${promised}`)
  }
})

t.test('2.3: it remembers these things even if it fails and then restarts', async t => {
  const { acceptor, disk } = voting()
  const script = [
    () => acceptor.promise({ proposal: 3 }).persist,
    () => acceptor.write({ proposal: 3, position: 1, values: [append('a')] }).persist,
    () => acceptor.promise({ proposal: 4, position: 0 }).persist,
    () => acceptor.learned(chosen(1, 3, append('a'))),
    () => acceptor.learned(chosen(2, 3, { type: 'TRUNCATE', to: 1 })),
    () => acceptor.promise({ proposal: 7, position: 3 }).persist,
  ]
  for (const step of script) {
    disk.push(...step())
    const restarted = new Acceptor()
    for (const record of disk) restarted.apply(record)
    t.same(describe(restarted), describe(acceptor))
  }
})

const describe = (a: Acceptor) => ({
  metadata: a.metadata,
  begin: a.begin,
  end: a.end,
  held: [0, 1, 2, 3, 4].map(p => a.at(p)),
  missing: a.missing(0, 5, 100),
})

// Random runs of many proposers at a few positions, with messages lost, repeated and late, and replicas that restart from
// what they have on disk. The checker sees every vote.

class Replica {
  acceptor = new Acceptor()
  readonly disk: ReplicaRecord[] = []
  readonly values = new Map<Position, Written>()

  constructor() {
    this.persist(this.acceptor.become('VOTING'))
    this.restart()
  }

  persist(records: readonly ReplicaRecord[]): void {
    this.disk.push(...records)
    for (const r of records) if (r.type === 'write') this.values.set(r.position, r)
  }

  restart(): void {
    this.acceptor = new Acceptor()
    for (const record of this.disk) this.acceptor.apply(record)
  }
}

/** The answer on the wire, with what is written there. */
function accepted(
  { proposal, position, held, isLearned }: PromiseDecision & { type: 'accept' },
  written: Written | undefined,
) {
  const answer = { type: 'accept', proposal, position } as const
  if (isLearned) return { ...answer, action: learnedAction(position, written!) }
  if (!held) return answer
  const { promised, performed } = held
  if (!performed) return { ...answer, action: { position, promised } }
  const action = { position, promised, performed: { ...performed, value: written!.value } }
  return { ...answer, action }
}

class Checker {
  readonly #votes = new Map<string, Set<number>>()
  readonly chosen = new Map<Position, string>()
  readonly #quorum: number

  constructor(quorum: number) {
    this.#quorum = quorum
  }

  vote(replica: number, position: Position, proposal: Proposal, value: Value): string | undefined {
    const text = JSON.stringify(value)
    const key = `${position}/${proposal}/${text}`
    const voters = this.#votes.get(key) ?? new Set()
    this.#votes.set(key, voters.add(replica))
    if (voters.size < this.#quorum) return undefined
    const before = this.chosen.get(position)
    this.chosen.set(position, text)
    return before === undefined || before === text
      ? undefined
      : `${position}: ${before}, then ${text}`
  }
}

function run(seed: number, replicas: number): { wrong: string | undefined; chosen: number } {
  const random = new SeededRandom(seed)
  const quorum = majorityOf(replicas)
  const ensemble = Array.from({ length: replicas }, () => new Replica())
  const checker = new Checker(quorum)
  let wrong: string | undefined
  const inbox: (() => void)[] = []
  const send = (deliver: () => void): void => {
    if (random.next() < 0.15) return
    inbox.push(deliver)
    if (random.next() < 0.1) inbox.push(deliver)
  }

  const propose = (who: number, position: Position, proposal: Proposal): void => {
    const promises = collectPromises(quorum, replicas)
    const writes = collectWrites(quorum, replicas)
    let begun = false
    const write = (value: Value): void => {
      for (const [i, replica] of ensemble.entries()) {
        send(() => {
          const { response, persist } = replica.acceptor.write({
            proposal,
            position,
            values: [value],
          })
          replica.persist(persist)
          if (response.type === 'accept') wrong ??= checker.vote(i, position, proposal, value)
          send(() => {
            if (writes.add(`${i}`, response)?.type !== 'accept') return
            for (const other of ensemble) {
              send(() => other.persist(other.acceptor.learned(chosen(position, proposal, value))))
            }
          })
        })
      }
    }
    for (const [i, replica] of ensemble.entries()) {
      send(() => {
        const { response, persist } = replica.acceptor.promise({ proposal, position })
        replica.persist(persist)
        const answer =
          response.type === 'accept' ? accepted(response, replica.values.get(position)) : response
        send(() => {
          const outcome = promises.add(`${i}`, answer)
          if (!outcome || begun) return
          begun = true
          const step = fillStep(outcome, proposal)
          if (step.type === 'write')
            write(step.value.type === 'NOP' ? append(`by ${who}`) : step.value)
          if (
            step.type === 'learn' &&
            checker.chosen.get(position) !== JSON.stringify(step.action.performed.value)
          ) {
            wrong ??= `${position}: learned what was not chosen`
          }
        })
      })
    }
  }

  let proposal = 0
  for (let step = 0; step < 250 && !wrong; step++) {
    // Proposal numbers go to one proposer each, but not in the order of time.
    if (random.next() < 0.08) propose(step, random.integer(2), (proposal += 1 + random.integer(3)))
    if (random.next() < 0.03) ensemble[random.integer(replicas)]!.restart()
    const [deliver] = inbox.splice(random.integer(Math.max(1, inbox.length)), 1)
    deliver?.()
  }
  for (const { acceptor } of ensemble) {
    for (const position of [0, 1]) {
      if (acceptor.isLearned(position) && !checker.chosen.has(position))
        wrong ??= `${position} learned, not chosen`
    }
  }
  return { wrong, chosen: checker.chosen.size }
}

t.test(
  'agreement: at most one value is chosen at a position, with 3 and with 5 replicas',
  async t => {
    for (const replicas of [3, 5]) {
      let decided = 0
      for (let seed = 1; seed <= 300; seed++) {
        const { wrong, chosen } = run(seed, replicas)
        if (wrong) t.fail(`seed ${seed}, ${replicas} replicas: ${wrong}`)
        decided += chosen
      }
      t.ok(decided > 200, `the runs come to decisions (${decided})`)
    }
  },
)
