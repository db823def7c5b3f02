// Whether this master leads. One that is alone always does. Of several, the ensemble of their logs elects one
// (src/log/election.ts); the others stand by, say who leads, and take over.

import * as v from 'valibot'
import type { Runtime } from '../actors/runtime.ts'
import type { Address } from '../actors/pid.ts'
import { deferred } from '../base/deferred.ts'
import { Election, ELECTION_ID } from '../log/log.ts'
import { MasterInfo } from '../messages/agent.ts'
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
  members: readonly Address[],
  changed: (leader: MasterInfo | undefined) => void,
): Leadership {
  const elected = deferred()
  let leader: MasterInfo | undefined
  const election = new Election({
    members,
    about: JSON.stringify(info),
    leads: about => {
      leader = about === undefined ? undefined : parseInfo(about)
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

function parseInfo(about: string): MasterInfo | undefined {
  try {
    const parsed = v.safeParse(MasterInfo, JSON.parse(about))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
