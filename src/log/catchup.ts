// Learning what the local replica has missed.

import type { LearnedAction, Position, Proposal } from '../messages/log.ts'
import { fill, type Host, silenced, type Stopped } from './consensus.ts'
import type { ReplicaRef } from './network.ts'

/** A replica that is asked for what it has learned, and does not answer for so long, is not asked for more. */
const COPY_LIMIT_MS = 1_000
/** Fewer missing positions than this are filled without asking anybody what he has learned. */
const FEW = 16
/** So many positions are filled at a time. */
const FILLED_AT_ONCE = 64

/**
 * Learns all positions in [from, to] that the local replica has not learned: copied from others who have learned them, as
 * far as there are such; then filled, each with an explicit promise from `proposal` upwards. False if it was stopped.
 */
export async function catchUp(
  host: Host,
  from: Position,
  to: Position,
  proposal: Proposal,
  stopped?: Stopped,
): Promise<boolean> {
  const { learnedBelow } = await host.local.ask('state', {})
  if (to - learnedBelow >= FEW) await copy(host, to, stopped)
  // From the last to the first: a TRUNCATE, or another's word that a position was truncated, comes first that way, and what
  // lies before it need not be asked for.
  for (let last = to; last >= from; ) {
    const range = { from, to: last, limit: FILLED_AT_ONCE }
    const missing = await host.local.ask('missing', range)
    if (missing.length === 0) break
    const filled = missing.map(position => fill(host, position, proposal, stopped))
    if ((await Promise.all(filled)).includes(undefined)) return false
    last = missing[0]! - 1
  }
  return !stopped?.()
}

/** Asks all others at once, for they may be slow, or not there; who has something is asked for the rest. */
export async function copy(host: Host, to: Position, stopped?: Stopped): Promise<void> {
  const { learnedBelow } = await host.local.ask('state', {})
  const others = host.network.members.filter(member => member.pid !== host.local.pid)
  await Promise.all(
    others.map(member =>
      copyFrom(member, to, learnedBelow, async actions => {
        if (stopped?.()) return to + 1
        const state = await host.local.ask('learn', { actions })
        return state.learnedBelow
      }),
    ),
  )
}

/**
 * Copies what another replica has learned, from `begin` up to `to`, as long as that gets it on. `learn` takes it in, and says
 * up to where all is learned then.
 */
export async function copyFrom(
  other: ReplicaRef,
  to: Position,
  begin: Position,
  learn: (actions: LearnedAction[]) => Position | Promise<Position>,
): Promise<void> {
  let from = begin
  while (from <= to) {
    const answer = await silenced(other.ask('fetch', { from }, { timeoutMs: COPY_LIMIT_MS }))
    if (!answer || answer.actions.length === 0) return
    const learnedBelow = await learn(answer.actions)
    if (learnedBelow <= from) return
    from = learnedBelow
  }
}

/** What another replica has learned at a position; undefined if it does not answer, or has not learned or has truncated it. */
export async function fetchOne(
  other: ReplicaRef,
  position: Position,
): Promise<LearnedAction | undefined> {
  const limit = { timeoutMs: COPY_LIMIT_MS }
  const answer = await silenced(other.ask('fetch', { from: position }, limit))
  return answer?.actions.find(action => action.position === position)
}
