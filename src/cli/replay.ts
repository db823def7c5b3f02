// Replaying the registry from its log: each operation with its position, and the registry after it. Pure.

import type { LogEntry } from '../log/log.ts'
import { Replay } from '../master/registry/entry.ts'
import type { Operation, RegistrySnapshot } from '../master/registry/operations.ts'
import { countsOf, describeOperation, registryEntry, timeText } from './log-text.ts'

/** One operation, or a snapshot, and what it led to. */
export interface Step {
  readonly position: number
  readonly time_ms: number
  readonly master_id: string
  /** False: written, but not known to be chosen; the next master will complete it. */
  readonly learned: boolean
  readonly operation: Operation | { readonly type: 'snapshot' }
  /** The registry after it. */
  readonly registry: RegistrySnapshot
}

/**
 * The steps of a log, in order. Of a log whose beginning was given up they start with the first snapshot: without it
 * nothing can be said about the registry.
 */
export async function* replay(entries: AsyncIterable<LogEntry>): AsyncGenerator<Step> {
  const state = new Replay()
  let begun = false
  for await (const found of entries) {
    const { position, learned } = found
    const entry = found.type === 'APPEND' && found.bytes ? registryEntry(found.bytes) : undefined
    if (!entry) continue
    const { snapshot, operations = [], ...head } = entry
    begun ||= snapshot !== undefined || entry.sequence === 0
    if (!begun) continue
    const { time_ms, master_id } = entry
    const step = (operation: Step['operation']): Step => ({
      position,
      time_ms,
      master_id,
      learned,
      operation,
      registry: state.registry.snapshot(),
    })
    if (snapshot) {
      state.apply({ ...head, snapshot })
      yield step({ type: 'snapshot' })
    }
    for (const operation of operations) {
      state.apply({ ...head, operations: [operation] })
      yield step(operation)
    }
  }
}

/** Two lines for people: the operation, and how much is in the registry after it. */
export function stepText({ position, time_ms, learned, operation, registry }: Step): string {
  const what =
    operation.type === 'snapshot' ? 'snapshot of the whole registry' : describeOperation(operation)
  const doubt = learned ? '' : ' (not known to be chosen)'
  return `${position}  ${timeText(time_ms)}  ${what}${doubt}\n    registry: ${countsOf(registry)}`
}
