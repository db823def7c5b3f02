// mesos-log replica: the process of one replica of a log, that votes and learns, and never writes of itself.

import { defineFlags } from '../../base/flags.ts'
import type { Command } from '../main.ts'
import { serve } from '../server.ts'
import { checkMembers, memberFlags, openMember } from './members.ts'

const flags = defineFlags(memberFlags(5050))

export const replicaCommand: Command<typeof flags> = {
  name: 'mesos-log replica',
  summary:
    'Runs a replica of a log until it is told to end: it votes, and learns what is chosen. Who writes is elected among those who want to.',
  flags,
  examples: [
    'mesos-log replica --path=/var/lib/log --ip=10.0.0.1 --replicas=10.0.0.1:5050,10.0.0.2:5050,10.0.0.3:5050',
    'mesos-log replica --path=/var/lib/log --ip=10.0.0.1 --servers=10.0.0.9:2181 --znode=/log --quorum=2',
  ],
  check: checkMembers,
  run: (values, { warnings }) =>
    serve('mesos-log', values, warnings, async ({ runtime, end, log: logger }) => {
      const log = await openMember(values, runtime)
      runtime.spawn(log, 'log(1)')
      let ending = false
      // A replica whose disk failed does not vote any more, and a process without one is of no use.
      void log.closed.then(() => {
        if (ending) return
        logger.error('the log has ended, and this process with it')
        end('failure')
      })
      return () => {
        ending = true
        return Promise.resolve()
      }
    }),
}
