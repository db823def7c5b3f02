// Learning what the local replica has missed.

import type { Position, Proposal } from '../messages/log.ts'
import { fill, type Host, type Stopped } from './consensus.ts'

/**
 * Fills and learns all positions in [from, to] that the local replica has not learned, one after the other, each
 * with an explicit promise from `proposal` upwards. False if it was stopped.
 *
 * From the last to the first: a TRUNCATE, or another's word that a position was truncated, comes first that way, and what
 * lies before it need not be asked for.
 */
export async function catchUp(
  host: Host,
  from: Position,
  to: Position,
  proposal: Proposal,
  stopped?: Stopped,
): Promise<boolean> {
  const missing = await host.local.ask('missing', { from, to })
  let begin = from
  for (const position of missing.reverse()) {
    if (position < begin) break
    const begins = await fill(host, position, proposal, stopped)
    if (begins === undefined) return false
    begin = begins
  }
  return !stopped?.()
}
