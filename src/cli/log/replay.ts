// mesos-log replay: the registry's life, operation by operation; in the terminal, or in the dashboard.

import { defineFlags, flag } from '../../base/flags.ts'
import { messageOf } from '../../base/errors.ts'
import type { Command } from '../main.ts'
import { Lines } from './lines.ts'
import { listenProblem } from './listen.ts'
import { replay, stepText } from './steps.ts'
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
  from: position('First position to show. What was before is replayed, but not shown.'),
  to: position('Last position to replay.'),
  grep: flag.string({
    help: 'Show only operations in whose text this JavaScript regular expression is found.',
    example: 'S17|elected',
    validate: whyNoPattern,
  }),
  serve: flag.string({
    help: 'Open the dashboard over the registry as it was at any position, read-only, instead of printing. Without an address it listens on loopback, on any free port.',
    bare: '127.0.0.1:0',
    example: '127.0.0.1:8080',
    validate: listenProblem,
  }),
  json: json(),
})

export const replayCommand: Command<typeof flags> = {
  name: 'mesos-log replay',
  summary:
    'Prints each operation on the registry: its position, when it was, who caused it, and what it changed.',
  flags,
  examples: [
    'mesos-log replay --work_dir=/var/lib/mesos',
    "mesos-log replay --work_dir=/var/lib/mesos --from=100 --to=200 --grep='mark_agent_unreachable'",
    'mesos-log replay --work_dir=/var/lib/mesos --serve',
  ],
  check: values => [
    ...checkWhere(values),
    ...checkRange(values),
    ...(['from', 'grep', 'json'] as const)
      .filter(name => values.serve !== undefined && values[name])
      .map(name => `Flag '--${name}' is for printing, and means nothing with '--serve'.`),
  ],
  run: async values => {
    const { from = 0, to = Number.MAX_SAFE_INTEGER, grep, serve } = values
    const directory = directoryOf(values)
    const view = await look(directory)
    if (serve !== undefined) {
      const { servePast } = await import('./serve.ts')
      return servePast(view, directory, serve, to)
    }
    const pattern = new RegExp(grep ?? '', 'u')
    const lines = Lines.toOutput()
    let count = 0
    for await (const step of replay(view.entries({ to }))) {
      count++
      if (step.position < from) continue
      const text = stepText(step)
      if (pattern.test(text)) await lines.print(values.json ? JSON.stringify(step) : text)
    }
    await lines.end()
    refuseDamage(view)
    if (count === 0) process.stderr.write('mesos-log: no operation of a registry is in this log.\n')
    return 0
  },
}

function whyNoPattern(text: string): string | undefined {
  try {
    RegExp(text, 'u')
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
