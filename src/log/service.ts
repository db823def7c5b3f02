// What the log serves to the actors of its own process, and how they speak to it.

import * as v from 'valibot'
import { call, protocol, type Ref } from '../actors/protocol.ts'
import { assert } from '../base/assert.ts'
import { UserError } from '../base/errors.ts'
import { Position } from '../messages/log.ts'
import { ChangeResult, LogMembers, MembersChange } from '../messages/log-membership.ts'
import { type Entry, ReadResult } from './local.ts'

const Nothing = v.object({})
const Term = v.number()
/** Absent: leadership was lost. */
const Written = v.object({ position: v.optional(Position) })

/** What a log serves, to actors of its own process; spoken through `Reader` and `Writer`. */
export const LogService = protocol(
  'log',
  {
    start: call(Nothing, v.object({ term: Term, position: v.optional(Position) })),
    append: call(v.object({ term: Term, bytes: v.instance(Uint8Array) }), Written),
    truncate: call(v.object({ term: Term, to: Position }), Written),
    /** Answered once the replica votes. */
    range: call(Nothing, v.object({ begin: Position, end: Position })),
    read: call(v.object({ from: Position, to: Position }), ReadResult),
    /** Who votes, as far as is known here. */
    members: call(Nothing, LogMembers),
    /** See reconfigure.ts. By whoever is elected here. */
    change: call(MembersChange, ChangeResult),
  },
  { local: true },
)

type LogRef = Ref<typeof LogService.entries>

/** Reads the local replica. What it returns has been chosen; that it is the latest, only an elected writer can say. */
export class Reader {
  readonly #log: LogRef

  /** `log`: a reference of the actor that reads. */
  constructor(log: LogRef) {
    this.#log = log
  }

  /** The first position that is not truncated. Waits until the replica has recovered, as all methods do. */
  async beginning(): Promise<Position> {
    return (await this.#log.ask('range', {})).begin
  }

  /** The last position that the local replica knows of. */
  async ending(): Promise<Position> {
    return (await this.#log.ask('range', {})).end
  }

  /** The records in [from, to]; positions that hold none are left out. Rejects if the range is not all learned here. */
  async read(from: Position, to: Position): Promise<readonly Entry[]> {
    const result = await this.#log.ask('read', { from, to })
    if (result.type === 'bad range') throw new UserError('not_found', result.reason)
    return result.entries
  }
}

/** The one who appends. After it has lost leadership it writes nothing more, until started again. */
export class Writer {
  readonly #log: LogRef
  /** Of the election that `start` has won, or one that never was: nothing is written under that. */
  #term: number | undefined

  /** `log`: a reference of the actor that writes. */
  constructor(log: LogRef) {
    this.#log = log
  }

  /**
   * Gets elected, taking over from whoever was. Resolves with the log's last position, up to which the local replica has
   * everything; with undefined when another got in between: try again, or leave it to them. Waits for a quorum as long
   * as it takes.
   */
  async start(): Promise<Position | undefined> {
    const { term, position } = await this.#log.ask('start', {})
    this.#term = term
    return position
  }

  /**
   * Resolves with the record's position once it is chosen, and so are all before it. With undefined when leadership was
   * lost: then it may or may not be in the log. Several may be under way; they are written in the order of the calls.
   */
  async append(bytes: Uint8Array): Promise<Position | undefined> {
    const owned = bytes as Uint8Array<ArrayBuffer>
    return (await this.#log.ask('append', { term: this.#started(), bytes: owned })).position
  }

  /** Gives up positions below `to`, which must have been written. Resolves as `append` does. */
  async truncate(to: Position): Promise<Position | undefined> {
    return (await this.#log.ask('truncate', { term: this.#started(), to })).position
  }

  #started(): number {
    assert(this.#term !== undefined, 'a writer is started before it writes')
    return this.#term
  }
}
