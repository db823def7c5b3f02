// The conversation of the replicated log: replicas, the coordinator and recovery speak these messages.
//
// The algorithm is Multi-Paxos ("The Part-Time Parliament", "Paxos Made Simple", Lamport): one instance a
// position. A *proposal* is a ballot number; a replica is acceptor and learner in one. Mesos' design document is
// docs/replicated-log-internals.md. Unlike Mesos a kind never carries fields of another kind: answers and values are
// variants, so that combinations such as "rejected, with an action" cannot be written.

import * as v from 'valibot'
import { call, cast, protocol } from '../actors/protocol.ts'
import { flag, message, oneOf, optional, unsigned, variant } from './schema.ts'

/** A non-negative safe integer: Mesos has uint64 here, but no log of ours lives for 2⁵³ writes. */
const Counter = unsigned

/**
 * No proposal is higher. Far below where a number plus one is the same number, so that "one more" is always
 * more; at a thousand elections a second it lasts for 140,000 years.
 */
export const MAX_PROPOSAL = 2 ** 52

/** A ballot number. 0 is never proposed: it is what a replica that promised nothing has promised. */
export const Proposal = v.pipe(Counter, v.maxValue(MAX_PROPOSAL))
export type Proposal = v.InferOutput<typeof Proposal>

/** The number of a log entry, from 0. */
export const Position = Counter
export type Position = v.InferOutput<typeof Position>

/** `host:port` of a process that has a replica. */
const Member = v.pipe(v.string(), v.maxLength(300))

/** No ensemble is larger. */
export const MOST_MEMBERS = 99

/**
 * Who has a replica, and votes, from the next position on. `version` counts the changes; each adds or removes one member.
 * `joined`: the member that was added last, and the id of its replica, which had never voted then.
 */
export const Membership = message({
  version: v.pipe(Counter, v.minValue(1)),
  members: v.pipe(v.array(Member), v.minLength(1), v.maxLength(MOST_MEMBERS)),
  joined: optional(message({ member: Member, replica: v.pipe(v.string(), v.maxLength(64)) })),
})
export type Membership = v.InferOutput<typeof Membership>

/** A membership that was chosen, the position at which, and a proposal under which. */
export const ChosenMembership = message({ at: Position, proposal: Proposal, ...Membership.entries })
export type ChosenMembership = v.InferOutput<typeof ChosenMembership>

/**
 * What a position is decided to hold.
 * - `NOP`: nothing; fills a position nobody completed. With `tombstone` the position was truncated: its true value is
 *   no longer known to the replica that says so, nor needed by anyone.
 * - `APPEND`: one record of the log's user, opaque bytes (msgpack `bin`).
 * - `TRUNCATE`: positions below `to` (exclusive) are no longer wanted.
 * - `MEMBERS`: who votes on the positions behind it.
 *
 * Who passes a truncation does not learn what was before it, and so must be told the one thing that still counts: `membership`,
 * who votes behind it; absent if that has never changed.
 */
export const Value = variant('type', [
  message({
    type: v.literal('NOP'),
    tombstone: optional(flag),
    membership: optional(ChosenMembership),
  }),
  message({ type: v.literal('APPEND'), bytes: v.instance(Uint8Array) }),
  message({
    type: v.literal('TRUNCATE'),
    to: Position,
    membership: optional(ChosenMembership),
  }),
  message({ type: v.literal('MEMBERS'), membership: Membership }),
])
export type Value = v.InferOutput<typeof Value>

/**
 * A value accepted at a position (Mesos: `performed`), under which `proposal`. `learned` says that a quorum is known
 * to have accepted it: it is chosen, and can never be another.
 */
export const Performed = message({ proposal: Proposal, learned: flag, value: Value })
export type Performed = v.InferOutput<typeof Performed>

/** What a replica knows of one position: the highest proposal it promised there, and the last value it accepted. */
export const Action = message({
  position: Position,
  promised: Proposal,
  /** Absent while only a promise was given. */
  performed: optional(Performed),
})
export type Action = v.InferOutput<typeof Action>

/** An action whose value is chosen. */
export const LearnedAction = message({
  position: Position,
  promised: Proposal,
  performed: message({ proposal: Proposal, learned: v.literal(true), value: Value }),
})
export type LearnedAction = v.InferOutput<typeof LearnedAction>

/**
 * Where a replica stands.
 * - `EMPTY`: nothing was ever written, nobody initialised it; it may have lost its disk, so it must not vote.
 * - `STARTING`: first phase of auto-initialisation is done: it knows that enough others were empty too.
 * - `RECOVERING`: it is catching up with a quorum that votes; it must not vote until it has all they may have chosen.
 * - `VOTING`: a full member; only now may it promise and accept.
 */
export const ReplicaStatus = oneOf(['VOTING', 'RECOVERING', 'STARTING', 'EMPTY'])
export type ReplicaStatus = v.InferOutput<typeof ReplicaStatus>

/** What a replica stores beside its actions, before it answers anyone who depends on it. */
export const Metadata = message({
  status: ReplicaStatus,
  /** The highest proposal promised for all positions at which no action is stored. */
  promised: Proposal,
})
export type Metadata = v.InferOutput<typeof Metadata>

/**
 * Sent by a proposer to every replica to be allowed to write under `proposal`.
 * - Without `position`: *implicit* promise for all positions nobody has acted on; by a coordinator that wants to be
 *   elected.
 * - With `position`: *explicit* promise for that one; by whoever fills a hole (coordinator after election, catch-up).
 */
export const PromiseRequest = message({ proposal: Proposal, position: optional(Position) })
export type PromiseRequest = v.InferOutput<typeof PromiseRequest>

