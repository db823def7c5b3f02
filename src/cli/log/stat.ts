// mesos-log stat: a log in numbers.

import { defineFlags } from '../../base/flags.ts'
import { type LogEntry, surveyLog } from '../../log/log.ts'
import type { Command } from '../main.ts'
import { Lines } from './lines.ts'
import { segmentLine, segmentsJson } from './segments-text.ts'
import { plural, registryEntry, timeText } from './text.ts'
import { checkWhere, directoryOf, json, look, refuseDamage, where } from './where.ts'

const flags = defineFlags({ ...where, json: json('One JSON object.') })

export const statCommand: Command<typeof flags> = {
  name: 'mesos-log stat',
  summary:
    'Prints a log in numbers: its positions, what its replica promised, its files, and how many operations of each kind are in it.',
  flags,
  examples: ['mesos-log stat --work_dir=/var/lib/mesos'],
  check: checkWhere,
  run: async values => {
    const directory = directoryOf(values)
    const view = await look(directory)
    const { segments, damages } = await surveyLog(directory)
    const counts = await countEntries(view.entries())
    const { metadata, begin, end } = view
    const bytes = segments.reduce((sum, { validBytes }) => sum + validBytes, 0)
    const replica = segments.find(({ replicaId }) => replicaId !== undefined)?.replicaId
    const lines = Lines.toOutput()
    if (values.json) {
      await lines.print(
        JSON.stringify({
          ...{ replica: replica ?? null, ...metadata, begin, end: end ?? null },
          ...counts,
          bytes,
          segments: segmentsJson(segments),
        }),
      )
    } else {
      const { learned, entries, snapshots, last_snapshot: last, operations } = counts
      const rows: [string, string][] = [
        ['replica', `${replica ?? '?'}: ${metadata.status}, promised ${metadata.promised}`],
        ['positions', `begin ${begin}, end ${end ?? '-'}, learned to ${learned ?? '-'}`],
        ['entries', Object.entries(entries).map(kindText).join(', ') || 'none'],
        ['written', span(counts)],
        ['snapshots', `${snapshots}${last === null ? '' : `, the last at ${last}`}`],
        ['operations', String(Object.values(operations).reduce((a, b) => a + b, 0))],
        ...Object.entries(operations).map(([kind, count]): [string, string] => [
          '',
          kindText([kind, count]),
        ]),
        ['files', `${plural(bytes, 'byte')} in ${plural(segments.length, 'segment')}`],
        ...segments.map((each): [string, string] => ['', segmentLine(each, damages)]),
      ]
      for (const [name, text] of rows) await lines.print(`${name.padEnd(12)}${text}`)
    }
    await lines.end()
    refuseDamage(view)
    return 0
  },
}

const kindText = ([kind, count]: readonly [string, number]): string => `${count} ${kind}`

interface EntryCounts {
  /** The last position that is known to be chosen. */
  readonly learned: number | null
  /** By kind; PROMISE is a position without a value. */
  readonly entries: Readonly<Record<string, number>>
  /** Those of a registry. */
  readonly snapshots: number
  readonly last_snapshot: number | null
  readonly operations: Readonly<Record<string, number>>
  /** Of the first and last entry of the registry. */
  readonly first_time_ms: number | null
  readonly last_time_ms: number | null
}

function span({ first_time_ms: first, last_time_ms: last }: EntryCounts): string {
  return first === null ? '-' : `${timeText(first)} to ${timeText(last!)}`
}

async function countEntries(entries: AsyncIterable<LogEntry>): Promise<EntryCounts> {
  const kinds: Record<string, number> = {}
  const operations: Record<string, number> = {}
  const add = (to: Record<string, number>, kind: string): void => {
    to[kind] = (to[kind] ?? 0) + 1
  }
  let [learned, last, first_time_ms, last_time_ms]: (number | null)[] = [null, null, null, null]
  let snapshots = 0
  for await (const found of entries) {
    add(kinds, found.type ?? 'PROMISE')
    if (found.learned) learned = found.position
    const entry = found.type === 'APPEND' && found.bytes ? registryEntry(found.bytes) : undefined
    if (!entry) continue
    first_time_ms ??= entry.time_ms
    last_time_ms = entry.time_ms
    if (entry.snapshot) {
      snapshots++
      last = found.position
    }
    for (const { type } of entry.operations ?? []) add(operations, type)
  }
  return {
    ...{ learned: learned!, entries: kinds, snapshots, last_snapshot: last!, operations },
    ...{ first_time_ms: first_time_ms!, last_time_ms: last_time_ms! },
  }
}
