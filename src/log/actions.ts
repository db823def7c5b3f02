// What is learned, in the words of the wire.

import type { ChosenMembership, LearnedAction, Position } from '../messages/log.ts'
import type { HeldValue, Written } from './storage.ts'

/** What is learned at a position, on the wire. */
export function learnedAction(position: Position, { proposal, value }: Written): LearnedAction {
  return { position, promised: proposal, performed: { proposal, learned: true, value } }
}

/**
 * Says that all positions up to this one are truncated, and who votes behind. Its proposal is nobody's: under one that was made
 * somebody may have accepted another value there.
 */
export function tombstone(
  position: Position,
  membership: ChosenMembership | undefined,
): LearnedAction & { readonly performed: { readonly value: HeldValue } } {
  const value = {
    type: 'NOP' as const,
    tombstone: true,
    ...(membership && { membership }),
  }
  return { position, promised: 0, performed: { proposal: 0, learned: true, value } }
}
