// Who reads a log.

import { UserError } from '../base/errors.ts'
import type { Position } from '../messages/log.ts'
import type { Entry } from './local.ts'
import type { LogRef } from './service.ts'

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

  /**
   * What can be read here of a log that others write: from the first position that is not truncated to the last one below
   * which all is learned. `end` is less than `begin` if that is nothing.
   */
  async learned(): Promise<{ readonly begin: Position; readonly end: Position }> {
    const { begin, learnedBelow } = await this.#log.ask('range', {})
    return { begin, end: learnedBelow - 1 }
  }

  /** The records in [from, to]; positions that hold none are left out. Rejects if the range is not all learned here. */
  async read(from: Position, to: Position): Promise<readonly Entry[]> {
    const result = await this.#log.ask('read', { from, to })
    if (result.type === 'bad range') throw new UserError('not_found', result.reason)
    return result.entries
  }
}
