// Bugs that the simulation has to find, each a change of the source by a few words: if it finds these it may be believed when
// it finds none. The sources themselves know nothing of them: `build-planted.ts` builds a changed copy.

import type { FaultKind } from './faults.ts'

/** What stands there must stand there exactly once, or the bug is not planted and the test fails. */
export interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

export interface PlantedBug {
  /** What is wrong, and why that may lose something. */
  readonly about: string
  readonly edits: readonly Edit[]
  /** The faults that bring it out, where others only take time. Default: each seed chooses. */
  readonly kinds?: readonly FaultKind[]
  /** It has to be found among so many seeds, from the first one on. */
  readonly within: number
  /** What at least one of the problems that are found says. */
  readonly finds: RegExp
}

const ACCEPTOR = 'src/log/acceptor.ts'
const PROPOSER = 'src/log/proposer.ts'
const CONSENSUS = 'src/log/consensus.ts'
const COORDINATOR = 'src/log/coordinator.ts'
const CLAIM = 'src/log/claim.ts'
const REPLICA = 'src/log/replica.ts'
const RECOVER = 'src/log/recover.ts'
const ELECTION = 'src/log/election.ts'
const LEASE = 'src/log/lease.ts'
const STORAGE = 'src/log/file-storage.ts'
const NETWORK = 'src/log/network.ts'
const MEMBERS = 'src/log/members.ts'
const SEGMENT = 'src/log/segment.ts'
const SEGMENTS = 'src/log/segments.ts'

const edit = (file: string, from: string, to: string): Edit => ({ file, from, to })

/** A candidate is granted a number that another one has been granted: two are elected under one number. */
const GRANTED_TWICE = edit(
  ACCEPTOR,
  'const { promised, status } = this.#metadata\n    if (proposal <= promised)',
  'const { promised, status } = this.#metadata\n    if (proposal < promised)',
)

