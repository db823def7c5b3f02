// mesos-log read: the entries of a log.

import { defineFlags, flag } from '../../base/flags.ts'
import { minutes } from '../../base/duration.ts'
import type { Command } from '../main.ts'
import { Lines } from './lines.ts'
import { READ_HEADER, readJson, readLine } from './text.ts'
import { withinTime } from './time-limit.ts'
import {
  checkRange,
  checkWhere,
  directoryOf,
  json,
  look,
  position,
  refuseDamage,
  where,
} from './where.ts'

const flags = defineFlags({
  ...where,
  from: position('First position to show.'),
  to: position('Last position to show.'),
  timeout: flag.duration({
    help: 'How long reading may take; after that the command fails.',
    default: minutes(1),
    min: 1,
  }),
  json: json(),
})

export const readCommand: Command<typeof flags> = {
  name: 'mesos-log read',
  summary:
    'Prints the entries of a log: what was promised and written at each position, and whether it is known to be chosen.',
  flags,
  examples: ['mesos-log read --work_dir=/var/lib/mesos --from=10 --to=20'],
  check: values => [...checkWhere(values), ...checkRange(values)],
  run: values =>
    withinTime(values.timeout, 'The log was not read', async () => {
      const { from = 0, to = Number.MAX_SAFE_INTEGER } = values
      const view = await look(directoryOf(values))
      const lines = Lines.toOutput()
      if (!values.json) await lines.print(READ_HEADER)
      for await (const entry of view.entries({ from, to })) {
        await lines.print(values.json ? JSON.stringify(readJson(entry)) : readLine(entry))
      }
      await lines.end()
      refuseDamage(view)
      return 0
    }),
}
