// Two replicas of one log, position by position. Pure. Agreement: where both know a value to be chosen it is the same one.

import { digestOf, type LogEntry } from '../../log/log.ts'
import type { Value } from '../../messages/log.ts'

/** What a replica has at a position. */
export type Held = 'nothing' | 'a promise only' | 'accepted' | 'chosen' | 'truncated'

export interface Difference {
  readonly position: number
  readonly a: Held
  readonly b: Held
  /** Whether both know a value to be chosen, and not the same one: that may never be. */
  readonly broken: boolean
}

/**
 * The first position at which they differ, and the first at which agreement is broken. What one has truncated is no
 * difference.
 */
export async function compareReplicas(
  a: AsyncIterable<LogEntry>,
  b: AsyncIterable<LogEntry>,
): Promise<{ readonly first?: Difference; readonly broken?: Difference }> {
  let first: Difference | undefined
  for await (const [x, y] of inStep(a, b)) {
    const difference = differ(x, y)
    first ??= difference
    if (difference?.broken) return { ...(first && { first }), broken: difference }
  }
  return first ? { first } : {}
}

function differ(a: LogEntry | undefined, b: LogEntry | undefined): Difference | undefined {
  const [x, y] = [heldIn(a), heldIn(b)]
  if (x === 'truncated' || y === 'truncated') return undefined
  const values = [a, b].map(entry => entry?.performed !== undefined && digestOf(entry as Value))
  const same = values[0] === values[1]
  if (x === y && same) return undefined
  const position = (a ?? b)!.position
  return { position, a: x, b: y, broken: !same && x === 'chosen' && y === 'chosen' }
}

function heldIn(entry: LogEntry | undefined): Held {
  if (!entry) return 'nothing'
  if (entry.truncated || (entry.type === 'NOP' && entry.tombstone)) return 'truncated'
  if (entry.performed === undefined) return 'a promise only'
  return entry.learned ? 'chosen' : 'accepted'
}

/** What both have at each position that any of them has, in order. */
async function* inStep(
  a: AsyncIterable<LogEntry>,
  b: AsyncIterable<LogEntry>,
): AsyncGenerator<readonly [LogEntry | undefined, LogEntry | undefined]> {
  const [left, right] = [a[Symbol.asyncIterator](), b[Symbol.asyncIterator]()]
  let [x, y] = [await left.next(), await right.next()]
  while (!x.done || !y.done) {
    const at = Math.min(
      x.done ? Number.POSITIVE_INFINITY : x.value.position,
      y.done ? Number.POSITIVE_INFINITY : y.value.position,
    )
    const hasLeft = !x.done && x.value.position === at
    const hasRight = !y.done && y.value.position === at
    yield [hasLeft ? x.value : undefined, hasRight ? y.value : undefined]
    if (hasLeft) x = await left.next()
    if (hasRight) y = await right.next()
  }
}