export const PLANTED: Readonly<Record<string, PlantedBug>> = {
  'vote before fsync': {
    about: 'a vote leaves before it is on disk, and is forgotten in a crash',
    edits: [
      edit(
        REPLICA,
        'await this.#persist(persist)\n    return response',
        'void this.#persist(persist)\n    return response',
      ),
    ],
    within: 200,
    finds: /having voted|chosen/,
  },
  'promise before fsync': {
    about: 'a promise leaves before it is on disk, and is forgotten in a crash',
    edits: [
      edit(
        REPLICA,
        "await this.#persist(persist)\n    if (response.type !== 'accept')",
        "void this.#persist(persist)\n    if (response.type !== 'accept')",
      ),
    ],
    within: 400,
    finds: /promised|chosen/,
  },
  'no fsync': {
    about: 'what was written is not synced at all',
    edits: [edit(SEGMENTS, '{ isDurable: isLast }', '{ isDurable: false }')],
    within: 100,
    finds: /having voted|chosen|promised/,
  },
  'promise: < for <=': {
    about: 'the same number is granted to two candidates',
    edits: [GRANTED_TWICE],
    within: 200,
    finds: /two values|promised/,
  },
  'explicit promise: < for <=': {
    about: 'two who fill the same position may do so under the same number',
    edits: [
      edit(
        ACCEPTOR,
        'const promised = this.#promisedAt(position)\n    if (proposal <= promised)',
        'const promised = this.#promisedAt(position)\n    if (proposal < promised)',
      ),
    ],
    kinds: ['split', 'isolate', 'crash at work', 'lost messages'],
    within: 1_000,
    finds: /two values|promised/,
  },
  'write: <= for <': {
    about: 'a write under the very promise that was given for it is rejected',
    edits: [edit(ACCEPTOR, 'if (proposal < promised) {', 'if (proposal <= promised) {')],
    within: 20,
    finds: /not within/,
  },
  'write: any': {
    about: 'a write is accepted, whatever was promised',
    edits: [edit(ACCEPTOR, 'if (proposal < promised) {', 'if (proposal < 0) {')],
    within: 100,
    finds: /having promised|two values/,
  },
  'forgotten fill': {
    about: 'who is elected does not complete what others left half done',
    edits: [
      edit(
        CLAIM,
        'const goesOn = await catchUp(',
        'const goesOn = await (async (..._: unknown[]) => true)(',
      ),
    ],
    within: 50,
    finds: /not within|linearizable|learned/,
  },
  'fill with NOP': {
    about: 'a position is filled with NOP though a value may be chosen there',
    edits: [
      edit(
        PROPOSER,
        "if (!performed.learned) return { type: 'write', value: performed.value }",
        "if (!performed.learned) return { type: 'write', value: { type: 'NOP' } }",
      ),
    ],
    within: 200,
    finds: /two values chosen|learned/,
  },
  'the lowest vote': {
    about: 'of the values that were accepted the one under the lowest number is taken',
    edits: [
      edit(
        PROPOSER,
        'candidate.performed.proposal > current.performed.proposal',
        'candidate.performed.proposal < current.performed.proposal',
      ),
    ],
    within: 1_000,
    finds: /chosen|learned/,
  },
  'quorum: one too few': {
    about: 'one answer fewer than a majority is taken for a quorum',
    edits: [
      edit(
        PROPOSER,
        'if (this.#answers >= this.#quorum)',
        'if (this.#answers >= this.#quorum - 1)',
      ),
    ],
    within: 20,
    finds: /nothing is chosen|not chosen/,
  },
  'one replica counted twice': {
    about: 'the answer of one replica counts as that of two',
    edits: [
      edit(
        CONSENSUS,
        'const outcome = done ? undefined : collector.add(member.pid, answer)',
        'const outcome = done ? undefined : (collector.add(member.pid, answer) ?? collector.add(`${member.pid} again`, answer))',
      ),
    ],
    within: 20,
    finds: /nothing is chosen|not chosen/,
  },
  'a number is used again': {
    about:
      'after a restart a candidate takes the number that its replica has promised, and is granted it',
    edits: [
      GRANTED_TWICE,
      edit(
        COORDINATOR,
        'this.#proposal = proposalAbove(this.#proposal, promised)',
        'this.#proposal = Math.max(1, this.#proposal, promised)',
      ),
    ],
    within: 100,
    finds: /two values|promised/,
  },
  'the last answer wins': {
    about: 'who is elected takes the end of the log from the last answer, not the highest',
    edits: [
      edit(
        PROPOSER,
        'position = Math.max(position, response.position)',
        'position = response.position',
      ),
    ],
    within: 200,
    finds: /chosen|learned|linearizable|two values/,
  },
  'an empty replica votes': {
    about: 'a replica that has lost its disk votes without having caught up',
    edits: [
      edit(
        RECOVER,
        'await catchUpAndVote(host, step.begin)',
        "await host.local.ask('become', { status: 'VOTING' })",
      ),
    ],
    kinds: ['lost disk', 'split'],
    within: 400,
    finds: /chosen|two values|linearizable/,
  },
  'recovery without a fence': {
    about:
      'a replica that has lost its disk catches up with what others know, and does not stop older writes',
    edits: [
      edit(RECOVER, 'import { copy } from', 'import { catchUp, copy } from'),
      edit(
        RECOVER,
        'const outcome = await claim(host, proposal, begin, () => false)',
        `const answers = await Promise.all(
      host.network.members.map(member => silenced(member.ask('recover', {}, { timeoutMs: 1_000 }))),
    )
    const end = Math.max(...answers.map(answer => (answer?.status === 'VOTING' ? answer.end : 0)))
    await catchUp(host, begin, end, 1)
    const outcome = { type: 'claimed' as const, proposal: 0 }
    void claim`,
      ),
    ],
    kinds: ['lost disk'],
    within: 1_000,
    finds: /chosen|two values|linearizable/,
  },
  'anybody is heard': {
    about: 'a stranger says that something is chosen, and is believed',
    edits: [
      edit(
        REPLICA,
        'if (this.#isMember(from) && !this.#backlog.isFull()) this.#learned([action])',
        'this.#learned([action])',
      ),
    ],
    within: 50,
    finds: /stranger/,
  },
  'whatever was accepted is chosen': {
    about:
      'told that something is chosen, a replica takes it that this is what it has accepted there',
    edits: [
      edit(
        ACCEPTOR,
        "if (performed?.proposal === proposal) records.push({ type: 'learned', position, proposal })",
        "if (performed) records.push({ type: 'learned', position, proposal: performed.proposal })",
      ),
    ],
    kinds: ['split', 'isolate', 'lost messages', 'crash at work'],
    within: 1_000,
    finds: /learned/,
  },
  'a vote for what is learned': {
    about: 'a replica votes again where it knows what is chosen',
    edits: [
      edit(
        ACCEPTOR,
        'if (at < this.#begin || this.isLearned(at)) return ignoredAt(position)',
        'if (at < this.#begin) return ignoredAt(position)',
      ),
    ],
    within: 400,
    finds: /had learned/,
  },
  'on after a rejection': {
    about:
      'a coordinator that is rejected raises its number, and goes on without asking for a promise',
    edits: [
      edit(
        COORDINATOR,
        `if (outcome.type === 'reject') this.#proposal = Math.max(this.#proposal, outcome.proposal)
      this.#host.log.info(`,
        `if (outcome.type === 'reject') {
        this.#proposal = Math.max(this.#proposal, outcome.proposal + 1)
        return this.#write({ ...flight, request: { ...request, proposal: this.#proposal } })
      }
      this.#host.log.info(`,
      ),
    ],
    within: 100,
    finds: /two values|chosen/,
  },
  'truncated too soon': {
    about: 'a replica truncates when it accepts a TRUNCATE, which may never be chosen',
    edits: [
      edit(
        ACCEPTOR,
        'if (learned) this.#settle(position, proposal, value)',
        'this.#settle(position, proposal, value)',
      ),
    ],
    within: 1_000,
    finds: /truncated beyond/,
  },
  'truncated too far': {
    about: 'a TRUNCATE takes one position more than it says',
    edits: [
      edit(
        ACCEPTOR,
        'this.#truncate(Math.min(value.to, position))',
        'this.#truncate(value.to + 1)',
      ),
    ],
    within: 50,
    finds: /truncated beyond/,
  },
  'lease counted from the answer': {
    about: 'a leader counts its lease from when it was granted, not from when it asked',
    edits: [edit(ELECTION, 'validUntil(askedAtMs, ', 'validUntil(this.clock.now(), ')],
    kinds: ['latency', 'clog', 'isolate', 'pause'],
    within: 1_000,
    finds: /lead at the same time/,
  },
  'lease ignored after a pause': {
    about: 'a leader that has stood still goes on without a look at the clock',
    edits: [
      edit(
        ELECTION,
        "return this.#role === 'leader' && this.clock.now() < this.#validUntilMs",
        "return this.#role === 'leader'",
      ),
      edit(
        ELECTION,
        'if (this.leading) return this.#watchExpiry()',
        'if (this.clock.now() < this.#validUntilMs) return this.#watchExpiry()',
      ),
    ],
    kinds: ['pause', 'isolate'],
    within: 400,
    finds: /lead at the same time/,
  },
  'a grant forgotten in a restart': {
    about:
      'a member that has just started grants the lease, though it may have granted it to another before',
    edits: [edit(LEASE, '!holder && nowMs < this.#freshUntilMs && !sure', 'false')],
    within: 400,
    finds: /lead at the same time/,
  },
  'the old quorum after a change': {
    about: 'where there are more members, as many as before are still taken for a quorum',
    edits: [
      edit(
        MEMBERS,
        'this.#quorum = majorityOf(membership.members.length)',
        'this.#quorum = Math.min(this.#quorum, majorityOf(membership.members.length))',
      ),
    ],
    kinds: ['members', 'split', 'crash', 'lost messages'],
    within: 50,
    finds: /nothing is chosen|not chosen/,
  },
  'who was removed still counts': {
    about: 'who writes asks those who were removed, too, and counts their votes',
    edits: [
      edit(
        NETWORK,
        'for (const pid of this.#members.keys()) if (!pids.includes(pid)) this.#members.delete(pid)',
        '',
      ),
    ],
    kinds: ['members', 'split', 'crash'],
    within: 100,
    finds: /nothing is chosen|not chosen/,
  },
  'added, whatever its disk': {
    about: 'a new member that has lost its disk since it was added votes without a fence',
    edits: [
      edit(
        RECOVER,
        "status === 'EMPTY' && membership?.joined?.replica === replica",
        "status === 'EMPTY' && membership?.joined !== undefined && replica !== ''",
      ),
    ],
    kinds: ['members', 'lost disk', 'split'],
    within: 1_000,
    finds: /chosen|linearizable|two values/,
  },
  'checksums not looked at': {
    about: 'a value that is read from a closed segment is taken as it is',
    edits: [
      edit(
        SEGMENTS,
        'if (bytesRead < length || !isWhole(batch, segment.sequence, offset)) {',
        'if (bytesRead < length) {',
      ),
    ],
    kinds: ['flipped bit'],
    within: 1_000,
    // Where the bit makes it no value at all, its reader never gets an answer.
    finds: /learned|chosen|linearizable|reads/,
  },
  'damage taken for a torn tail': {
    about: 'what cannot be read is cut with all that follows, and with the votes in it',
    edits: [edit(SEGMENT, 'if (behind !== undefined) {', 'if (behind !== undefined && !last) {')],
    kinds: ['flipped bit', 'split', 'crash'],
    within: 400,
    finds: /having|chosen|linearizable/,
  },
  'a damaged replica votes': {
    about: 'a replica that has put its log aside votes without having recovered',
    edits: [
      edit(
        STORAGE,
        "[{ type: 'metadata', status: 'RECOVERING', promised: 0 }]",
        "[{ type: 'metadata', status: 'VOTING', promised: 0 }]",
      ),
    ],
    kinds: ['flipped bit', 'split', 'isolate'],
    within: 400,
    finds: /chosen|two values|linearizable/,
  },
}
