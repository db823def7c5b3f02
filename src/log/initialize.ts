// Lets an empty replica vote, on the word of an operator that the ensemble is new: where replicas may not start a new log by
// themselves (`autoInitialize: false`), somebody has to say so to each of them. A replica that was told so although it had
// lost its disk would forget votes that it gave; that is why it is an operator who has to know.

import { UserError } from '../base/errors.ts'
import { Acceptor } from './acceptor.ts'
import type { Storage, StorageWarning } from './storage.ts'

/** Opens, writes and closes `storage`. Rejects with a `UserError` if there is anything in it already. */
export async function initializeReplica(storage: Storage): Promise<readonly StorageWarning[]> {
  const acceptor = new Acceptor()
  const warnings = await storage.open(
    record => acceptor.apply(record),
    () => acceptor.snapshot(),
  )
  try {
    const { status } = acceptor.metadata
    if (status !== 'EMPTY') {
      throw new UserError('conflict', `The log is not empty: its replica is ${status}.`, {
        hint: 'A replica is initialized once, before it first runs. Nothing was changed.',
      })
    }
    await storage.persist(acceptor.become('VOTING'))
    return warnings
  } finally {
    await storage.close()
  }
}
