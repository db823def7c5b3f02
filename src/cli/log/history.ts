// The registry as it was at any position, quickly: a copy of it is kept every so many entries, and the entries between are
// applied to that. The entries themselves lie in a file (spill.ts), as they were when the log was read: what a running
// master gives back meanwhile stays here. In memory are a few numbers for each entry, and copies with so many agents in all,
// however long the log is: when there are more, every other copy goes, and the next ones are further apart.

import { UserError } from '../../base/errors.ts'
import type { LogEntry } from '../../log/log.ts'
import { decodeEntry, Replay } from '../../master/registry/entry.ts'
import { Registry } from '../../master/registry/registry.ts'
import { Spill } from './spill.ts'
import { type PlacedEntry, registryEntries, type Step, stepsOf } from './steps.ts'

const ENTRIES_PER_COPY = 256
/** In all copies together. */
const MOST_AGENTS = 250_000

/** The registry after a position. */
export interface Past {
  readonly position: number
  /** The last position up to there that has an entry of the registry, and when that was written. */
  readonly writtenAt: number
  readonly timeMs: number
  readonly registry: Registry
  /** What was written at this very position; empty if that was nothing of the registry. */
  readonly steps: readonly Step[]
}

interface Copy {
  /** Of the first entry that is not in it. */
  readonly index: number
  readonly replay: Replay
}

export interface HistoryOptions {
  readonly entriesPerCopy?: number
  readonly mostAgents?: number
}

export class History {
  /** The first and the last position that is known. */
  readonly first: number
  readonly last: number

  readonly #positions: readonly number[]
  /** Where each entry begins in the spill, and where the last one ends. */
  readonly #offsets: readonly number[]
  readonly #doubtful: ReadonlySet<number>
  readonly #spill: Spill
  readonly #copies: readonly Copy[]
  /** What was asked for last: who moves on by a step needs no copy. */
  #latest: Copy | undefined

  /** Reads all entries. Throws a `UserError` if there is no registry among them. */
  static async read(
    entries: AsyncIterable<LogEntry>,
    options: HistoryOptions = {},
  ): Promise<History> {
    const builder = new Builder(options)
    try {
      for await (const placed of registryEntries(entries)) builder.add(placed)
      if (builder.positions.length === 0)
        throw new UserError('not_found', 'No operation of a registry is in this log.')
      return new History(builder)
    } catch (error) {
      builder.spill.close()
      throw error
    }
  }

  private constructor(builder: Builder) {
    this.#positions = builder.positions
    this.#offsets = [...builder.offsets, builder.spill.sizeBytes]
    this.#doubtful = builder.doubtful
    this.#spill = builder.spill
    this.#copies = builder.copies
    this.first = this.#positions[0]!
    this.last = this.#positions.at(-1)!
  }

  /** Entries of the registry. */
  get size(): number {
    return this.#positions.length
  }

  /** How many copies are kept, for tests and the curious. */
  get copies(): number {
    return this.#copies.length
  }

  /** At the nearest position that is known. The registry belongs to whoever asks until they ask again. */
  at(wanted: number): Past {
    const position = Math.min(Math.max(wanted, this.first), this.last)
    const index = lastUpTo(this.#positions, position)
    const { replay, index: from } = this.#nearest(index)
    let steps: Step[] = []
    let timeMs = 0
    this.#entries(from, index, placed => {
      steps = [...stepsOf(replay, placed)]
      timeMs = placed.entry.time_ms
    })
    this.#latest = { index: index + 1, replay }
    const writtenAt = this.#positions[index]!
    return {
      position,
      writtenAt,
      timeMs,
      registry: replay.registry,
      steps: writtenAt === position ? steps : [],
    }
  }

  /** A replay, to be moved on, of which the entry `index` is not yet a part. */
  #nearest(index: number): Copy {
    const copy =
      this.#copies[
        lastUpTo(
          this.#copies.map(each => each.index),
          index,
        )
      ]!
    const latest = this.#latest
    this.#latest = undefined
    if (latest && latest.index <= index && latest.index >= copy.index) return latest
    return { index: copy.index, replay: copyOf(copy.replay) }
  }

  #entries(from: number, to: number, visit: (placed: PlacedEntry) => void): void {
    const start = this.#offsets[from]!
    const bytes = this.#spill.read(start, this.#offsets[to + 1]!)
    for (let i = from; i <= to; i++) {
      const own = bytes.subarray(this.#offsets[i]! - start, this.#offsets[i + 1]! - start)
      visit({
        position: this.#positions[i]!,
        learned: !this.#doubtful.has(i),
        entry: decodeEntry(own),
        bytes: own,
      })
    }
  }

  close(): void {
    this.#spill.close()
  }
}

class Builder {
  readonly positions: number[] = []
  readonly offsets: number[] = []
  /** Entries that are not known to be chosen. */
  readonly doubtful = new Set<number>()
  readonly spill = new Spill()
  copies: Copy[] = []
  readonly #replay = new Replay()
  #entriesPerCopy: number
  readonly #mostAgents: number
  #agents = 0

  constructor({ entriesPerCopy = ENTRIES_PER_COPY, mostAgents = MOST_AGENTS }: HistoryOptions) {
    this.#entriesPerCopy = entriesPerCopy
    this.#mostAgents = mostAgents
  }

  add(placed: PlacedEntry): void {
    const index = this.positions.length
    if (index % this.#entriesPerCopy === 0) this.#copy(index)
    this.positions.push(placed.position)
    this.offsets.push(this.spill.sizeBytes)
    if (!placed.learned) this.doubtful.add(index)
    this.spill.append(placed.bytes)
    for (const step of stepsOf(this.#replay, placed)) void step
  }

  #copy(index: number): void {
    this.copies.push({ index, replay: copyOf(this.#replay) })
    this.#agents += weightOf(this.#replay)
    while (this.#agents > this.#mostAgents && this.copies.length > 1) {
      this.#entriesPerCopy *= 2
      this.copies = this.copies.filter(copy => copy.index % this.#entriesPerCopy === 0)
      this.#agents = this.copies.reduce((sum, { replay }) => sum + weightOf(replay), 0)
    }
  }
}

function weightOf({ registry }: Replay): number {
  return registry.agents.size + registry.unreachable.size + registry.gone.size
}

/** The agents' descriptions are shared: nobody changes one. */
function copyOf(replay: Replay): Replay {
  const copy = new Replay()
  copy.registry = Registry.of(replay.registry.snapshot())
  copy.sequence = replay.sequence
  return copy
}

/** The index of the last of ascending `values` that is at most `limit`; the first is. */
function lastUpTo(values: readonly number[], limit: number): number {
  let [low, high] = [0, values.length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (values[middle]! <= limit) low = middle
    else high = middle - 1
  }
  return low
}
