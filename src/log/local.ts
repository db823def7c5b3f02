// What the log's own actors ask of the replica in their process. Never crosses a wire.

import * as v from 'valibot'
import { call, protocol } from '../actors/protocol.ts'
import {
  Chosen,
  ChosenMembership,
  LearnedAction,
  Position,
  Proposal,
  ReplicaStatus,
} from '../messages/log.ts'

const Nothing = v.object({})

const State = v.object({
  status: ReplicaStatus,
  promised: Proposal,
  /** The first position that is not truncated. */
  begin: Position,
  /** The last position known; 0 for a new log. */
  end: Position,
  /** All positions from `begin` to below this one are learned. */
  learnedBelow: Position,
  membership: v.optional(ChosenMembership),
  /** The id of its disk. */
  replica: v.string(),
})

/** See `Home`. */
const Place = v.object({
  self: v.string(),
  kind: v.picklist(['alone', 'list', 'live']),
  members: v.array(v.string()),
  quorum: v.number(),
})

/** One record of the log's user. */
export const Entry = v.object({ position: Position, bytes: v.instance(Uint8Array) })
export type Entry = v.InferOutput<typeof Entry>

const Range = v.object({ from: Position, to: Position })

/** The APPENDs in a range, or why the range cannot be read. */
export const ReadResult = v.variant('type', [
  v.object({ type: v.literal('entries'), entries: v.array(Entry) }),
  v.object({ type: v.literal('bad range'), reason: v.string() }),
])
export type ReadResult = v.InferOutput<typeof ReadResult>

/** Served by a replica beside `LogReplica`. */
export const LocalReplica = protocol(
  'log.replica.local',
  {
    state: call(Nothing, State),
    /** The last `limit` positions in the range (both ends included) that are not learned here; those past the end are not. */
    missing: call(v.object({ ...Range.entries, limit: Position }), v.array(Position)),
    /** As the wire's `learned`, of many, and answered when they are taken in. `begin` as it is then: they may have truncated. */
    learn: call(
      v.object({ actions: v.array(LearnedAction) }),
      v.object({ begin: Position, learnedBelow: Position }),
    ),
    /** Takes over who votes, as others know it. Answered when it is on disk. */
    adopt: call(v.object({ membership: ChosenMembership }), Nothing),
    /** Takes note of where it lives. */
    settleIn: call(v.object({ home: Place }), Nothing),
    /** Answers this process, though it is no member yet, what it asks to catch up. */
    welcome: call(v.object({ guest: v.optional(v.string()) }), Nothing),
    /** As the wire's `chosen`. Answered with whether there is something in the range that is not learned here then. */
    chosen: call(Chosen, v.object({ missing: v.boolean() })),
    /** Takes a new status, and raises the promise to `promised` if it was lower. Answered when that is on disk. */
    become: call(v.object({ status: ReplicaStatus, promised: v.optional(Proposal) }), Nothing),
    /** Both ends included. */
    read: call(Range, ReadResult),
  },
  { local: true },
)
