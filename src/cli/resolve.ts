// mesos resolve: the address of the leading master.

import { UserError } from '../base/errors.ts'
import { defineFlags, flag } from '../base/flags.ts'
import { whyNoMasters } from '../detector/location.ts'
import { DEFAULT_LIMIT_MS, leaderAddress } from './leader.ts'
import type { Command } from './main.ts'

export const resolveFlags = defineFlags({
  timeout: flag.duration({
    default: DEFAULT_LIMIT_MS,
    min: 1,
    help: 'How long to look for it.',
  }),
})

export const resolveCommand: Command<typeof resolveFlags> = {
  name: 'mesos resolve',
  summary: 'Prints host:port of the leading master.',
  flags: resolveFlags,
  positionals: [
    {
      name: 'MASTER',
      required: true,
      help: 'host:port; of several masters all, with commas between; or zk://host:port/path.',
    },
  ],
  examples: ['mesos resolve zk://10.0.0.7:2181/mesos'],
  run: async ({ timeout }, { positional: [master = ''] }) => {
    const problem = whyNoMasters(master)
    if (problem !== undefined) throw new UserError('invalid_value', problem)
    process.stdout.write(`${await leaderAddress(master, timeout)}\n`)
    return 0
  },
}
