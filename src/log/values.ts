// The values that a replica has on disk; and when one of them is damaged, what is to be done.

import type { Logger } from '../base/log.ts'
import type { Position, Proposal } from '../messages/log.ts'
import { fetchOne } from './catchup.ts'
import type { Entry, ReadResult } from './local.ts'
import type { ReplicaRef } from './network.ts'
import { DamagedLogError, type Storage, type Written } from './storage.ts'

/** So often others are asked for what is damaged here, with so long a pause. */
const TRIES = 5
const RETRY_MS = 500

/** What it needs of its replica. */
export interface ValuesHost {
  readonly storage: Storage
  log(): Logger
  /** The other members, as they are now. */
  others(): readonly ReplicaRef[]
  sleep(ms: number): Promise<void>
}

export class Values {
  readonly #host: ValuesHost

  constructor(host: ValuesHost) {
    this.#host = host
  }

  /** What is accepted at a position but not known to be chosen: this replica's vote. */
  async accepted(position: Position, promised: Proposal): Promise<Written> {
    const { storage } = this.#host
    try {
      return await storage.read(position)
    } catch (error) {
      if (error instanceof DamagedLogError && this.#host.others().length > 0) {
        // Nobody else can tell what it voted for. It must recover like one that has lost its disk.
        await storage.persist([{ type: 'metadata', status: 'RECOVERING', promised }])
      }
      throw error
    }
  }

  async chosen(position: Position): Promise<Written> {
    try {
      return await this.#host.storage.read(position)
    } catch (error) {
      if (error instanceof DamagedLogError) return this.#heal(position, error)
      throw error
    }
  }

  /** The records in a range, all of which is chosen. */
  async entries(from: Position, to: Position): Promise<ReadResult> {
    const reads: Promise<Written | undefined>[] = []
    for (let p = from; p <= to; p++) reads.push(this.#chosenForReader(p))
    const entries: Entry[] = []
    for (const [i, written] of (await Promise.all(reads)).entries()) {
      if (!written) return { type: 'bad range', reason: `The position ${from + i} is damaged here` }
      const { value } = written
      if (value.type === 'APPEND') entries.push({ position: from + i, bytes: value.bytes })
    }
    return { type: 'entries', entries }
  }

  /**
   * The same for whoever reads here. A value that is damaged, and that others do not give now, is no reason to end: this replica
   * need not have it in order to vote, and they may have truncated it, or be down themselves. Undefined then.
   */
  async #chosenForReader(position: Position): Promise<Written | undefined> {
    try {
      return await this.chosen(position)
    } catch (error) {
      if (error instanceof DamagedLogError && this.#host.others().length > 0) return undefined
      throw error
    }
  }

  /**
   * The same for somebody who may be looking for just that: he is not kept waiting, but gets undefined, and this replica looks
   * for itself.
   */
  async chosenIfWhole(position: Position): Promise<Written | undefined> {
    try {
      return await this.#host.storage.read(position)
    } catch (error) {
      if (!(error instanceof DamagedLogError)) throw error
      this.#heal(position, error).catch(() => {})
      return undefined
    }
  }

  /** Gets from others what is damaged here, and writes it anew. Possible since it is chosen: all who have it have the same. */
  async #heal(position: Position, damage: DamagedLogError): Promise<Written> {
    const host = this.#host
    host.log().error({ error: damage, position }, 'a value is damaged; others are asked for it')
    for (let tries = 0; host.others().length > 0 && tries < TRIES; tries++) {
      // Those who have accepted it may learn soon that it is chosen.
      if (tries > 0) await host.sleep(RETRY_MS)
      for (const other of host.others()) {
        const action = await fetchOne(other, position)
        if (!action) continue
        const { proposal, value } = action.performed
        await host.storage.persist([{ type: 'write', position, proposal, learned: true, value }])
        host.log().info({ position, from: other.pid }, 'the damaged value is written anew')
        return { proposal, value }
      }
    }
    throw damage
  }
}
