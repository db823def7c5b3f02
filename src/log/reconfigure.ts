// Changing who votes: one member more, or one less, while the log goes on.
//
//   welcome ──▶ settle ──▶ (nothing else under way) settle ──▶ MEMBERS is chosen by the old ones ──▶ the new ones vote
//
// Settled is who has learned all positions below the change, on disk. A majority of the new members must have: so whoever
// asks a quorum of them finds one that knows what was chosen there, whatever members it was chosen by, and however many
// changes ago. A member that is added must itself have, and its replica must never have voted (it is EMPTY): so it can vote
// from the moment on at which it learns that it is a member (recover.ts).

import type { Address } from '../actors/pid.ts'
import { pid } from '../actors/pid.ts'
import type { Membership, Position, SettledResponse } from '../messages/log.ts'
import { backOff, type Host, silenced } from './consensus.ts'
import type { Coordinator } from './coordinator.ts'
import type { ChangeResult } from '../messages/log-membership.ts'
import type { Members } from './members.ts'
import { REPLICA_ID, type ReplicaRef } from './network.ts'
import { majorityOf } from './quorum.ts'

export type Change = { readonly add: Address } | { readonly remove: Address }

/** For so long the log stands still at most, to wait for members to have the last positions. */
const STANDSTILL_MS = 3_000
const ASK_MS = 1_000
const RETRY_MS = 20

export interface Reconfiguring {
  readonly host: Host
  readonly coordinator: Coordinator
  readonly members: Members
  readonly self: Address
  readonly connect: (member: string) => ReplicaRef
  readonly nowMs: () => number
}

/** The members after a change; or why it cannot be. Pure. */
export function nextMembers(
  present: readonly Address[],
  self: Address,
  change: Change,
): { readonly members: readonly Address[] } | { readonly why: string } {
  if (present.length === 0)
    return {
      why: 'This log has no list of members. Start its master with --masters, with itself in it.',
    }
  if ('add' in change) {
    if (present.includes(change.add)) return { why: `${change.add} is a member already.` }
    return { members: [...present, change.add] }
  }
  const { remove } = change
  if (!present.includes(remove))
    return { why: `${remove} is no member; members are ${present.join(', ')}.` }
  if (remove === self)
    return { why: `${remove} leads. Stop it first, so that another one does, and remove it then.` }
  return { members: present.filter(member => member !== remove) }
}

export async function reconfigure(context: Reconfiguring, change: Change): Promise<ChangeResult> {
  const { host, coordinator, members, self } = context
  if (members.isLive)
    return {
      type: 'refused',
      why: 'ZooKeeper lists the members of this log: start or stop masters instead.',
    }
  const next = nextMembers(members.addresses, self, change)
  if ('why' in next) return { type: 'refused', why: next.why }
  const guest = 'add' in change ? change.add : undefined
  await host.local.ask('welcome', guest === undefined ? {} : { guest })
  const { learnedBelow, membership: last } = await host.local.ask('state', {})
  const first = await askSettled(context, next.members, learnedBelow, guest)
  // The one that was added last may not have begun to vote, and knows from the list in force alone that it may. So that is
  // handed on; where it cannot be, since another one is added, it is waited for. One that is silent is not: it can recover.
  const before = last?.joined && next.members.includes(last.joined.member) ? last.joined : undefined
  const answered = before && first.answers[next.members.indexOf(before.member)]
  if (guest !== undefined && answered?.status === 'EMPTY' && answered.replica === before?.replica)
    return { type: 'catching up', learnedBelow: answered.learnedBelow, of: learnedBelow }
  if (first.guest && first.guest.status !== 'EMPTY')
    return {
      type: 'refused',
      why: `${guest} has a log already (its replica is ${first.guest.status}). Start it with an empty work_dir.`,
    }
  if (guest !== undefined && !first.guest)
    return {
      type: 'refused',
      why: `${guest} does not answer. Start it with --masters=${next.members.join()}.`,
    }
  if (first.guest && !first.guest.settled)
    return { type: 'catching up', learnedBelow: first.guest.learnedBelow, of: learnedBelow }

  const added = guest !== undefined && { member: guest, replica: first.guest!.replica }
  const joined = added || before
  const membership: Membership = {
    version: members.version + 1,
    members: [...next.members],
    ...(joined && { joined }),
  }
  let isSettled = false
  let isOvertaken = false
  const position = await coordinator.changeMembers(membership, async below => {
    // Another one may have led meanwhile, and changed them: then this is a step from members of the past.
    isOvertaken = members.version !== membership.version - 1
    if (isOvertaken) return false
    const endMs = context.nowMs() + STANDSTILL_MS
    while (!isSettled && context.nowMs() < endMs) {
      const answers = await askSettled(context, next.members, below, guest)
      isSettled =
        answers.count >= majorityOf(next.members.length) &&
        (!added || (answers.guest?.settled === true && answers.guest.replica === added.replica))
      if (!isSettled) await backOff(host, RETRY_MS)
    }
    return isSettled
  })
  if (position !== undefined) return { type: 'changed', members: [...next.members] }
  if (isSettled) return { type: 'unknown' }
  if (isOvertaken)
    return {
      type: 'refused',
      why: 'Members have changed meanwhile. Look who they are, and try again.',
    }
  return {
    type: 'refused',
    why: `Fewer than ${majorityOf(next.members.length)} of ${next.members.join(', ')} have all that was written. Wait until they do, or start those that are down.`,
  }
}

interface Settled {
  readonly count: number
  /** In the order of the members that were asked. */
  readonly answers: readonly (SettledResponse | undefined)[]
  readonly guest: SettledResponse | undefined
}

async function askSettled(
  { connect }: Reconfiguring,
  members: readonly Address[],
  below: Position,
  guest: Address | undefined,
): Promise<Settled> {
  const answers = await Promise.all(
    members.map(member =>
      silenced(connect(pid(REPLICA_ID, member)).ask('settled', { below }, { timeoutMs: ASK_MS })),
    ),
  )
  const at = guest === undefined ? -1 : members.indexOf(guest)
  const count = answers.filter(answer => answer?.settled).length
  return { count, answers, guest: answers[at] }
}
