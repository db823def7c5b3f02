// mesos-log initialize: lets an empty replica vote.

import { minutes } from '../../base/duration.ts'
import { defineFlags, flag } from '../../base/flags.ts'
import { FileStorage, initializeReplica } from '../../log/log.ts'
import type { Command } from '../main.ts'
import { withinTime } from './time-limit.ts'

const flags = defineFlags({
  path: flag.path({
    help: 'The directory of the log. It is made if it is missing.',
    required: true,
    example: '/var/lib/mesos/replicated_log',
  }),
  timeout: flag.duration({
    help: 'How long it may take; after that the command fails.',
    default: minutes(1),
    min: 1,
  }),
})

export const initializeCommand: Command<typeof flags> = {
  name: 'mesos-log initialize',
  summary:
    'Makes an empty replica one that votes, for a log that may not start by itself (mesos-log replica --no-initialize). To be run once for each replica of a new log. Fails if the log is not empty.',
  flags,
  examples: ['mesos-log initialize --path=/var/lib/mesos/replicated_log'],
  run: ({ path, timeout }) =>
    withinTime(timeout, 'The log was not initialized', async () => {
      await initializeReplica(new FileStorage({ directory: path }))
      process.stdout.write(`${path} is initialized: its replica is VOTING.\n`)
      return 0
    }),
}
