// Which masters keep the registry's log together, when ZooKeeper knows who there is: those entered under `log_replicas`, as in
// Mesos.
//
// A quorum of N is safe among 2N−1 replicas, not among more: two halves could each take themselves for a quorum. So never more
// than that many are taken; who comes as one too many ends with an error. And one that leaves ZooKeeper's list stays a member
// until another takes its place: its session may have ended while it lives, and its replica goes on.

import { type Address, addressOf, idOf, parsePid, pid } from '../actors/pid.ts'
import type { Runtime } from '../actors/runtime.ts'
import { UserError } from '../base/errors.ts'
import { Members, REPLICA_ID } from '../log/log.ts'
import { ensembleOf } from '../log/quorum.ts'
import { Attendant } from '../zookeeper/attendant.ts'
import type { Member } from '../zookeeper/group.ts'
import type { ZooKeeperMasters } from '../detector/location.ts'

/** Beside the election's nodes, whose names end in numbers. */
const FOLDER = 'log_replicas'
/** Mesos' nodes have a number for a name, which our library cannot make. No log has replicas of both kinds anyway. */
const LABEL = 'replica'
/** For so many sessions one too many may wait for another that is gone, but still entered, to be forgotten. */
const SESSIONS_TO_WAIT = 2

/** Who keeps the log from now on; undefined if too many are entered, so that nothing can change. */
export function nextMembers(
  known: readonly Address[],
  entered: readonly Address[],
  most: number,
): readonly Address[] | undefined {
  const now = [...new Set(entered)]
  if (now.length > most) return undefined
  const gone = known.filter(address => !now.includes(address))
  return [...now, ...gone.slice(0, most - now.length)]
}

/** Enters this process' replica under `path`, and keeps the log's `members` as ZooKeeper has them. */
export function followLogMembers(
  runtime: Runtime,
  { url, sessionTimeoutMs, open }: ZooKeeperMasters,
  { members, quorum }: { readonly members: Members; readonly quorum: number },
  path = `${url.path}/${FOLDER}`,
): void {
  const most = ensembleOf(quorum)
  let isKnown = false
  let tooMany: readonly Address[] | undefined
  const heard = (entered: readonly Member[]): void => {
    const addresses = entered.map(addressIn).filter(address => address !== undefined)
    // Before its own node is there, the list is not the one to go by.
    if (!addresses.includes(runtime.address)) return
    const next = nextMembers(members.addresses, addresses, most)
    tooMany = next ? undefined : addresses
    if (next) {
      isKnown = true
      members.change(next)
    } else {
      runtime.log.error({ masters: addresses, quorum, most }, 'more masters than the quorum allows')
    }
  }
  const about = pid(REPLICA_ID, runtime.address)
  // One more than there may be, and some that are gone but not forgotten.
  const read = 4 * most + 16
  const attendant = new Attendant({
    url,
    open,
    sessionTimeoutMs,
    path,
    label: LABEL,
    about,
    read,
    members: heard,
    graceMs: SESSIONS_TO_WAIT * sessionTimeoutMs,
    afterGrace: () => {
      if (!isKnown && tooMany) throw tooManyError(tooMany, quorum)
    },
  })
  runtime.spawn(attendant)
}

function tooManyError(masters: readonly Address[], quorum: number): UserError {
  return new UserError(
    'invalid_flags',
    `A quorum of ${quorum} belongs to ${ensembleOf(quorum)} masters, but ZooKeeper lists ${new Set(masters).size}: ${masters.join(', ')}.`,
    { hint: 'Stop those that are too many, or start all with a larger --quorum.' },
  )
}

/** `log-replica(1)@host:port`; undefined of what is none. */
function addressIn({ data }: Member): Address | undefined {
  const replica = data && parsePid(new TextDecoder().decode(data))
  return replica && idOf(replica) === REPLICA_ID ? addressOf(replica) : undefined
}
