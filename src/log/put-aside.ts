// A damaged log makes room for a new one, and stays to be looked at. A power loss at any moment leaves a directory that
// nobody takes for a whole log: from the first move to the first record of the new one, a mark lies in it.

import { join } from 'node:path'
import type { LogFiles } from './files.ts'
import { indexedSequenceOf, sequenceOf } from './segment.ts'
import { DamagedLogError } from './storage.ts'

const MARK = 'starting-over'
/** Where it is put. What an earlier damage has put there goes. */
const ASIDE = 'damaged'

export const isMark = (name: string): boolean => name === MARK

/** Throws `DamagedLogError` if the mark is among these names. */
export function checkNotPutAside(directory: string, names: readonly string[]): void {
  if (!names.includes(MARK)) return
  const what = 'a damaged log was being put aside when the process ended'
  throw new DamagedLogError(join(directory, MARK), 0, what)
}

/** Puts aside the segments of a directory. To be called again after a crash in the middle of it. */
export async function putAside(files: LogFiles, directory: string): Promise<void> {
  const aside = join(directory, ASIDE)
  const isResumed = (await files.list(directory)).includes(MARK)
  if (!files.makeDirectory(aside) && !isResumed) {
    for (const name of await files.list(aside)) await files.remove(join(aside, name))
  }
  await (await files.open(join(directory, MARK), 'w+')).close()
  await files.syncDirectory(directory)
  const kept = await files.list(aside)
  for (const name of await files.list(directory)) {
    if (sequenceOf(name) === undefined && indexedSequenceOf(name) === undefined) continue
    const from = join(directory, name)
    // The second time around, it is of the log that was to take the place of the damaged one.
    if (kept.includes(name)) await files.remove(from)
    else await files.rename(from, join(aside, name))
  }
  await files.syncDirectory(aside)
  await files.syncDirectory(directory)
}

/** To be called once the new log has something in it that is on disk. */
export async function isPutAside(files: LogFiles, directory: string): Promise<void> {
  await files.remove(join(directory, MARK))
  await files.syncDirectory(directory)
}
