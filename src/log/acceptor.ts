// The decisions of one replica: what it may promise, accept and learn. Pure: it neither writes nor sends.
//
// Each decision returns the answer and the records that must be on disk before the answer leaves. The state is changed
// by `apply` alone, from those same records, so that a replica after a restart is the replica before it.
//
// Invariants, for each position:
//   promised never sinks; performed.proposal ≤ promised; one proposal carries one value;
//   what is learned never changes; everything below `begin` is truncated (a learned TRUNCATE says so).
//
// Of positions below `learnedBelow` nothing is kept in memory: what is chosen there is in the storage, and no promise can
// change it. What is kept is what is not learned yet, and what lies behind that: as long as all goes well, what is
// under way.

import { isDeepStrictEqual } from 'node:util'
import type {
  Chosen,
  ChosenMembership,
  LearnedAction,
  Metadata,
  Position,
  PromiseRequest,
  Proposal,
  Value,
  WriteRequest,
  WriteResponse,
} from '../messages/log.ts'
import { tombstone } from './actions.ts'
import type { Home } from './home.ts'
import type { Held, HeldValue, ReplicaRecord } from './storage.ts'

/** `PromiseResponse`, but that the action's bytes are still to be fetched from the storage. */
export type PromiseDecision =
  | {
      readonly type: 'accept'
      readonly proposal: Proposal
      readonly position: Position
      readonly held?: Held
      /** Its value, which is in the storage, is chosen. */
      readonly isLearned?: true
    }
  | { readonly type: 'reject'; readonly proposal: Proposal }
  | { readonly type: 'ignored' }

/** An answer, and what must be on disk before it is given. */
export interface Decision<Response> {
  readonly response: Response
  readonly persist: readonly ReplicaRecord[]
}

const APPEND: HeldValue = Object.freeze({ type: 'APPEND' })
const NOP: HeldValue = Object.freeze({ type: 'NOP' })
const NOTHING: readonly ReplicaRecord[] = []

/** Drops the bytes of an appended value. */
export function hold(value: Value): HeldValue {
  if (value.type === 'APPEND') return APPEND
  return value.type === 'NOP' && !value.tombstone ? NOP : value
}

export class Acceptor {
  #metadata: Metadata = { status: 'EMPTY', promised: 0 }
  #begin: Position = 0
  /** The highest position anyone acted on; 0 for a new log, whose position 0 is a hole until the first election. */
  #end: Position = 0
  /** From `learnedBelow` on. */
  readonly #entries = new Map<Position, Held>()
  /** Every position in [begin, learnedBelow) is learned. Never below `begin`. */
  #learnedBelow: Position = 0
  #membership: ChosenMembership | undefined
  #home: Home | undefined

  get metadata(): Metadata {
    return this.#metadata
  }

  /** The first position that is not truncated. */
  get begin(): Position {
    return this.#begin
  }

  /** The last position known here, learned or not; 0 for a new log. */
  get end(): Position {
    return this.#end
  }

  /** Every position from `begin` to below this one is learned. */
  get learnedBelow(): Position {
    return this.#learnedBelow
  }

  /** The last change of members that is known to be chosen; undefined if there was none. */
  get membership(): ChosenMembership | undefined {
    return this.#membership
  }

  /** Where this replica lives; undefined until it is told. */
  get home(): Home | undefined {
    return this.#home
  }

  /** The first position at which a change of members is accepted that is not known to be chosen. */
  get changeAt(): Position | undefined {
    let first: Position | undefined
    for (const [position, { performed }] of this.#entries) {
      if (performed?.value.type !== 'MEMBERS' || performed.learned) continue
      first = Math.min(first ?? position, position)
    }
    return first
  }

  /** What is held at a position from `learnedBelow` on; undefined for a hole, and past the end. */
  at(position: Position): Held | undefined {
    return this.#entries.get(position)
  }

  /** Whether the value at a position is known to be chosen, or the position to be truncated. */
  isLearned(position: Position): boolean {
    return position < this.#learnedBelow || this.#entries.get(position)?.performed?.learned === true
  }

