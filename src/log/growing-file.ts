// Reads a segment that somebody may be writing. One of the few files that may touch the world.

import { open, readFile } from 'node:fs/promises'
import { scanSegment } from './segment.ts'
import { DamagedLogError } from './storage.ts'

/** A whole file; undefined if there is none. */
export async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    return whenMissing(error)
  }
}

/**
 * The last segment of a log, as it was at some moment, but for what was being written then. A file is read piece by piece: a
 * batch that is written meanwhile may be missing though one behind it is there, which looks like damage. So what is there
 * is read again, from the damage on. The batch behind it was begun when all before it were on disk: if it cannot be read
 * now, it is damaged. If it can, what was read then may look damaged further on, for the same reason.
 */
export async function readGrowing(
  file: string,
  sequence: number,
  read = readFrom,
): Promise<Buffer | undefined> {
  let bytes = await read(file, 0)
  let before = -1
  for (;;) {
    const at = bytes && damagedAt(file, bytes, sequence)
    if (at === undefined || at <= before) return bytes
    before = at
    const rest = await read(file, at)
    bytes = rest && Buffer.concat([bytes!.subarray(0, at), rest])
  }
}

function damagedAt(file: string, bytes: Buffer, sequence: number): number | undefined {
  try {
    scanSegment(file, bytes, sequence, true, () => {})
    return undefined
  } catch (error) {
    if (error instanceof DamagedLogError) return error.offset
    throw error
  }
}

async function readFrom(file: string, offset: number): Promise<Buffer | undefined> {
  try {
    const handle = await open(file, 'r')
    try {
      const { size } = await handle.stat()
      const bytes = Buffer.alloc(Math.max(0, size - offset))
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset)
      return bytes.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (error) {
    return whenMissing(error)
  }
}

function whenMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
