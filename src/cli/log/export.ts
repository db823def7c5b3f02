// mesos-log export: a whole log for other programs. docs/debugging-the-log.md describes each line.

import { defineFlags, flag } from '../../base/flags.ts'
import type { LogView } from '../../log/log.ts'
import type { Command } from '../main.ts'
import { Lines } from './lines.ts'
import { readJson } from './text.ts'
import {
  checkRange,
  checkWhere,
  directoryOf,
  look,
  position,
  refuseDamage,
  where,
} from './where.ts'

const flags = defineFlags({
  ...where,
  from: position('First position to export.'),
  to: position('Last position to export.'),
  output: flag.path({
    help: 'File to write to, instead of standard output. It is replaced if it is there.',
    example: 'log.jsonl',
  }),
})

export const exportCommand: Command<typeof flags> = {
  name: 'mesos-log export',
  summary:
    'Writes a log as JSON lines: first one that describes the log, then one for each entry, with the operations on the registry decoded.',
  flags,
  examples: ['mesos-log export --work_dir=/var/lib/mesos | jq \'select(.type == "APPEND")\''],
  check: values => [...checkWhere(values), ...checkRange(values)],
  run: async values => {
    const { from = 0, to = Number.MAX_SAFE_INTEGER, output } = values
    const view = await look(directoryOf(values))
    const lines = output === undefined ? Lines.toOutput() : Lines.toFile(output)
    await lines.print(JSON.stringify(headOf(view)))
    for await (const entry of view.entries({ from, to })) {
      await lines.print(JSON.stringify(readJson(entry)))
    }
    await lines.end()
    refuseDamage(view)
    return 0
  },
}

/** The first line. `version` changes when a reader of the lines would have to. */
function headOf({ metadata, begin, end, damage }: LogView): object {
  return {
    format: 'mesos-log-export',
    version: 1,
    ...metadata,
    begin,
    end: end ?? null,
    complete: damage === undefined,
  }
}