  /** The last `limit` positions in [from, to] whose value is not learned here, in order. Those past the end are not. */
  missing(from: Position, to: Position, limit: number): Position[] {
    const positions: Position[] = []
    const first = Math.max(from, this.#learnedBelow)
    for (let p = to; p >= first && positions.length < limit; p--) {
      if (!this.isLearned(p)) positions.push(p)
    }
    return positions.reverse()
  }

  /** The state, as records: applied to a new acceptor they make one like this, but for its status. */
  snapshot(): ReplicaRecord[] {
    const records: ReplicaRecord[] = [
      { type: 'truncated', begin: this.#begin },
      { type: 'settled', below: this.#learnedBelow },
    ]
    if (this.#home) records.push({ type: 'home', home: this.#home })
    if (this.#membership) records.push({ type: 'membership', membership: this.#membership })
    for (const [position, held] of this.#entries) records.push({ type: 'held', position, held })
    return records
  }

  // Promise

  promise(request: PromiseRequest): Decision<PromiseDecision> {
    if (this.#metadata.status !== 'VOTING') return ignored
    return request.position === undefined
      ? this.#promiseImplicitly(request.proposal)
      : this.#promiseExplicitly(request.proposal, request.position)
  }

  #promiseImplicitly(proposal: Proposal): Decision<PromiseDecision> {
    const { promised, status } = this.#metadata
    if (proposal <= promised) return reject(promised)
    return this.#decide({ type: 'accept', proposal, position: this.#end }, [
      { type: 'metadata', status, promised: proposal },
    ])
  }

  #promiseExplicitly(proposal: Proposal, position: Position): Decision<PromiseDecision> {
    if (position < this.#begin) {
      const { performed } = tombstone(position, this.#membership)
      const held = { promised: proposal, performed }
      return this.#decide({ type: 'accept', proposal, position, held }, NOTHING)
    }
    // Nothing to promise: what is chosen cannot be changed by anybody, and whoever asks only needs to be told.
    if (this.isLearned(position)) {
      const response = { type: 'accept', proposal, position, isLearned: true } as const
      return this.#decide(response, NOTHING)
    }
    const promised = this.#promisedAt(position)
    if (proposal <= promised) return reject(promised)
    const held = this.#entries.get(position)
    return this.#decide({ type: 'accept', proposal, position, ...(held && { held }) }, [
      { type: 'promise', position, promised: proposal },
    ])
  }

  /** A position that was acted on has a promise of its own; all others share the implicit one. */
  #promisedAt(position: Position): Proposal {
    return this.#entries.get(position)?.promised ?? this.#metadata.promised
  }

  // Write

  write({ proposal, position, values }: WriteRequest): Decision<WriteResponse> {
    const { status } = this.#metadata
    if (status === 'EMPTY')
      return { response: { type: 'ignored', position, empty: true }, persist: NOTHING }
    if (status !== 'VOTING') return ignoredAt(position)
    const records: ReplicaRecord[] = []
    for (const [i, value] of values.entries()) {
      const at = position + i
      // A learned value cannot change, and a writer that has another one has been overtaken; nothing to be voted on.
      if (at < this.#begin || this.isLearned(at)) return ignoredAt(position)
      const promised = this.#promisedAt(at)
      // Equal is accepted: the promise was given to this very proposer, and a repeated write is the same write.
      if (proposal < promised) {
        return { response: { type: 'reject', proposal: promised, position }, persist: NOTHING }
      }
      records.push({ type: 'write', position: at, proposal, learned: false, value })
    }
    return this.#decide({ type: 'accept', proposal, position }, records)
  }

  // Learned

  /**
   * Takes a chosen value, whatever the status: what is chosen is true for a replica that may not vote, too.
   * The records need not be on disk before anyone goes on; a replica that forgets them learns them again.
   */
  learned(action: LearnedAction): readonly ReplicaRecord[] {
    const { position, performed } = action
    if (position < this.#begin || this.isLearned(position)) return NOTHING
    const { proposal, value } = performed
    // Under one proposal there is one value at a position, so the one accepted here is the one chosen.
    const same = this.#entries.get(position)?.performed?.proposal === proposal
    const record: ReplicaRecord = same
      ? { type: 'learned', position, proposal }
      : { type: 'write', position, proposal, learned: true, value }
    return this.#decide(undefined, [record]).persist
  }

  /**
   * Takes it that what was accepted here under `proposal` in a range is chosen. `missing`: whether there is something in the
   * range that is not learned then.
   */
  chosen({ proposal, from, to }: Chosen): {
    readonly records: readonly ReplicaRecord[]
    readonly missing: boolean
  } {
    const records: ReplicaRecord[] = []
    let missing = false
    for (let position = Math.max(from, this.#learnedBelow); position <= to; position++) {
      const performed = this.#entries.get(position)?.performed
      if (performed?.learned) continue
      if (performed?.proposal === proposal) records.push({ type: 'learned', position, proposal })
      else missing = true
    }
    this.#decide(undefined, records)
    return { records, missing }
  }

  // Membership

  /** Takes over what another replica knows to be chosen. */
  adopt(membership: ChosenMembership): readonly ReplicaRecord[] {
    if (membership.version <= (this.#membership?.version ?? 0)) return NOTHING
    return this.#decide(undefined, [{ type: 'membership', membership }]).persist
  }

  // Status

  /** Takes note of where it lives. */
  settleIn(home: Home): readonly ReplicaRecord[] {
    if (isDeepStrictEqual(home, this.#home)) return NOTHING
    return this.#decide(undefined, [{ type: 'home', home }]).persist
  }

  /** The records by which this replica takes a new status; `promised` rises if a higher one is given. */
  become(status: Metadata['status'], promised: Proposal = 0): readonly ReplicaRecord[] {
    const highest = Math.max(promised, this.#metadata.promised)
    return [{ type: 'metadata', status, promised: highest }]
  }

  #decide<Response>(response: Response, persist: readonly ReplicaRecord[]): Decision<Response> {
    for (const record of persist) this.apply(record)
    return { response, persist }
  }

  // State

  /** Folds one record into the state; for what is read from disk, and for what is decided. */
  apply(record: ReplicaRecord): void {
    switch (record.type) {
      case 'metadata':
        this.#metadata = { status: record.status, promised: record.promised }
        return
      case 'promise':
        this.#set(record.position, {
          ...this.#entries.get(record.position),
          promised: record.promised,
        })
        return
      case 'write': {
        const { position, proposal, learned } = record
        const promised = Math.max(proposal, this.#entries.get(position)?.promised ?? 0)
        const value = hold(record.value)
        this.#set(position, { promised, performed: { proposal, learned, value } })
        if (learned) this.#settle(position, proposal, value)
        return
      }
      case 'learned': {
        const held = this.#entries.get(record.position)
        // Read back, this may be all that is left of a position: its write was in a segment that has been given back, and
        // a later record says that it is truncated. Were it not, not to know that it is learned is safe: it is learned again.
        if (held?.performed?.proposal !== record.proposal) return
        const performed = { ...held.performed, learned: true }
        this.#set(record.position, { promised: held.promised, performed })
        this.#settle(record.position, record.proposal, performed.value)
        return
      }
      case 'truncated':
        this.#truncate(record.begin)
        return
      case 'settled':
        this.#settleBelow(record.below)
        return
      case 'held': {
        const { position, held } = record
        this.#set(position, held)
        const { performed } = held
        if (performed?.learned) this.#settle(position, performed.proposal, performed.value)
        return
      }
      case 'membership':
        this.#join(record.membership)
        return
      case 'home':
        this.#home = record.home
        return
      case 'sealed':
        return
      default:
        record satisfies never
    }
  }

  #set(position: Position, held: Held): void {
    if (position < this.#learnedBelow) return
    this.#entries.set(position, held)
    if (position > this.#end) this.#end = position
  }

  /** What follows from a value being chosen. */
  #settle(position: Position, proposal: Proposal, value: HeldValue): void {
    // First of all: a change of members that was accepted here may be among what is truncated, and is forgotten then.
    if ('membership' in value && value.membership && value.type !== 'MEMBERS')
      this.#join(value.membership)
    if (value.type === 'TRUNCATE') this.#truncate(Math.min(value.to, position))
    else if (value.type === 'MEMBERS') this.#join({ at: position, proposal, ...value.membership })
    // Whoever says that a position was truncated has learned of a TRUNCATE above it, so all below it are, too.
    else if (value.type === 'NOP' && value.tombstone) this.#truncate(position + 1)
    this.#advance()
  }

  #join(membership: ChosenMembership): void {
    if (membership.version > (this.#membership?.version ?? 0)) this.#membership = membership
  }

  #truncate(begin: Position): void {
    this.#begin = Math.max(this.#begin, begin)
    this.#settleBelow(this.#begin)
  }

  #settleBelow(below: Position): void {
    if (below > this.#learnedBelow) {
      // Walks the shorter of the two: the positions that go, or all that are held (after a jump far ahead).
      if (below - this.#learnedBelow <= this.#entries.size) {
        for (let p = this.#learnedBelow; p < below; p++) this.#entries.delete(p)
      } else {
        for (const p of this.#entries.keys()) if (p < below) this.#entries.delete(p)
      }
      this.#learnedBelow = below
      // They were acted on, though after a restart nothing else may be left to say so.
      this.#end = Math.max(this.#end, below - 1)
    }
    this.#advance()
  }

  #advance(): void {
    while (this.#entries.get(this.#learnedBelow)?.performed?.learned) {
      this.#entries.delete(this.#learnedBelow++)
    }
  }
}

const ignored: Decision<{ type: 'ignored' }> = { response: { type: 'ignored' }, persist: NOTHING }

function ignoredAt(position: Position): Decision<WriteResponse> {
  return { response: { type: 'ignored', position }, persist: NOTHING }
}

function reject(promised: Proposal): Decision<PromiseDecision> {
  return { response: { type: 'reject', proposal: promised }, persist: NOTHING }
}
