// mesos-log relocate: the same masters at other addresses.

import { minutes } from '../../base/duration.ts'
import { defineFlags, flag } from '../../base/flags.ts'
import { FileStorage, relocate } from '../../log/log.ts'
import { masterAddresses } from '../../messages/master-address.ts'
import type { Command } from '../main.ts'
import { withinTime } from './time-limit.ts'

const flags = defineFlags({
  path: flag.path({
    help: 'The directory of the log, which no process uses now.',
    required: true,
    example: '/var/lib/mesos/replicated_log',
  }),
  masters: flag.string({
    help: 'The addresses of all masters from now on, as --masters of mesos-master will have them: as many as before.',
    required: true,
    example: '10.0.1.1:5050,10.0.1.2:5050,10.0.1.3:5050',
    validate: text =>
      masterAddresses(text)
        ? undefined
        : 'expected addresses of masters, each once, with commas between',
  }),
  self: flag.string({
    help: 'Which of them is the master of this directory.',
    required: true,
    example: '10.0.1.1:5050',
    validate: text => (masterAddresses(text)?.length === 1 ? undefined : 'expected one address'),
  }),
  timeout: flag.duration({
    help: 'How long it may take; after that the command fails.',
    default: minutes(1),
    min: 1,
  }),
})

export const relocateCommand: Command<typeof flags> = {
  name: 'mesos-log relocate',
  summary:
    'Says to a log that stands still that its masters have other addresses now. To be run once for each of them. A master refuses a log that was moved without it, since it cannot know whether the log is a copy, or another one.',
  flags,
  check: ({ masters, self }) =>
    masterAddresses(masters)?.includes(masterAddresses(self)?.[0] ?? '')
      ? []
      : [`Flag '--self': ${self} is none of --masters.`],
  examples: [
    'mesos-log relocate --path=/var/lib/mesos/replicated_log --masters=10.0.1.1:5050,10.0.1.2:5050,10.0.1.3:5050 --self=10.0.1.1:5050',
  ],
  run: ({ path, masters, self, timeout }) =>
    withinTime(timeout, 'The log was not relocated', async () => {
      const [address] = masterAddresses(self)!
      const storage = new FileStorage({ directory: path })
      const home = await relocate(storage, address, masterAddresses(masters)!)
      const from = home ? `, not to ${home.self}` : ''
      process.stdout.write(`${path} belongs to ${address} now${from}.\n`)
      return 0
    }),
}
