// Phase 1 for all positions at once, by a coordinator that wants to be elected or a replica that recovers; and everything
// learned that was chosen before it.
//
// Who votes may have changed without this process knowing. Any two quorums of one membership share a member, and so do a
// quorum of one and a quorum of the next, for they differ by one member; but not those of the one after that. So nothing is
// decided with the members of a membership unless a quorum of them has said, with its promise, that it knows of none later.
// Why that is enough: the next membership is chosen by a quorum of this one, at a position p. If it was chosen before
// the promises, a member that promises has accepted it, and says so: `changeAt`, or `membership` when it knows that it is
// chosen. If it was not, it cannot be any more under any proposal that is lower. Then positions up to the end of what the
// quorum has seen belong to this membership or an earlier one, and can be filled with it (reconfigure.ts: what was chosen
// before a change, a majority of the new members has learned).
//
// A member that passes a truncation forgets what it has accepted before it, perhaps a change. So every word that something is
// truncated, TRUNCATE or tombstone, says who votes behind it: who forgets the change knows its outcome.

import type { Position, Proposal } from '../messages/log.ts'
import { catchUp } from './catchup.ts'
import { type Host, promisePhase, type Stopped } from './consensus.ts'
import { proposalAbove } from './proposer.ts'

/**
 * - `claimed`: a quorum promises; the log's last position, up to which the local replica has everything.
 * - `changed`: members have changed, or may have; to be tried again with a higher proposal.
 * - `reject`: somebody has a higher proposal.
 * - `ignored`: too few that vote have answered.
 * - `stopped`: by `stopped`.
 */
export type Claim =
  | { readonly type: 'claimed'; readonly position: Position }
  | { readonly type: 'reject'; readonly proposal: Proposal }
  | { readonly type: 'changed' | 'ignored' | 'stopped' }

export async function claim(
  host: Host,
  proposal: Proposal,
  from: Position,
  stopped: Stopped,
): Promise<Claim> {
  const { version } = host.network
  const isChanged = (): boolean => host.network.version !== version
  const outcome = await promisePhase(host, { proposal })
  if (stopped()) return { type: 'stopped' }
  if (outcome.type !== 'accept') return outcome
  const { membership, changeAt } = outcome
  if (membership && membership.version > version) {
    await host.local.ask('adopt', { membership })
    return { type: stopped() ? 'stopped' : 'changed' }
  }
  // What lies behind a change may belong to the members after it.
  const to = changeAt ?? outcome.position
  const goesOn = await catchUp(
    host,
    from,
    to,
    proposalAbove(proposal),
    () => stopped() || isChanged(),
  )
  if (stopped()) return { type: 'stopped' }
  if (!goesOn || isChanged()) return { type: 'changed' }
  if (changeAt !== undefined) {
    // It is chosen, or is not any more, and is learned here. Who has accepted it may have missed that, and would say so for
    // ever, since nobody is elected who would tell: so it is told to ask this one. (No vote has the proposal 0.)
    const news = { proposal: 0, from: changeAt, to: changeAt, membership: version }
    host.network.broadcast('chosen', news, host.local.pid)
    return { type: 'changed' }
  }
  return { type: 'claimed', position: outcome.position }
}
