// The registry as it was after a position of a log. Pure.

import type { LogView } from '../../log/log.ts'
import { Replay } from '../../master/registry/entry.ts'
import { registryEntries, stepsOf } from './steps.ts'

export interface RegistryAt {
  /** The position that was asked for, or the last one. */
  readonly position: number
  /** The last position up to there that has an entry of the registry. */
  readonly written_at: number
  /** When that was written, by its master's clock. */
  readonly time_ms: number
  /** False if it is not known to be chosen. */
  readonly learned: boolean
  /** Operations since the beginning of the registry. */
  readonly sequence: number
  readonly replay: Replay
}

/** Why nothing is known of a position. */
export interface Unknown {
  /** Whether there is no registry in the log at all. */
  readonly none: boolean
  /** A sentence. */
  readonly why: string
}

/** The registry right after a position; without one, after the last. */
export async function registryAt(
  view: LogView,
  position: number = view.end ?? 0,
): Promise<RegistryAt | Unknown> {
  if (view.end === undefined) return { none: true, why: 'the log is empty.' }
  if (position > view.end) {
    const why = `position ${position} is not written yet: the log ends at ${view.end}.`
    return { none: false, why }
  }
  const replay = new Replay()
  let last: Omit<RegistryAt, 'replay' | 'position' | 'sequence'> | undefined
  // From the first entry that is still there: what is truncated may be the only way to what is not.
  for await (const placed of registryEntries(view.entries({ to: position }))) {
    for (const _ of stepsOf(replay, placed)) void _
    last = {
      written_at: placed.position,
      time_ms: placed.entry.time_ms,
      learned: placed.learned,
    }
  }
  if (last) return { position, ...last, sequence: replay.sequence, replay }
  for await (const first of registryEntries(view.entries())) {
    const what = first.entry.snapshot
      ? 'the oldest snapshot that is still there'
      : 'its first entry'
    const why = `nothing is known of the registry before position ${first.position}, where ${what} stands.`
    return { none: false, why }
  }
  return { none: true, why: 'no operation of a registry is in it.' }
}
