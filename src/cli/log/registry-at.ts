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

/** What is wrong, as a sentence, if nothing is known of that position. */
export async function registryAt(
  view: LogView,
  position: number = view.end ?? 0,
): Promise<RegistryAt | string> {
  if (view.end === undefined) return 'the log is empty.'
  if (position > view.end) return `position ${position} is not written yet: it ends at ${view.end}.`
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
    return `the registry is not known before position ${first.position}, where the first snapshot that is still there stands.`
  }
  return 'no operation of a registry is in it.'
}
