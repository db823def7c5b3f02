// A log as one machine without faults would keep it, for the check of histories.

import type { Position } from '../../../src/messages/log.ts'
import type { Model } from './linearizability.ts'

/** `at`: where it was written, as far as that is known. */
export type LogOp =
  | { readonly type: 'append'; readonly name: string; readonly at?: Position }
  | { readonly type: 'truncate'; readonly to: Position; readonly at?: Position }
  /** What a reader found from `begin` on: all that there was then. */
  | { readonly type: 'read'; readonly begin: Position; readonly found: readonly Entry[] }

export type Entry = readonly [at: Position, name: string]

/** In order. Of an append whose position is not known only its place among the others is. */
interface Kept {
  readonly at: Position | undefined
  readonly name: string
}

export interface LogState {
  readonly kept: readonly Kept[]
  /** The last position known to be written. */
  readonly last: Position
  readonly begin: Position
}

/** Positions rise with each write; a read finds all that was appended before it and is not truncated, and nothing else. */
export const LOG_MODEL: Model<LogState, LogOp> = {
  initial: { kept: [], last: -1, begin: 0 },
  step(state, op) {
    switch (op.type) {
      case 'append': {
        if (op.at !== undefined && op.at <= state.last) return undefined
        const kept = [...state.kept, { at: op.at, name: op.name }]
        return { ...state, kept, last: op.at ?? state.last }
      }
      case 'truncate': {
        if (op.at !== undefined && op.at <= state.last) return undefined
        const begin = Math.max(state.begin, op.to)
        const kept = state.kept.filter(({ at }) => at === undefined || at >= begin)
        return { kept, last: op.at ?? state.last, begin }
      }
      case 'read':
        return read(state, op.begin, op.found)
    }
  },
  // A read changes nothing, so it may as well come as early as it can; and what is written can only come in one order.
  sooner: (a, b) => rank(a) - rank(b),
  key: ({ kept, last, begin }) =>
    `${begin} ${last} ${kept.map(({ at, name }) => `${at ?? '?'}=${name}`).join(' ')}`,
}

const rank = (op: LogOp): number => (op.type === 'read' ? -1 : (op.at ?? Infinity))

/** A reader may give up more than was truncated before it looked, never less: it asks where the log begins first. */
function read(state: LogState, begin: Position, found: readonly Entry[]): LogState | undefined {
  if (begin < state.begin) return undefined
  // One whose position is not known may lie before what was read, if that does not begin at the beginning.
  const before = state.kept.findIndex(({ at, name }) =>
    at === undefined ? found[0]?.[1] === name : at >= begin,
  )
  const kept = before < 0 ? [] : state.kept.slice(before)
  if (kept.length !== found.length) return undefined
  if (found.some(([at], i) => i > 0 && at <= found[i - 1]![0])) return undefined
  const seen = [...state.kept]
  for (const [i, { at, name }] of kept.entries()) {
    const [foundAt, foundName] = found[i]!
    if (name !== foundName || (at ?? foundAt) !== foundAt) return undefined
    seen[before + i] = { at: foundAt, name }
  }
  const last = Math.max(state.last, found.at(-1)?.[0] ?? -1)
  return { ...state, kept: seen, last }
}
