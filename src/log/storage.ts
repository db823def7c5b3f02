// What a replica needs of a disk, and what it writes there. Real: file-storage.ts; in tests: sim/memory-storage.ts.
//
// Memory does not grow with the log: a replica keeps what is not learned yet (acceptor.ts), a storage where the values in
// its last segment lie; where older ones are is in an index on disk.

import { messageOf, UserError } from '../base/errors.ts'
import type { Home } from './home.ts'
import type { ChosenMembership, Position, Proposal, ReplicaStatus, Value } from '../messages/log.ts'

/**
 * One change of a replica's state. The state of a replica is the fold of its records in order (`Acceptor.apply`), on a
 * disk as in memory.
 * - `metadata`: the replica's status and the highest proposal promised for all positions without an entry.
 * - `promise`: an explicit promise for one position.
 * - `write`: a value accepted under `proposal`; `learned` when it came already chosen.
 * - `learned`: the value accepted at `position` under `proposal` is chosen. Says so without repeating the value.
 * - `truncated`: positions below `begin` are no longer wanted.
 * - `settled`: all positions below `below` are learned.
 * - `held`: the state of one position; an appended value's bytes are in an earlier `write`.
 * - `membership`: this one is chosen, and no later one is known.
 * - `home`: where the replica lives.
 * - `sealed`: nothing; only shows that what lies before it was written whole.
 */
export type ReplicaRecord =
  | {
      readonly type: 'metadata'
      readonly status: ReplicaStatus
      readonly promised: Proposal
    }
  | { readonly type: 'promise'; readonly position: Position; readonly promised: Proposal }
  | {
      readonly type: 'write'
      readonly position: Position
      readonly proposal: Proposal
      readonly learned: boolean
      readonly value: Value
    }
  | { readonly type: 'learned'; readonly position: Position; readonly proposal: Proposal }
  | { readonly type: 'truncated'; readonly begin: Position }
  | { readonly type: 'settled'; readonly below: Position }
  | { readonly type: 'held'; readonly position: Position; readonly held: Held }
  | { readonly type: 'membership'; readonly membership: ChosenMembership }
  | { readonly type: 'home'; readonly home: Home }
  | { readonly type: 'sealed' }

/** A value without the bytes of an `APPEND`: those stay in the storage. */
export type HeldValue = Exclude<Value, { type: 'APPEND' }> | { readonly type: 'APPEND' }

/** What is held of one position. */
export interface Held {
  readonly promised: Proposal
  readonly performed?: {
    readonly proposal: Proposal
    readonly learned: boolean
    readonly value: HeldValue
  }
}

/** A value, and the proposal under which it was accepted. */
export interface Written {
  readonly proposal: Proposal
  readonly value: Value
}

/** An appended value. */
export function appendOf(bytes: Uint8Array): Value {
  // The schema's type is of arrays that own their memory; what is sent may as well be a view.
  return { type: 'APPEND', bytes: bytes as Uint8Array<ArrayBuffer> }
}

/** Something found on opening that was mended without losing anything that was acknowledged. */
export interface StorageWarning {
  readonly file: string
  /** Where in the file, in bytes. */
  readonly offset: number
  /** How many bytes were cut (by a reader that changes nothing: left out). */
  readonly cutBytes: number
  /** A sentence for the log, with file, offset and bytes in it. */
  readonly message: string
}

/** A replica's disk. Used by one owner; its methods are called after `open` resolved and before `close`. */
export interface Storage {
  /** Of what is on this disk: made with it, and gone with it. Known once `open` has resolved. */
  readonly id: string

  /**
   * Whether so much waits to be written that no more is to be handed over until some of it is on disk. What is handed over all
   * the same is taken.
   */
  readonly isBehind: boolean

  /**
   * Passes records to `restore`, in the order of writing, whose fold is the replica's state. A record's bytes may be a view
   * of a buffer that is reused after the call. Rejects with `DamagedLogError` if something that was synced cannot be read.
   * `snapshot`: what the fold of all records passed to this storage is, at any later time; so that not all have to be read.
   */
  open(
    restore: (record: ReplicaRecord) => void,
    snapshot: () => readonly ReplicaRecord[],
  ): Promise<readonly StorageWarning[]>

  /**
   * After `open` rejected with `DamagedLogError`: puts aside all there is, so that the next `open` finds a new log of a
   * replica that is RECOVERING, and neither votes nor helps to start a log before it has recovered with others.
   */
  startOver(): Promise<void>

  /**
   * Resolves when `records`, and all passed to `note` before, are on disk (fsync). Calls made while one sync is in
   * flight share the next. Rejects with `StorageFailedError` when writing failed, and then always: after a failed
   * fsync the kernel may have dropped the pages and a second one would succeed without having written them.
   */
  persist(records: readonly ReplicaRecord[]): Promise<void>

  /**
   * Takes records that need not be on disk before anyone goes on; they go with the next `persist`, in order.
   * For what the ensemble can tell again (that a value is chosen), never for a promise or a vote.
   */
  note(records: readonly ReplicaRecord[]): void

  /**
   * Resolves when all that was noted is on disk, and something behind the last vote. Were the last thing in it a vote, a
   * bit of it that flips later would look as if it had never been written whole. Called when nothing else is to be written.
   */
  seal(): Promise<void>

  /**
   * What was last written at `position`, taken as of this call even if another is written before it resolves: what
   * a promise answers must be what was there when it was decided. Rejects with `DamagedLogError`.
   */
  read(position: Position): Promise<Written>

  /** Positions below `begin` are not read any more; their space may be given back. Called once that is on disk. */
  truncate(begin: Position): Promise<void>

  /** Writes what was noted and lets go of files and locks. */
  close(): Promise<void>
}

/** The storage failed while writing or syncing and takes nothing more. `cause` is the system's error. */
export class StorageFailedError extends UserError {
  constructor(what: string, cause: unknown) {
    const full = (cause as { code?: unknown } | undefined)?.code === 'ENOSPC'
    super('store_failed', `${what}: ${messageOf(cause)}`, {
      hint: full
        ? 'Make room on that disk and start again; nothing that was acknowledged is lost.'
        : 'Look for errors of that disk in the kernel log (dmesg), and start again when it is well.',
      cause,
    })
  }
}

/**
 * What was once synced cannot be read: a bit flipped, a file lost or shortened by someone else. The replica must not
 * go on without it, because its vote may be in there.
 */
export class DamagedLogError extends UserError {
  readonly file: string
  /** Byte in `file` at which the first unreadable record begins. */
  readonly offset: number

  constructor(file: string, offset: number, what: string) {
    super('data_damaged', `${file} is damaged at byte ${offset}: ${what}.`, {
      hint:
        'Restore the directory from a backup; or, if other replicas of this log are well, move it away and start ' +
        'again, so that this replica catches up from them. "mesos-log read" shows the entries before the damage.',
    })
    this.file = file
    this.offset = offset
  }
}
