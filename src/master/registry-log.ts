// Where the registrar keeps its entries: in the replicated log, or nowhere (for trying things out).

import type { Ref } from '../actors/protocol.ts'
import { UserError } from '../base/errors.ts'
import { type LogService, Reader, Writer } from '../log/log.ts'
import type { RegistryLog } from './registrar.ts'

/** This master is not the log's writer any more: another one leads, and this process has to end. */
export class LostLeadershipError extends Error {
  override readonly name = 'LostLeadershipError'
}

export function replicatedLog(log: Ref<(typeof LogService)['entries']>): RegistryLog {
  const writer = new Writer(log)
  const reader = new Reader(log)
  const still = (position: number | undefined): number => {
    if (position !== undefined) return position
    throw new LostLeadershipError('another master has become the writer of the replicated log')
  }
  return {
    learned: () => reader.learned(),
    recover: async () => {
      let end: number | undefined
      // In vain if a higher proposal was made: by who led before, or by a replica that recovers. This master has been elected
      // to lead, so it goes on; how long, the one who asks decides.
      while (end === undefined) end = await writer.start()
      return { begin: await reader.beginning(), end }
    },
    read: async (from, to) => (await reader.read(from, to)).map(entry => entry.bytes),
    append: async bytes => {
      try {
        return still(await writer.append(bytes))
      } catch (error) {
        throw error instanceof UserError && error.code === 'too_large' ? tooLarge(error) : error
      }
    },
    truncate: async position => {
      still(await writer.truncate(position))
    },
  }
}

/** Only of what grows with the cluster there is so much. */
function tooLarge(cause: UserError): UserError {
  return new UserError('too_large', `The registry cannot be written. ${cause.message}`, {
    hint:
      'Let it remember fewer agents that are unreachable or gone (--registry_max_agent_count, --registry_max_agent_age), ' +
      'or divide the cluster.',
    cause,
  })
}

/** Forgets everything at the end of the process. */
export function memoryLog(): RegistryLog {
  let next = 1
  return {
    learned: () => Promise.resolve({ begin: 1, end: 0 }),
    recover: () => Promise.resolve({ begin: 1, end: 0 }),
    read: () => Promise.resolve([]),
    append: () => Promise.resolve(next++),
    truncate: () => Promise.resolve(),
  }
}
