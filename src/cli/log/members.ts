// Which replicas a log has, as the commands that take part in one are told: by a list, as masters are with --masters. This is
// the place for Mesos' --servers and --znode, and the only one: with `Members.live()` for the list, and
// `followLogMembers` (master/log-members.ts) to keep it as ZooKeeper has it.

import { trustFlags } from '../../actors/trust-flags.ts'
import { httpFlags } from '../../actors/http-flags.ts'
import { flag, type FlagValues } from '../../base/flags.ts'
import { addressFlags, logFlags } from '../../base/server-flags.ts'
import type { Address } from '../../actors/pid.ts'
import { FileStorage, Log } from '../../log/log.ts'
import { majorityOf } from '../../log/quorum.ts'
import { masterAddresses } from '../../messages/master-address.ts'

/** To be spread into a command's definitions. */
export function memberFlags(port: number) {
  return {
    path: flag.path({
      group: 'Log',
      help: "The directory of this process' replica. It is made if it is missing.",
      required: true,
      example: '/var/lib/mesos/replicated_log',
    }),
    replicas: flag.string({
      group: 'Log',
      help: 'All replicas of the log, this process among them, by the addresses that they advertise. Without it this one is alone.',
      example: '10.0.0.1:5050,10.0.0.2:5050,10.0.0.3:5050',
      validate: text =>
        masterAddresses(text)
          ? undefined
          : 'expected addresses of replicas, each once, with commas between',
    }),
    quorum: flag.integer({
      group: 'Log',
      min: 1,
      help: 'How many replicas must have an entry on disk: more than half of --replicas, which is the default.',
    }),
    initialize: flag.boolean({
      group: 'Log',
      default: true,
      help: "Whether replicas that are all empty start a new log by themselves. If not, each needs 'mesos-log initialize' first.",
    }),
    ...addressFlags({
      server: 'replica',
      port,
      portHelp: 'Port to listen on. 0: any free one.',
      hostnameHelp: 'Name by which tools reach this process.',
    }),
    ...trustFlags,
    ...httpFlags,
    ...logFlags,
  }
}

type Values = FlagValues<ReturnType<typeof memberFlags>>

export function checkMembers({ replicas, quorum }: Values): readonly string[] {
  const size = sizeOf(replicas)
  const majority = majorityOf(size)
  if (quorum === undefined || (quorum >= majority && quorum <= size)) return []
  return [
    `Flag '--quorum': ${quorum} of ${size} replicas cannot be; it must be from ${majority} to ${size}, and ${majority} is what is used without it.`,
  ]
}

const sizeOf = (replicas: string | undefined): number =>
  masterAddresses(replicas ?? '')?.length ?? 1

export function openMember(values: Values): Promise<Log> {
  const replicas: readonly Address[] | undefined = masterAddresses(values.replicas ?? '')
  return Log.open({
    storage: new FileStorage({ directory: values.path }),
    quorum: values.quorum ?? majorityOf(sizeOf(values.replicas)),
    autoInitialize: values.initialize,
    ...(replicas && { replicas }),
  })
}
