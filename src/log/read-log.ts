// Reading a log's directory without being its replica: for debugging, on a stopped or a running master's work_dir.
// Takes no lock and changes nothing. One of the few files that may touch the world.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import type { Metadata, Position, Proposal, Value } from '../messages/log.ts'
import { readGrowing, readIfThere } from './growing-file.ts'
import { checkNotPutAside, isMark } from './put-aside.ts'
import type { StoredRecord } from './record.ts'
import { scanSegment, segmentName, sequenceOf } from './segment.ts'
import { SegmentChain } from './segment-chain.ts'
import { DamagedLogError, type StorageWarning } from './storage.ts'

/** What one position holds, as far as this replica knows. */
export type LogEntry = {
  readonly position: Position
  /** The highest proposal promised for it. */
  readonly promised: Proposal
  /** The proposal under which its value was accepted; absent, with the value, if only a promise was given. */
  readonly performed?: Proposal
  /** Whether the value is known to be chosen. The last ones before a crash may be chosen without being known to be. */
  readonly learned: boolean
  /** Whether the position lies before the log's beginning and is only still there because its segment is. */
  readonly truncated: boolean
} & Partial<Value>

/** A log as it was when it was looked at. */
export interface LogView {
  readonly metadata: Metadata
  /** The first position that is not truncated. */
  readonly begin: Position
  /** The last position that anything is known of; undefined for an empty log. */
  readonly end: Position | undefined
  /** A torn tail, left out. */
  readonly warnings: readonly StorageWarning[]
  /** Present if the log is damaged; then everything here is what lies before the damage. */
  readonly damage?: DamagedLogError
  /**
   * Its entries with positions in [from, to], in order. Holes are left out, and what a running master gives back meanwhile. Reads
   * one segment at a time.
   */
  entries(range?: { readonly from?: Position; readonly to?: Position }): AsyncGenerator<LogEntry>
}

interface Known {
  promised: Proposal
  performed?: Proposal
  learned: boolean
  /** Which record has the value. */
  place?: { readonly sequence: number; readonly offset: number; readonly nth: number }
}

/**
 * Looks at `<work_dir>/replicated_log`. Rejects with a `UserError` if there is no log in it; damage does not reject,
 * it is in the view, so that what lies before it can be shown.
 */
export async function viewLog(directory: string): Promise<LogView> {
  const names = await listSegments(directory)
  const sequences = sequencesIn(names)
  const known = new Map<Position, Known>()
  const chain = new SegmentChain()
  const warnings: StorageWarning[] = []
  let metadata: Metadata = { status: 'EMPTY', promised: 0 }
  let begin: Position = 0
  let damage: DamagedLogError | undefined
  /** Below it, all is learned. */
  let settledBelow: Position = 0

  /** Where the log would begin if what is written at a position were learned. */
  const truncations = new Map<Position, Position>()
  const fold = (record: StoredRecord, place: NonNullable<Known['place']>): void => {
    switch (record.type) {
      case 'metadata':
        metadata = { status: record.status, promised: record.promised }
        return
      case 'promise':
        known.set(record.position, {
          learned: false,
          ...known.get(record.position),
          promised: record.promised,
        })
        return
      case 'write': {
        const { position, proposal, learned, value } = record
        const promised = Math.max(proposal, known.get(position)?.promised ?? 0)
        known.set(position, { promised, performed: proposal, learned, place })
        if (value.type === 'TRUNCATE') truncations.set(position, Math.min(value.to, position))
        else if (value.type === 'NOP' && value.tombstone) truncations.set(position, position + 1)
        else truncations.delete(position)
        if (learned) begin = Math.max(begin, truncations.get(position) ?? 0)
        return
      }
      case 'learned': {
        const entry = known.get(record.position)
        // Without its write, which a segment that is gone had, nothing is known of it.
        if (entry?.performed === record.proposal) entry.learned = true
        begin = Math.max(begin, truncations.get(record.position) ?? 0)
        return
      }
      case 'truncated':
        begin = Math.max(begin, record.begin)
        return
      case 'held': {
        // Restates what is known, unless the segment that said so is gone.
        const { position, held } = record
        if (!known.has(position)) known.set(position, { promised: held.promised, learned: false })
        return
      }
      case 'settled':
        settledBelow = Math.max(settledBelow, record.below)
        return
      case 'membership':
      case 'home':
      case 'sealed':
      case 'released':
      case 'closed':
    }
  }
  try {
    checkNotPutAside(directory, names)
    for (const sequence of sequences) {
      const file = join(directory, segmentName(sequence))
      const last = sequence === sequences.at(-1)
      const bytes = await (last ? readGrowing(file, sequence) : readIfThere(file))
      // Given back by a running master since the directory was listed.
      if (!bytes && known.size === 0) continue
      const scan = chain.scan(file, bytes ?? Buffer.alloc(0), sequence, last, (records, offset) => {
        for (const [nth, record] of records.entries()) fold(record, { sequence, offset, nth })
      })
      if (scan.warning) warnings.push(scan.warning)
    }
    chain.check(directory)
  } catch (error) {
    if (!(error instanceof DamagedLogError)) throw error
    damage = error
  }

  const positions = [...known.keys()].sort((a, b) => a - b)
  const entries: LogView['entries'] = async function* ({
    from = 0,
    to = Number.MAX_SAFE_INTEGER,
  } = {}) {
    const segments = new SegmentReader(directory, sequences.at(-1))
    for (const position of positions) {
      if (position < from || position > to) continue
      const { promised, performed, learned, place } = known.get(position)!
      const value = place && (await segments.value(place))
      if (value === GIVEN_BACK) continue
      const truncated = position < begin
      yield {
        position,
        promised,
        ...(performed !== undefined && { performed }),
        learned: learned || position < settledBelow,
        truncated,
        ...value,
      }
    }
  }
  return { metadata, begin, end: positions.at(-1), warnings, ...(damage && { damage }), entries }
}

