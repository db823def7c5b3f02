// Looks at every file of a log, damaged ones too: what is in each, and all that is wrong, where `viewLog` stops at the first
// damage. Takes no lock and changes nothing. One of the few files that may touch the world.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Position } from '../messages/log.ts'
import { HistoryCheck } from './history-check.ts'
import type { StoredRecord } from './record.ts'
import { scanSegment, segmentName, sequenceOf } from './segment.ts'
import { DamagedLogError } from './storage.ts'

/** Something wrong at a place in a file. */
export interface Fault {
  readonly file: string
  /** In bytes. */
  readonly offset: number
  readonly message: string
}

export interface SegmentSurvey {
  readonly file: string
  readonly sequence: number
  /** Of the file. */
  readonly sizeBytes: number
  /** Up to where it can be read; what follows is damaged, or was never completed. */
  readonly validBytes: number
  /** What was synced together. */
  readonly batches: number
  readonly records: number
  /** What its promises, writes and learned notices are about; absent if it has none. */
  readonly first?: Position
  readonly last?: Position
  /** Absent if its header cannot be read. */
  readonly replicaId?: string
}

export interface LogSurvey {
  readonly segments: readonly SegmentSurvey[]
  /** Of each segment the first byte that was synced and cannot be read; and segments that are missing between others. */
  readonly damages: readonly Fault[]
  /** Records that no acceptor may write; the first hundred. */
  readonly breaches: readonly Fault[]
}

const MOST_BREACHES = 100

/** Reads one segment at a time. A segment that a running master gives back meanwhile is left out. */
export async function surveyLog(directory: string): Promise<LogSurvey> {
  const names = await readdir(directory)
  const sequences = names.flatMap(name => sequenceOf(name) ?? []).sort((a, b) => a - b)
  const check = new HistoryCheck()
  const segments: SegmentSurvey[] = []
  const damages: Fault[] = []
  const breaches: Fault[] = []
  for (const [index, sequence] of sequences.entries()) {
    const file = join(directory, segmentName(sequence))
    const bytes = await readIfThere(file)
    if (!bytes) continue
    const { survey, damage } = surveySegment(
      { file, bytes, sequence, last: sequence === sequences.at(-1) },
      (record, offset) => {
        const message = check.add(record)
        if (message !== undefined && breaches.length < MOST_BREACHES)
          breaches.push({ file, offset, message })
      },
    )
    const before = sequences[index - 1] ?? sequence - 1
    if (before !== sequence - 1) {
      const message = `${file} is there, but not the segment before it, ${segmentName(sequence - 1)}.`
      damages.push({ file, offset: 0, message })
    }
    segments.push(survey)
    if (damage) damages.push(damage)
  }
  return { segments, damages, breaches }
}

function surveySegment(
  segment: {
    readonly file: string
    readonly bytes: Buffer
    readonly sequence: number
    readonly last: boolean
  },
  visit: (record: StoredRecord, offset: number) => void,
): { readonly survey: SegmentSurvey; readonly damage?: Fault } {
  const { file, bytes, sequence, last } = segment
  let [batches, records, validBytes] = [0, 0, 0]
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let replicaId: string | undefined
  let damage: Fault | undefined
  try {
    const scan = scanSegment(file, bytes, sequence, last, (batch, offset, length) => {
      batches++
      records += batch.length
      validBytes = offset + length
      for (const record of batch) {
        visit(record, offset)
        if (!('position' in record)) continue
        least = Math.min(least, record.position)
        most = Math.max(most, record.position)
      }
    })
    validBytes = scan.validBytes
    replicaId = scan.header?.replicaId
  } catch (error) {
    if (!(error instanceof DamagedLogError)) throw error
    damage = faultOf(error)
    validBytes = error.offset
  }
  const survey = {
    ...{ file, sequence, sizeBytes: bytes.length, validBytes, batches, records },
    ...(most >= least && { first: least, last: most }),
    ...(replicaId !== undefined && { replicaId }),
  }
  return { survey, ...(damage && { damage }) }
}

export function faultOf({ file, offset, message }: DamagedLogError): Fault {
  return { file, offset, message }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
