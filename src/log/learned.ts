// What a replica tells another one that has missed something.

import { type LearnedAction, MOST_POSITIONS, type Position } from '../messages/log.ts'
import type { Acceptor } from './acceptor.ts'
import { learnedAction, tombstone } from './actions.ts'
import type { Values } from './values.ts'

/** So much goes into one answer, or one value if that has more: a message that is larger than may be is never sent. */
const ANSWER_BYTES = 1024 * 1024
/** How large a value is shows when it is in memory: that there may be so many of the largest. */
const READ_AT_ONCE = 8

/** What is learned from a position on, as far as it goes into one answer. */
export async function learnedFrom(
  acceptor: Acceptor,
  values: Values,
  from: Position,
): Promise<LearnedAction[]> {
  const { begin, end, membership } = acceptor
  const actions: LearnedAction[] = []
  if (from < begin) actions.push(tombstone(begin - 1, membership))
  let bytes = 0
  const last = Math.min(end, from + MOST_POSITIONS - 1)
  for (let at = Math.max(from, begin); at <= last && bytes < ANSWER_BYTES; at += READ_AT_ONCE) {
    for (const action of await learnedIn(
      acceptor,
      values,
      at,
      Math.min(last, at + READ_AT_ONCE - 1),
    )) {
      const { value } = action.performed
      const more = value.type === 'APPEND' ? value.bytes.length : 0
      if (bytes > 0 && bytes + more > ANSWER_BYTES) return actions
      bytes += more
      actions.push(action)
    }
  }
  return actions
}

/** What is learned in a range. What is truncated meanwhile is not in it, and what is damaged is neither. */
async function learnedIn(
  acceptor: Acceptor,
  values: Values,
  from: Position,
  to: Position,
): Promise<LearnedAction[]> {
  const reads: Promise<LearnedAction | undefined>[] = []
  for (let position = from; position <= to; position++) {
    if (position < acceptor.begin || !acceptor.isLearned(position)) continue
    const read = values.chosenIfWhole(position)
    reads.push(read.then(written => written && learnedAction(position, written)))
  }
  return (await Promise.all(reads)).filter(action => action !== undefined)
}
