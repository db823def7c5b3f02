// Where a replica lives: its process' address, and with whom it was started. It is kept beside its votes, because these count
// only there. A list of masters that is changed by hand would let two logs that were written apart vote on the same positions; a
// copy of a directory would let one replica vote twice, once without the memory of the other. Pure.

import type { Address } from '../actors/pid.ts'
import { UserError } from '../base/errors.ts'
import type { ReplicaStatus } from '../messages/log.ts'

export interface Home {
  readonly self: Address
  /** - `alone`: no list was given; `list`: one was; `live`: another system keeps it. */
  readonly kind: 'alone' | 'list' | 'live'
  /** The list; empty if there is none. */
  readonly members: readonly Address[]
  readonly quorum: number
}

/**
 * Throws a `UserError` if a replica that has a part in its log was taken to where it must not vote. `version`: how many changes
 * of members the log has chosen; after the first the list that is given does not count any more.
 */
export function checkHome(
  home: Home | undefined,
  now: Home,
  { status, version }: { readonly status: ReplicaStatus; readonly version: number },
): void {
  // One that is EMPTY has said nothing yet that could be wrong elsewhere.
  if (!home || status === 'EMPTY') return
  // One that is RECOVERING does not know yet what has been changed; it will ask those who vote.
  const isKnown = status === 'RECOVERING' && sharesOthers(home, now)
  if (version === 0 && !isKnown && !isSameEnsemble(home, now)) {
    throw new UserError('conflict', `${nameOf(home)}, and is now to be ${partOf(now)}.`, {
      hint: hintFor(home, now),
    })
  }
  const moved = home.self !== now.self && (version > 0 || home.members.length > 1)
  if (moved && home.kind === 'list' && now.kind !== 'live') {
    throw new UserError(
      'conflict',
      `This replicated log belongs to the process at ${home.self}, not to this one at ${now.self}.`,
      {
        hint:
          version > 0
            ? `Start this one with an empty work_dir, and name it to the log: mesos-log members --add=${now.self}. A copy of another's log would vote for that one.`
            : `Start this one with an empty work_dir: it recovers from the others. A copy of another's log would vote for that one. If ${home.self} has become ${now.self}, say so first: mesos-log relocate.`,
      },
    )
  }
}

function isSameEnsemble(home: Home, now: Home): boolean {
  const isOne = home.quorum === 1 && home.members.length < 2
  // Alone, it may go where it likes.
  if (isOne) return now.quorum === 1 && now.members.length < 2
  if (home.kind === 'list' && now.kind === 'list')
    return home.members.toSorted().join() === now.members.toSorted().join()
  return now.kind !== 'alone' && home.quorum === now.quorum
}

function sharesOthers(home: Home, now: Home): boolean {
  return home.members.some(it => it !== home.self && it !== now.self && now.members.includes(it))
}

function nameOf({ kind, members, quorum }: Home): string {
  if (kind === 'live')
    return `This replicated log was written by masters with a quorum of ${quorum}`
  if (kind === 'alone') return 'This replicated log was written by a master alone'
  return `This replicated log was written by the masters ${members.join(',')}`
}

function partOf({ kind, members, quorum }: Home): string {
  if (kind === 'live') return `one of those with a quorum of ${quorum}`
  return kind === 'alone' ? 'that of one alone' : `that of ${members.join(',')}`
}

function hintFor(home: Home, now: Home): string {
  if (home.members.length < 2 && home.quorum === 1)
    return `To have more masters, start this one with --masters=${now.self}, and add the others, with empty work_dirs, one by one: mesos-log members --add.`
  if (now.kind === 'alone')
    return 'Start it with --masters, or --zk, as before. Alone it would write another log than the others.'
  return 'Start it as before (whom it does not know, the log tells it), and add or remove masters while they run: mesos-log members. If all have other addresses now, say so first, to each: mesos-log relocate.'
}
