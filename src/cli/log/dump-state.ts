// mesos-log dump-state: the registry as it was at a position.

import { UserError } from '../../base/errors.ts'
import { defineFlags } from '../../base/flags.ts'
import type { Command } from '../main.ts'
import { Lines } from './lines.ts'
import { registryAt } from './registry-at.ts'
import { checkWhere, directoryOf, look, position, refuseDamage, where } from './where.ts'

const flags = defineFlags({
  ...where,
  at: position('Position after which the registry is shown; without it, the last one.'),
})

export const dumpStateCommand: Command<typeof flags> = {
  name: 'mesos-log dump-state',
  summary:
    'Prints the registry as it was after a position, as JSON: agents, those that were unreachable or gone, and the master.',
  flags,
  examples: ['mesos-log dump-state --work_dir=/var/lib/mesos --at=17'],
  check: checkWhere,
  run: async values => {
    const directory = directoryOf(values)
    const view = await look(directory)
    // What lies before a damage may still be asked for; the end may not, since nobody knows it.
    if (values.at === undefined) refuseDamage(view)
    const found = await registryAt(view, values.at)
    if ('why' in found) {
      refuseDamage(view)
      throw new UserError('not_found', `${directory}: ${found.why}`)
    }
    const { replay, ...facts } = found
    const lines = Lines.toOutput()
    const shown = { ...facts, registry: replay.registry.snapshot() }
    await lines.print(JSON.stringify(shown, undefined, 2))
    await lines.end()
    return 0
  },
}