/**
 * A replica's answer to a `promise`, sent after what it says is on disk. A replica whose disk fails never answers.
 * - `accept`: promised. To an implicit request `position` is the replica's last position (its `end`), no `action`; to
 *   an explicit one `position` is the one asked for and `action` what the replica holds there *as it was before this
 *   promise* — absent for a hole; for a truncated position a learned NOP with `tombstone`. With the answer to an
 *   implicit request comes who votes, as far as the replica knows: `membership`, the last one that it has learned, and
 *   `changeAt`, the first position at which it has accepted another that it does not know to be chosen.
 * - `reject`: `proposal` is the higher or equal one already promised. A proposal is granted once only (`<=` refuses),
 *   so that two coordinators that chose the same number cannot both be elected.
 * - `ignored`: the replica does not vote (yet); sent rather than silence so that the proposer can retry promptly.
 */
export const PromiseResponse = variant('type', [
  message({
    type: v.literal('accept'),
    proposal: Proposal,
    position: Position,
    action: optional(Action),
    membership: optional(ChosenMembership),
    changeAt: optional(Position),
  }),
  message({ type: v.literal('reject'), proposal: Proposal }),
  message({ type: v.literal('ignored') }),
])
export type PromiseResponse = v.InferOutput<typeof PromiseResponse>

/** One message names no more positions than this: a replica looks at each of them in one turn. */
export const MOST_POSITIONS = 4_096

/**
 * Sent by a proposer that holds the promise of a quorum, to every replica: accept these values, the first at `position`, the
 * others at those behind it. All are accepted, or none.
 */
export const WriteRequest = message({
  proposal: Proposal,
  position: Position,
  values: v.pipe(v.array(Value), v.minLength(1), v.maxLength(MOST_POSITIONS)),
})
export type WriteRequest = v.InferOutput<typeof WriteRequest>

/**
 * A replica's answer to a `write`, sent after the values are on disk.
 * - `accept`: accepted under `proposal` at `position` and behind it.
 * - `reject`: `proposal` is the higher one promised meanwhile (an equal one is accepted).
 * - `ignored`: the replica does not vote, or a position is learned already and cannot change; the writer learns
 *   nothing from it and counts it for neither side. `busy`: it votes, but its disk is behind, and it has not looked at the
 *   request; the same can be asked again in a while. `empty`: it does not vote because it has nothing; one that has just
 *   been added will in a moment.
 */
export const WriteResponse = variant('type', [
  message({ type: v.literal('accept'), proposal: Proposal, position: Position }),
  message({ type: v.literal('reject'), proposal: Proposal, position: Position }),
  message({
    type: v.literal('ignored'),
    position: Position,
    busy: optional(flag),
    empty: optional(flag),
  }),
])
export type WriteResponse = v.InferOutput<typeof WriteResponse>

/**
 * Told by a proposer to every replica once a quorum accepted: this value is chosen. Not answered; a replica that
 * misses it finds a hole later and fills it, so a loss costs time only.
 */
export const Learned = message({ action: LearnedAction })
export type Learned = v.InferOutput<typeof Learned>

/**
 * Told by a coordinator to every replica: what was accepted under `proposal` from position `from` to `to` (both included) is
 * chosen. Not answered; a replica that lacks some of it asks the sender's own replica for that (`fetch`). `membership`: the
 * version of who votes there; a replica that knows an earlier one asks for it.
 */
export const Chosen = v.pipe(
  message({ proposal: Proposal, from: Position, to: Position, membership: optional(Counter) }),
  v.check(({ from, to }) => from <= to && to - from < MOST_POSITIONS, 'names too many positions'),
)
export type Chosen = v.InferOutput<typeof Chosen>

/** Asked of a replica: what has it learned from this position on? */
export const FetchRequest = message({ from: Position })

/**
 * Learned actions in order of position, some of those that there are; positions that are not learned are left out. If what
 * was asked for is truncated, the first says so: a NOP with `tombstone`. Empty: there is nothing.
 */
export const FetchResponse = message({ actions: v.array(LearnedAction) })

/** Asked of a replica before members change: have you learned all positions below this one, so that a crash forgets none? */
export const SettledRequest = message({ below: Position })

/** `replica`: the id of its disk. If not settled, it asks the asker's replica for what it lacks. */
export const SettledResponse = message({
  settled: flag,
  learnedBelow: Position,
  status: ReplicaStatus,
  replica: v.pipe(v.string(), v.maxLength(64)),
})
export type SettledResponse = v.InferOutput<typeof SettledResponse>

/** Sent by a replica that does not vote (it recovers), or wants to catch up for reading, to every replica. */
export const RecoverRequest = message({})

/**
 * Where the asked replica stands. `VOTING` alone carries the range it holds: `begin` the first position not truncated,
 * `end` the last position known, `replica` the id of its disk.
 */
export const RecoverResponse = variant('status', [
  message({
    status: v.literal('VOTING'),
    begin: Position,
    end: Position,
    replica: optional(v.pipe(v.string(), v.maxLength(64))),
    membership: optional(ChosenMembership),
  }),
  message({ status: v.literal('RECOVERING') }),
  message({ status: v.literal('STARTING') }),
  message({ status: v.literal('EMPTY') }),
])
export type RecoverResponse = v.InferOutput<typeof RecoverResponse>

/** What a replica serves. */
export const LogReplica = protocol('log.replica', {
  promise: call(PromiseRequest, PromiseResponse),
  write: call(WriteRequest, WriteResponse),
  learned: cast(Learned),
  chosen: cast(Chosen),
  fetch: call(FetchRequest, FetchResponse),
  recover: call(RecoverRequest, RecoverResponse),
  settled: call(SettledRequest, SettledResponse),
})
