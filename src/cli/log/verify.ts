// mesos-log verify: whether a log is whole, and its registry can be replayed.

import { formatBytes } from '../../base/bytes.ts'
import { defineFlags } from '../../base/flags.ts'
import { DamagedLogError, type Fault, faultOf, surveyLog } from '../../log/log.ts'
import type { Command } from '../main.ts'
import { checkEntries } from './checks.ts'
import { Lines } from './lines.ts'
import { countsIn } from './steps.ts'
import { segmentLine, segmentsJson } from './segments-text.ts'
import { countsOf, plural } from './text.ts'
import { checkWhere, directoryOf, json, listing, look, where } from './where.ts'

const flags = defineFlags({ ...where, json: json('One JSON object.') })

/** Something wrong; `file` and `offset` where it is bytes that are. */
interface Problem extends Partial<Fault> {
  readonly message: string
}

export const verifyCommand: Command<typeof flags> = {
  name: 'mesos-log verify',
  summary:
    'Reads every byte of a log, and says what is wrong: damage, with file and byte; records that no replica may write; positions that are missing; a registry that cannot be replayed. The exit status is 1 if anything is.',
  flags,
  examples: ['mesos-log verify --work_dir=/var/lib/mesos'],
  check: checkWhere,
  run: async values => {
    const directory = directoryOf(values)
    const { view, segments, damages, checked, problems } = await verifyLog(directory)
    const { metadata, begin, end, warnings } = view
    const { learned, replay, foreign, entries } = checked
    const lines = Lines.toOutput()
    if (values.json) {
      await lines.print(
        JSON.stringify({
          ok: problems.length === 0,
          problems,
          ...metadata,
          ...{ begin, end: end ?? null, learned: learned ?? null },
          segments: segmentsJson(segments),
          ...(replay && { registry: { ...countsIn(replay), operations: replay.sequence } }),
          torn: warnings.map(({ file, offset, cutBytes }) => ({ file, offset, cutBytes })),
        }),
      )
    } else {
      for (const segment of segments) await lines.print(segmentLine(segment, damages))
      await lines.print(
        `${plural(entries, 'entry').replace('entrys', 'entries')}: begins at ${begin}, ends at ${end ?? '-'}, known to be chosen up to ${learned ?? '-'}; replica ${metadata.status}, promised ${metadata.promised}`,
      )
      if (replay) {
        await lines.print(
          `registry: ${plural(replay.sequence, 'operation')}, ${countsOf(countsIn(replay))}`,
        )
      } else if (foreign) await lines.print('registry: none; the log holds something else')
      for (const { cutBytes, file, offset } of warnings)
        await lines.print(
          `not complete: ${formatBytes(cutBytes)} from byte ${offset} of ${file}; of no meaning, since never acknowledged`,
        )
      for (const { message } of problems) await lines.print(`PROBLEM: ${message}`)
      await lines.print(
        problems.length === 0 ? 'All is well.' : `${plural(problems.length, 'problem')}.`,
      )
    }
    await lines.end()
    return problems.length === 0 ? 0 : 1
  },
}

const MOST_LOOKS = 5

/** Looks at everything there is; again, if a running master has given back meanwhile what was to be looked at. */
export async function verifyLog(directory: string) {
  for (let looks = 1; ; looks++) {
    const before = listing(directory)
    const view = await look(directory)
    const { segments, damages, breaches } = await surveyLog(directory)
    const { damage } = view
    // What is wrong between files: one is missing, or shorter than it was.
    if (damage && !damages.some(({ file, offset }) => same(damage, file, offset)))
      damages.unshift(faultOf(damage))
    const unreadable: Fault[] = []
    const entries = readable(view.entries(), error => unreadable.push(faultOf(error)))
    const checked = await checkEntries(view, entries)
    const problems: Problem[] = [
      ...(damages.length > 0 ? damages : unreadable),
      ...breaches.map(({ file, offset, message }) => ({
        ...{ file, offset },
        message: `${file}, byte ${offset}: ${message}.`,
      })),
      ...checked.problems.map(message => ({ message: `${message}.` })),
    ]
    if (problems.length > 0 && looks < MOST_LOOKS && listing(directory) !== before) continue
    return { view, segments, damages, checked, problems }
  }
}

const same = (damage: DamagedLogError, file: string, offset: number): boolean =>
  damage.file === file && damage.offset === offset

/** Up to what cannot be read any more. */
async function* readable<T>(
  entries: AsyncIterable<T>,
  stopped: (error: DamagedLogError) => void,
): AsyncGenerator<T> {
  try {
    yield* entries
  } catch (error) {
    if (!(error instanceof DamagedLogError)) throw error
    stopped(error)
  }
}
