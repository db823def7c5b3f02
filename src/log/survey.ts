// Looks at every file of a log, damaged ones too: what is in each, and all that is wrong, where `viewLog` stops at the first
// damage. Takes no lock and changes nothing. One of the few files that may touch the world.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Position } from '../messages/log.ts'
import { readGrowing, readIfThere } from './growing-file.ts'
import { HistoryCheck } from './history-check.ts'
import { checkNotPutAside } from './put-aside.ts'
import type { StoredRecord } from './record.ts'
import { type Place, SegmentIndex } from './segment-index.ts'
import { indexName, scanSegment, segmentName, sequenceOf } from './segment.ts'
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
  /** Of the file; zeros at its end are space that was taken up in advance. */
  readonly fileBytes: number
  /** Up to where it can be read. */
  readonly validBytes: number
  /** What follows that, of a write that was never completed. */
  readonly tornBytes: number
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
  /**
   * Of each segment the first byte that was synced and cannot be read; segments that are missing between others; indexes that
   * lead astray.
   */
  readonly damages: Fault[]
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
  const damages: Fault[] = attempt(() => checkNotPutAside(directory, names))
  const breaches: Fault[] = []
  for (const [index, sequence] of sequences.entries()) {
    const file = join(directory, segmentName(sequence))
    const last = sequence === sequences.at(-1)
    const bytes = await (last ? readGrowing(file, sequence) : readIfThere(file))
    if (!bytes) {
      check.missed()
      continue
    }
    const before = sequences[index - 1] ?? sequence - 1
    if (before !== sequence - 1) {
      const message = `${file} is there, but not the segment before it, ${segmentName(sequence - 1)}.`
      damages.push({ file, offset: 0, message })
      check.missed()
    }
    const places = new Map<Position, Place>()
    const { survey, damage } = surveySegment(
      { file, bytes, sequence, last },
      (batch, offset, length) => {
        for (const [nth, record] of batch.entries()) {
          if (record.type === 'write') places.set(record.position, { offset, length, nth })
        }
        for (const message of check.add(batch)) {
          if (breaches.length < MOST_BREACHES) breaches.push({ file, offset, message })
        }
      },
    )
    segments.push(survey)
    if (damage) {
      damages.push(damage)
      check.missed()
    } else if (!last) damages.push(...(await checkIndex(directory, survey, places)))
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
  visit: (batch: readonly StoredRecord[], offset: number, length: number) => void,
): { readonly survey: SegmentSurvey; readonly damage?: Fault } {
  const { file, bytes, sequence, last } = segment
  let [batches, records, validBytes, tornBytes] = [0, 0, 0, 0]
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let replicaId: string | undefined
  const [damage] = attempt(() => {
    const scan = scanSegment(file, bytes, sequence, last, (batch, offset, length) => {
      batches++
      records += batch.length
      visit(batch, offset, length)
      for (const record of batch) {
        if (!('position' in record)) continue
        least = Math.min(least, record.position)
        most = Math.max(most, record.position)
      }
    })
    validBytes = scan.validBytes
    tornBytes = scan.warning?.cutBytes ?? 0
    replicaId = scan.header?.replicaId
  })
  const survey = {
    ...{ file, sequence, fileBytes: bytes.length, validBytes: damage?.offset ?? validBytes },
    ...{ tornBytes, batches, records },
    ...(most >= least && { first: least, last: most }),
    ...(replicaId !== undefined && { replicaId }),
  }
  return { survey, ...(damage && { damage }) }
}

/** One that is not there, or not whole, is no damage: it is made again. One that is whole is believed, so it must be right. */
async function checkIndex(
  directory: string,
  { sequence, validBytes }: SegmentSurvey,
  places: ReadonlyMap<Position, Place>,
): Promise<Fault[]> {
  const file = join(directory, indexName(sequence))
  const bytes = await readIfThere(file)
  const read = bytes && SegmentIndex.decode(bytes, sequence)
  if (!read) return []
  const wrong = (what: string): Fault[] => [
    { file, offset: 0, message: `${file} is wrong: ${what}.` },
  ]
  const { sizeBytes } = read.summary
  if (sizeBytes !== validBytes)
    return wrong(`it says that its segment has ${sizeBytes} bytes, but that has ${validBytes}`)
  for (const [position, { offset, nth }] of places) {
    const place = read.index.find(position)
    if (place?.offset !== offset || place.nth !== nth)
      return wrong(`position ${position} is not where it says`)
  }
  return []
}

/** The damage that was met, if any. */
function attempt(run: () => void): Fault[] {
  try {
    run()
    return []
  } catch (error) {
    if (!(error instanceof DamagedLogError)) throw error
    return [faultOf(error)]
  }
}

export function faultOf({ file, offset, message }: DamagedLogError): Fault {
  return { file, offset, message }
}
