// Whether this master leads. One that is alone always does. Of several, the ensemble of their logs elects one
// (src/log/election.ts), or ZooKeeper does (src/zookeeper/contender.ts); the others stand by, say who leads, and take over.
//
// None of these guards the registry, nor need it: that the log does. A master that stood still, or whose clock ran wrong, may
// for a moment take itself for the leader while another one is. What it then wants to append it appends as the log's
// coordinator that it was; the new leader has been elected as coordinator since, by a quorum of replicas that have promised
// not to accept anything of an older one, so that no quorum accepts it, and the old leader ends.

import type { Runtime } from '../actors/runtime.ts'
import type { Address } from '../actors/pid.ts'
import { deferred } from '../base/deferred.ts'
import { Election, ELECTION_ID, type Members } from '../log/log.ts'
import type { ZooKeeperMasters } from '../detector/location.ts'
import { MASTER_LABEL, masterInfoIn, parseMasterInfo } from '../detector/master-node.ts'
import type { MasterInfo } from '../messages/agent.ts'
import { Contender } from '../zookeeper/contender.ts'
import { LostLeadershipError } from './registry-log.ts'

export interface Leadership {
  /** Resolves when this master leads. */
  readonly elected: Promise<void>
  /** Whether it does at this very moment. Before it is elected: no. */
  readonly holds: () => boolean
  /** Who leads, as far as is known. */
  readonly leader: () => MasterInfo | undefined
}

export function leadsAlone(info: MasterInfo): Leadership {
  return { elected: Promise.resolve(), holds: () => true, leader: () => info }
}

/** It may have stood still for so long that another one leads: it does nothing more then, and the process ends. */
export function assertHeld(leadership: Leadership): void {
  if (!leadership.holds()) throw new LostLeadershipError('another master may lead by now')
}

/** Takes part in the election among these masters. When leadership is lost the process ends, as in Mesos. */
export function leadsByElection(
  runtime: Runtime,
  info: MasterInfo,
  members: readonly Address[] | Members,
  changed: (leader: MasterInfo | undefined) => void,
): Leadership {
  const elected = deferred()
  let leader: MasterInfo | undefined
  const election = new Election({
    members,
    about: JSON.stringify(info),
    leads: about => {
      leader = about === undefined ? undefined : parseMasterInfo(about)
      changed(leader)
    },
    elected: () => elected.resolve(),
    lost: () => {
      throw new LostLeadershipError(
        'too few of the other masters have confirmed that this one leads',
      )
    },
  })
  runtime.spawn(election, ELECTION_ID)
  return { elected: elected.promise, holds: () => election.leading, leader: () => leader }
}

/** The same through ZooKeeper: as in Mesos, the oldest node leads, and says where its master is. */
export function leadsThroughZooKeeper(
  runtime: Runtime,
  info: MasterInfo,
  { url, sessionTimeoutMs, open }: ZooKeeperMasters,
  changed: (leader: MasterInfo | undefined) => void,
): Leadership {
  const elected = deferred()
  let leader: MasterInfo | undefined
  const contender = new Contender({
    url,
    open,
    sessionTimeoutMs,
    path: url.path,
    label: MASTER_LABEL,
    about: JSON.stringify(info),
    leads: oldest => {
      leader = oldest && masterInfoIn(oldest)
      changed(leader)
    },
    elected: () => elected.resolve(),
    lost: why => {
      throw new LostLeadershipError(`ZooKeeper may have let another master lead: ${why}`)
    },
  })
  runtime.spawn(contender)
  return { elected: elected.promise, holds: () => contender.leading, leader: () => leader }
}
