// Keeps what writes to a log for the sake of writing from one that a master needs.

import { UserError } from '../../base/errors.ts'
import { type LogEntry, viewLog } from '../../log/log.ts'
import { registryEntry } from './text.ts'

/** Throws a `UserError` if there is a log in that directory, and a master's registry in it. */
export async function refuseRegistry(directory: string): Promise<void> {
  let entries: AsyncIterable<LogEntry>
  try {
    entries = (await viewLog(directory)).entries()
  } catch (error) {
    // No log yet.
    if (error instanceof UserError && (error.code === 'path_missing' || error.code === 'not_found'))
      return
    throw error
  }
  for await (const { type, ...entry } of entries) {
    if (type === 'APPEND' && 'bytes' in entry) refuseRegistryIn([entry as { bytes: Uint8Array }])
  }
}

export function refuseRegistryIn(entries: readonly { readonly bytes: Uint8Array }[]): void {
  if (!entries.some(({ bytes }) => registryEntry(bytes))) return
  throw new UserError('conflict', 'The log holds the registry of a master: nothing is appended.', {
    hint: 'Benchmark a log of its own: another --path, and --replicas that no master uses.',
  })
}
