// What must hold of the entries of a log, and of the registry in them. Pure. What must hold of the files,
// `surveyLog` and `viewLog` say.

import type { LogEntry, LogView } from '../../log/log.ts'
import { Replay } from '../../master/registry/entry.ts'
import { RegistryError } from '../../master/registry/registry.ts'
import { messageOf } from '../../base/errors.ts'
import { registryEntry } from './text.ts'

/** What was found when all entries were looked at. */
export interface Checked {
  /** Sentences; empty if all is well. */
  readonly problems: readonly string[]
  /** The last position that is known to be chosen; absent if there is none. */
  readonly learned?: number
  readonly entries: number
  /** What the registry came to; absent if there is none in the log. */
  readonly replay?: Replay
  /** Whether the log holds something else than a registry. */
  readonly foreign: boolean
}

export async function checkEntries(
  view: Pick<LogView, 'metadata' | 'begin'>,
  entries: AsyncIterable<LogEntry>,
): Promise<Checked> {
  const holes = new Holes(view.begin)
  const registry = new RegistryCheck()
  let [count, votes] = [0, 0]
  let learned: number | undefined
  for await (const entry of entries) {
    count++
    if (entry.performed !== undefined) votes++
    if (entry.learned) learned = entry.position
    holes.add(entry)
    registry.add(entry)
  }
  const { status } = view.metadata
  const problems = [
    ...holes.problems,
    ...(votes > 0 && (status === 'EMPTY' || status === 'STARTING')
      ? [`the replica is ${status}, as if it had never voted, but holds ${votes} accepted values`]
      : []),
    ...registry.problems,
  ]
  return {
    problems,
    entries: count,
    ...(learned !== undefined && { learned }),
    ...(registry.begun && { replay: registry.replay }),
    foreign: registry.foreign > 0,
  }
}

/** Positions without a value below one whose value is known to be chosen. */
class Holes {
  readonly problems: string[] = []
  #next: number
  /** Not problems yet: nothing behind them is known to be chosen. */
  #open: (readonly [from: number, to: number])[] = []

  constructor(begin: number) {
    this.#next = begin
  }

  add({ position, performed, learned }: LogEntry): void {
    if (position < this.#next) return
    const to = performed === undefined ? position : position - 1
    if (to >= this.#next) this.#open.push([this.#next, to])
    this.#next = position + 1
    if (!learned || this.#open.length === 0) return
    for (const [first, last] of joined(this.#open)) {
      const which = first === last ? `position ${first} is` : `positions ${first} to ${last} are`
      this.problems.push(
        `${which} missing though position ${position} is known to be chosen (a replica that was away has such a hole until ` +
          `it has caught up; the only replica of a log never has)`,
      )
    }
    this.#open = []
  }
}

/** Ranges that touch each other, as one. */
function joined(
  ranges: readonly (readonly [number, number])[],
): readonly (readonly [number, number])[] {
  const out: [number, number][] = []
  for (const [from, to] of ranges) {
    const last = out.at(-1)
    if (last && last[1] + 1 === from) last[1] = to
    else out.push([from, to])
  }
  return out
}

/** Whether each entry fits the registry before it. The first that does not makes all that follow meaningless. */
class RegistryCheck {
  readonly problems: string[] = []
  readonly replay = new Replay()
  begun = false
  /** Entries that are none of a registry. */
  foreign = 0
  #doubtful = false

  add(found: LogEntry): void {
    if (found.type !== 'APPEND' || this.problems.length > 0 || this.#doubtful) return
    const { position, learned } = found
    const entry = found.bytes && registryEntry(found.bytes)
    if (!entry) {
      this.foreign++
      if (this.begun) this.#problem(position, 'it is no entry of a registry')
      return
    }
    if (!this.begun && !entry.snapshot && entry.sequence !== 0) return
    const counted = this.replay.sequence
    // Another may take the place of what is not known to be chosen.
    if (!learned) this.#doubtful = true
    if (this.begun && entry.sequence !== counted) {
      if (!learned) return
      return this.#problem(
        position,
        `it says that ${entry.sequence} operations came before it, but ${counted} did`,
      )
    }
    this.begun = true
    try {
      this.replay.apply(entry)
      this.#doubtful = false
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      if (learned) this.#problem(position, messageOf(error))
    }
  }

  #problem(position: number, what: string): void {
    this.problems.push(`the registry cannot be replayed beyond position ${position}: ${what}`)
  }
}
