// Who appends to a log. What is appended in one turn is asked for together: one question, however many records.

import { DEFAULT_LIMITS } from '../actors/limits.ts'
import { assert } from '../base/assert.ts'
import { formatBytes } from '../base/bytes.ts'
import { deferred } from '../base/deferred.ts'
import { UserError } from '../base/errors.ts'
import { MOST_POSITIONS, type Position } from '../messages/log.ts'
import type { LogRef } from './service.ts'

/** Records that are appended in one turn: asked for together. */
interface Gathering {
  readonly term: number
  readonly records: Uint8Array<ArrayBuffer>[]
  bytes: number
  /** The first one's position; undefined if leadership was lost. */
  readonly written: Promise<Position | undefined>
  /** Asks for them; nothing is added then. */
  readonly send: () => void
}

/** About so many bytes are asked for together. */
const GATHERED_BYTES = 256 * 1024

/** No record is larger: with what is asked for together with it, it has to go into one message. */
export const MOST_RECORD_BYTES = DEFAULT_LIMITS.maxMessageBytes - 1024 * 1024

/** The one who appends. After it has lost leadership it writes nothing more, until started again. */
export class Writer {
  readonly #log: LogRef
  /** Of the election that `start` has won, or one that never was: nothing is written under that. */
  #term: number | undefined
  #gathering: Gathering | undefined

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
   * Rejects with a `UserError` if it is larger than any may be; then nothing is written.
   */
  async append(bytes: Uint8Array): Promise<Position | undefined> {
    if (bytes.length > MOST_RECORD_BYTES) throw tooLarge(bytes.length)
    const { records, written } = this.#gather(bytes as Uint8Array<ArrayBuffer>)
    const nth = records.length - 1
    const first = await written
    return first === undefined ? undefined : first + nth
  }

  /** Gives up positions below `to`, which must have been written. Resolves as `append` does. */
  async truncate(to: Position): Promise<Position | undefined> {
    const term = this.#started()
    // What was appended before is written before.
    this.#gathering?.send()
    return (await this.#log.ask('truncate', { term, to })).position
  }

  /** Adds a record to those that the log is asked to append at the end of this turn. */
  #gather(bytes: Uint8Array<ArrayBuffer>): Gathering {
    const term = this.#started()
    let gathering = this.#gathering
    if (
      gathering &&
      (gathering.term !== term ||
        gathering.bytes >= GATHERED_BYTES ||
        gathering.records.length === MOST_POSITIONS)
    ) {
      gathering.send()
      gathering = undefined
    }
    gathering ??= this.#open(term)
    gathering.records.push(bytes)
    gathering.bytes += bytes.length
    return gathering
  }

  #open(term: number): Gathering {
    const records: Uint8Array<ArrayBuffer>[] = []
    const written = deferred<Position | undefined>()
    const send = (): void => {
      if (this.#gathering !== gathering) return
      this.#gathering = undefined
      this.#log.ask('append', { term, records }).then(
        ({ position }) => written.resolve(position),
        error => written.reject(error),
      )
    }
    const gathering = { term, records, bytes: 0, written: written.promise, send }
    this.#gathering = gathering
    queueMicrotask(send)
    return gathering
  }

  #started(): number {
    assert(this.#term !== undefined, 'a writer is started before it writes')
    return this.#term
  }
}

function tooLarge(bytes: number): UserError {
  return new UserError(
    'too_large',
    `An entry of ${formatBytes(bytes)} is too large for the replicated log: no message between masters may be larger than ${formatBytes(DEFAULT_LIMITS.maxMessageBytes)}, so that an entry has ${formatBytes(MOST_RECORD_BYTES)} at most.`,
    {
      hint: 'Append it in parts.',
    },
  )
}