/** How `readLog` is told what to read and where to complain. */
export interface ReadLogOptions {
  /** First position, inclusive. */
  readonly from?: Position
  /** Last position, inclusive. */
  readonly to?: Position
  /** Told of a torn tail, before the first entry. */
  readonly onWarning?: (warning: StorageWarning) => void
}

/**
 * The entries of a log, in order of position: `viewLog` for a loop. Throws `DamagedLogError` after the last entry that lies
 * before the damage, if there is any damage.
 */
export async function* readLog(
  directory: string,
  options: ReadLogOptions = {},
): AsyncGenerator<LogEntry> {
  const view = await viewLog(directory)
  for (const warning of view.warnings) options.onWarning?.(warning)
  yield* view.entries(options)
  if (view.damage) throw view.damage
}

/** The names in a directory that holds a log. */
async function listSegments(directory: string): Promise<readonly string[]> {
  let names: readonly string[]
  try {
    names = await readdir(directory)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const kind =
      code === 'ENOENT' ? 'path_missing' : code === 'ENOTDIR' ? 'not_a_directory' : 'not_permitted'
    throw new UserError(kind, `No log can be read from ${directory}: ${message}.`, {
      hint: 'Give the work_dir of a master, such as --work_dir=/var/lib/mesos.',
      cause: error,
    })
  }
  if (sequencesIn(names).length > 0 || names.some(isMark)) return names
  throw new UserError(
    'not_found',
    `There is no log in ${directory}: it has no file segment-….log.`,
    {
      hint: 'A master writes its log to <work_dir>/replicated_log, unless it runs with --registry=in_memory.',
    },
  )
}

function sequencesIn(names: readonly string[]): number[] {
  return names.flatMap(name => sequenceOf(name) ?? []).sort((a, b) => a - b)
}

/** Truncated, and its segment has been removed since the log was looked at. */
const GIVEN_BACK = 'given back'

/** Fetches values, keeping one segment in memory, since entries mostly lie one after the other. */
class SegmentReader {
  readonly #directory: string
  readonly #lastSequence: number | undefined
  #sequence: number | undefined
  #isGone = false
  readonly #batches = new Map<number, readonly StoredRecord[]>()

  constructor(directory: string, lastSequence: number | undefined) {
    this.#directory = directory
    this.#lastSequence = lastSequence
  }

  async value(place: NonNullable<Known['place']>): Promise<Value | typeof GIVEN_BACK> {
    if (this.#sequence !== place.sequence) await this.#load(place.sequence)
    if (this.#isGone) return GIVEN_BACK
    const record = this.#batches.get(place.offset)?.[place.nth]
    if (record?.type === 'write') return record.value
    const file = join(this.#directory, segmentName(place.sequence))
    throw new DamagedLogError(
      file,
      place.offset,
      'what was whole a moment ago cannot be read any more',
    )
  }

  async #load(sequence: number): Promise<void> {
    const file = join(this.#directory, segmentName(sequence))
    const bytes = await readIfThere(file)
    this.#batches.clear()
    this.#sequence = sequence
    // They go one by one, the oldest first: then there is none before it, and one behind it.
    const [first = 0] = bytes ? [] : sequencesIn(await listSegments(this.#directory))
    this.#isGone = first > sequence
    if (!bytes) return
    try {
      scanSegment(file, bytes, sequence, sequence === this.#lastSequence, (records, offset) => {
        this.#batches.set(offset, records)
      })
    } catch (error) {
      // Everything before the damage was visited, and nothing behind it is asked for.
      if (!(error instanceof DamagedLogError)) throw error
    }
  }
}
