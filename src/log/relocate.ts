// Tells a log that stands still that its masters have other addresses now (home.ts), on the word of an operator that they are
// the same ones: that no other process has this log, and none of those in the list another.

import type { Address } from '../actors/pid.ts'
import { UserError } from '../base/errors.ts'
import { Acceptor } from './acceptor.ts'
import type { Home } from './home.ts'
import { majorityOf } from './quorum.ts'
import type { Storage } from './storage.ts'

/** Opens, writes and closes `storage`. Resolves with where the log lived. Rejects with a `UserError` if it cannot live there. */
export async function relocate(
  storage: Storage,
  self: Address,
  members: readonly Address[],
): Promise<Home | undefined> {
  const acceptor = new Acceptor()
  await storage.open(
    record => acceptor.apply(record),
    () => acceptor.snapshot(),
  )
  try {
    const { home, membership, metadata } = acceptor
    if (metadata.status === 'EMPTY')
      throw new UserError('conflict', 'The log is empty: it can be started anywhere.')
    const quorum = majorityOf(members.length)
    const listed = membership?.members ?? home?.members ?? []
    const isAsMany = listed.length > 0 ? listed.length === members.length : home?.quorum === quorum
    if (home && !isAsMany) {
      const count = listed.length > 0 ? `${listed.length} masters` : `a quorum of ${home.quorum}`
      throw new UserError('conflict', `The log has ${count}, and these are ${members.length}.`, {
        hint: 'Name as many as there were. To have more or fewer, change them while they run: mesos-log members.',
      })
    }
    // They are the same ones under other names. As the next change it is not undone by what others remember of the last.
    const renamed = membership && {
      ...{ at: membership.at, proposal: membership.proposal },
      ...{ version: membership.version + 1, members: [...members] },
    }
    await storage.persist([
      ...(renamed ? acceptor.adopt(renamed) : []),
      ...acceptor.settleIn({ self, kind: 'list', members, quorum }),
    ])
    return home
  } finally {
    await storage.close()
  }
}
