// What one replica wrote down, held against what an acceptor may do (acceptor.ts). Pure. A file whose checksums are right
// can still tell of a vote that should never have been given: by a bug, or by a disk that was put back to an older state.

import { createHash } from 'node:crypto'
import type { Position, Proposal, ReplicaStatus, Value } from '../messages/log.ts'
import type { StoredRecord } from './record.ts'
import type { Held } from './storage.ts'

/** A status never sinks: a replica that had a part in the log may have to recover, but is never as new again. */
const RANK: Readonly<Record<ReplicaStatus, number>> = {
  EMPTY: 0,
  STARTING: 1,
  RECOVERING: 2,
  VOTING: 2,
}

interface Known {
  promised: Proposal
  proposal?: Proposal
  /** Of the value that was accepted last; absent if that was in a segment that is gone. */
  digest?: string
  learned: boolean
}

/** Takes batches in the order of writing. A record that is wrong is taken like any other, so that each fault is told once. */
export class HistoryCheck {
  #status: ReplicaStatus = 'EMPTY'
  #promised: Proposal = 0
  /** So at first: the first segments may have been given back. */
  #hasMissed = true
  readonly #known = new Map<Position, Known>()

  /**
   * What is wrong with the next batch. The first one of a segment restates what all records come to, its own too: those are held
   * against what was known before. Who has missed something takes what is restated for what is true, and says nothing.
   */
  add(batch: readonly StoredRecord[]): string[] {
    const hasMissed = this.#hasMissed
    this.#hasMissed = false
    if (batch[0]?.type !== 'closed') return this.#addAll(batch)
    if (hasMissed) {
      this.#addAll(batch)
      return []
    }
    const restatedTo = batch.findIndex(({ type }) => type === 'released') + 1
    const restated = batch.slice(0, restatedTo)
    return [
      // This is of before the batch.
      ...this.#addAll(restated.filter(({ type }) => type === 'metadata')),
      ...this.#addAll(batch.slice(restatedTo)),
      ...this.#addAll(restated.filter(({ type }) => type === 'truncated')),
    ]
  }

  /** There were batches before the next one that cannot be read. */
  missed(): void {
    this.#hasMissed = true
  }

  #addAll(records: readonly StoredRecord[]): string[] {
    return records.flatMap(record => this.#add(record) ?? [])
  }

  #add(record: StoredRecord): string | undefined {
    switch (record.type) {
      case 'metadata':
        return this.#metadata(record.status, record.promised)
      case 'promise':
        return this.#promise(record.position, record.promised)
      case 'write':
        return record.learned ? this.#learn(record) : this.#accept(record)
      case 'learned': {
        const known = this.#known.get(record.position)
        if (known?.proposal === record.proposal) known.learned = true
        return undefined
      }
      case 'truncated':
        for (const position of this.#known.keys()) {
          if (position < record.begin) this.#known.delete(position)
        }
        return undefined
      case 'held':
        this.#hold(record.position, record.held)
        return undefined
      default:
        return undefined
    }
  }

  #hold(position: Position, { promised, performed }: Held): void {
    const known = this.#known.get(position)
    // It does not repeat the bytes of a value.
    const digest = known?.proposal === performed?.proposal ? known?.digest : undefined
    this.#known.set(position, {
      promised,
      ...(performed && { proposal: performed.proposal }),
      ...(digest !== undefined && { digest }),
      learned: performed?.learned ?? false,
    })
  }

  #metadata(status: ReplicaStatus, promised: Proposal): string | undefined {
    const [before, least] = [this.#status, this.#promised]
    this.#status = status
    this.#promised = promised
    if (RANK[status] < RANK[before]) return `a replica that was ${before} is ${status} again`
    return promised < least ? `its promise sinks from ${least} to ${promised}` : undefined
  }

  #promise(position: Position, promised: Proposal): string | undefined {
    const known = this.#known.get(position)
    const least = known?.promised ?? this.#promised
    this.#known.set(position, { learned: false, ...known, promised })
    if (this.#status !== 'VOTING') return this.#mayNot('promises', position)
    if (promised > least) return undefined
    return `position ${position} is promised to proposal ${promised} after ${least} was`
  }

  #accept({ position, proposal, value }: Written): string | undefined {
    const known = this.#known.get(position)
    const least = known?.promised ?? this.#promised
    const digest = digestOf(value)
    this.#known.set(position, { promised: proposal, proposal, digest, learned: false })
    if (this.#status !== 'VOTING') return this.#mayNot('votes', position)
    if (known?.learned) return `position ${position} is written again after its value was learned`
    if (proposal < least)
      return `position ${position} is accepted under proposal ${proposal} though ${least} was promised`
    if (known?.proposal === proposal && known.digest !== undefined && known.digest !== digest)
      return `proposal ${proposal} carries two values at position ${position}`
    return undefined
  }

  #learn({ position, proposal, value }: Written): string | undefined {
    const known = this.#known.get(position)
    const digest = digestOf(value)
    const promised = Math.max(proposal, known?.promised ?? 0)
    this.#known.set(position, { promised, proposal, digest, learned: true })
    if (!known?.learned || known.digest === undefined) return undefined
    if (known.digest === digest || isTombstone(value)) return undefined
    return `another value is learned at position ${position} than was learned before`
  }

  #mayNot(does: string, position: Position): string {
    return `a replica that is ${this.#status} ${does} at position ${position}`
  }
}

type Written = StoredRecord & { readonly type: 'write' }

/** Says that a position is truncated: true beside any value. */
const isTombstone = (value: Value): boolean => value.type === 'NOP' && value.tombstone === true

/** Equal for equal values. */
export function digestOf(value: Value): string {
  const hash = createHash('sha256').update(value.type)
  if (value.type === 'APPEND') hash.update(value.bytes)
  if (value.type === 'TRUNCATE') hash.update(String(value.to))
  if ('membership' in value && value.membership) {
    const { members, version, joined } = value.membership
    hash.update(JSON.stringify([members, version, joined?.member, joined?.replica]))
  }
  return hash.digest('base64')
}
