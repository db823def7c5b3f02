// Replaying the registry from its log: each operation with its position, time, cause, and what it changed. Pure.

import { UserError } from '../../base/errors.ts'
import type { LogEntry } from '../../log/log.ts'
import { Replay } from '../../master/registry/entry.ts'
import type { Cause, Entry, Operation } from '../../master/registry/operations.ts'
import { RegistryError } from '../../master/registry/registry.ts'
import { type Change, changesBetween, changeText, partOf } from './changes.ts'
import { countsOf, describeOperation, registryEntry, timeText } from './text.ts'

/** One operation, or a snapshot, and what it led to. */
export interface Step {
  readonly position: number
  /** When the master wrote it, by its clock. */
  readonly time_ms: number
  /** Which master wrote it. */
  readonly master_id: string
  /** Where that master was, if the registry says so. */
  readonly master_pid?: string
  /** False: written, but not known to be chosen; the next master will complete it. */
  readonly learned: boolean
  readonly operation: Operation | { readonly type: 'snapshot' }
  /** Absent in what was written before causes were. */
  readonly cause?: Cause
  readonly changes: readonly Change[]
  /** How much is in the registry after it. */
  readonly counts: Counts
}

export interface Counts {
  readonly agents: number
  readonly unreachable: number
  readonly gone: number
}

/** An entry of the registry, and where it stands. */
export interface PlacedEntry {
  readonly position: number
  readonly learned: boolean
  readonly entry: Entry
  /** The same, as it is written. */
  readonly bytes: Uint8Array
}

/**
 * The entries of a registry among those of a log. Of a log whose beginning was given up they start with the first snapshot:
 * without it nothing can be said about the registry.
 */
export async function* registryEntries(
  entries: AsyncIterable<LogEntry>,
): AsyncGenerator<PlacedEntry> {
  let begun = false
  for await (const found of entries) {
    const { position, learned } = found
    const entry = found.type === 'APPEND' && found.bytes ? registryEntry(found.bytes) : undefined
    if (!entry || !('bytes' in found)) continue
    begun ||= entry.snapshot !== undefined || entry.sequence === 0
    if (begun) yield { position, learned, entry, bytes: found.bytes }
  }
}

/** The steps of a log, in order. `state` is moved on with them: after a step it is the registry as it was then. */
export async function* replay(
  entries: AsyncIterable<LogEntry>,
  state: Replay = new Replay(),
): AsyncGenerator<Step> {
  for await (const placed of registryEntries(entries)) yield* stepsOf(state, placed)
}

/**
 * The steps of one entry. One that does not fit is skipped if it is not known to be chosen, since then another may take its
 * place; else it throws a `UserError`.
 */
export function* stepsOf(state: Replay, placed: PlacedEntry): Generator<Step> {
  const { position, learned, entry } = placed
  const { snapshot, operations = [], ...head } = entry
  const { time_ms, master_id } = entry
  const step = (operation: Step['operation'], changes: readonly Change[]): Step => {
    const { master } = state.registry
    const cause = operation.type === 'snapshot' ? undefined : operation.cause
    return {
      position,
      time_ms,
      master_id,
      ...(master?.id === master_id && master.pid !== undefined && { master_pid: master.pid }),
      learned,
      operation,
      ...(cause && { cause }),
      changes,
      counts: countsIn(state),
    }
  }
  if (snapshot) {
    // What was before the first one is not known; any other one changes nothing, and if it does it is to be seen.
    const before = state.sequence > 0 ? state.registry : undefined
    state.apply({ ...head, snapshot })
    yield step({ type: 'snapshot' }, before ? changesBetween(before, state.registry) : [])
  }
  for (const operation of operations) {
    const before = partOf(state.registry, operation)
    try {
      state.apply({ ...head, operations: [operation] })
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      if (!learned) return
      throw new UserError(
        'data_damaged',
        `Position ${position}: ${operation.type} does not fit the registry as it was then: ${error.message}.`,
        { hint: '"mesos-log verify" tells what is wrong with the log.' },
      )
    }
    yield step(operation, changesBetween(before, partOf(state.registry, operation)))
  }
}

export function countsIn({ registry }: Replay): Counts {
  const { agents, unreachable, gone } = registry
  return { agents: agents.size, unreachable: unreachable.size, gone: gone.size }
}

/** What was done, in a line. */
export function whatText({ operation }: Step): string {
  return operation.type === 'snapshot'
    ? 'snapshot of the whole registry'
    : describeOperation(operation)
}

/** Who caused it, why, and which master wrote it. */
export function whoText({ operation, cause, master_id, master_pid }: Step): string {
  const master = master_pid === undefined ? `master ${master_id}` : `${master_pid} (${master_id})`
  if (operation.type === 'snapshot') return `${master}, of itself`
  if (!cause) return `not recorded; written by ${master}`
  if (cause.by === undefined) return `${master}, of itself: ${cause.why}`
  return cause.by === master_pid
    ? `${master}: ${cause.why}`
    : `${cause.by}: ${cause.why}; written by ${master}`
}

/** So many changes of one operation are shown to people; the JSON has them all. */
const MOST_SHOWN = 20

/** Some lines for people: the operation, who caused it, what it changed, and how much is in the registry after it. */
export function stepText(step: Step): string {
  const more = step.changes.length - MOST_SHOWN
  const doubt = step.learned ? '' : ' (not known to be chosen)'
  return [
    `${step.position}  ${timeText(step.time_ms)}  ${whatText(step)}${doubt}`,
    `    by ${whoText(step)}`,
    ...step.changes.slice(0, MOST_SHOWN).map(change => `    ${changeText(change)}`),
    ...(more > 0 ? [`    … and ${more} more`] : []),
    `    registry: ${countsOf(step.counts)}`,
  ].join('\n')
}
