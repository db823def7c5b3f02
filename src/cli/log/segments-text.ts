// How the files of a log look to people and programs. Pure.

import { basename } from 'node:path'
import type { Fault, SegmentSurvey } from '../../log/log.ts'
import { plural } from './text.ts'

/** `segment-….log  34210 bytes  positions 0 to 120  63 batches  whole`. */
export function segmentLine(segment: SegmentSurvey, damages: readonly Fault[]): string {
  const { file, validBytes, tornBytes, batches } = segment
  const damage = damages.find(each => each.file === file)
  const state =
    damage !== undefined
      ? `DAMAGED at byte ${damage.offset}`
      : tornBytes > 0
        ? `whole up to byte ${validBytes}`
        : 'whole'
  return [
    basename(file),
    plural(validBytes, 'byte'),
    rangeText(segment),
    plural(batches, 'batch').replace('batchs', 'batches'),
    state,
  ].join('  ')
}

export function rangeText({ first, last }: SegmentSurvey): string {
  return first === undefined ? 'no positions' : `positions ${first} to ${last}`
}

export function segmentsJson(segments: readonly SegmentSurvey[]): readonly object[] {
  return segments.map(
    ({ file, fileBytes, validBytes, tornBytes, batches, records, first, last }) => ({
      file: basename(file),
      bytes: validBytes,
      torn_bytes: tornBytes,
      file_bytes: fileBytes,
      batches,
      records,
      first: first ?? null,
      last: last ?? null,
    }),
  )
}
