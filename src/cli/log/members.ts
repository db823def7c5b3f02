// Which replicas a log has, as the commands that take part in one are told: by a list, as masters are with --masters; or by
// ZooKeeper, as with Mesos' tool.

import { trustFlags } from '../../actors/trust-flags.ts'
import { httpFlags } from '../../actors/http-flags.ts'
import { flag, type FlagValues } from '../../base/flags.ts'
import { addressFlags, logFlags } from '../../base/server-flags.ts'
import type { Runtime } from '../../actors/runtime.ts'
import { messageOf } from '../../base/errors.ts'
import { DEFAULT_ZK_SESSION_TIMEOUT_MS } from '../../detector/location.ts'
import { FileStorage, Log, Members } from '../../log/log.ts'
import { followLogMembers } from '../../master/log-members.ts'
import { parseZooKeeperUrl, type ZooKeeperUrl } from '../../zookeeper/url.ts'
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
    servers: flag.string({
      group: 'Log',
      help: 'Servers of ZooKeeper, in which the replicas enter themselves, instead of --replicas. With --znode and --quorum.',
      example: '10.0.0.1:2181,10.0.0.2:2181',
    }),
    znode: flag.string({
      group: 'Log',
      help: 'The node of ZooKeeper under which they do.',
      example: '/log',
    }),
    quorum: flag.integer({
      group: 'Log',
      min: 1,
      help: 'How many replicas must have an entry on disk: more than half of all, which is the default with --replicas.',
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

export function checkMembers(values: Values): readonly string[] {
  const { replicas, quorum, servers, znode } = values
  if (servers !== undefined || znode !== undefined) return problemsWithServers(values)
  const size = sizeOf(replicas)
  const majority = majorityOf(size)
  if (quorum === undefined || (quorum >= majority && quorum <= size)) return []
  return [
    `Flag '--quorum': ${quorum} of ${size} replicas cannot be; it must be from ${majority} to ${size}, and ${majority} is what is used without it.`,
  ]
}

const sizeOf = (replicas: string | undefined): number =>
  masterAddresses(replicas ?? '')?.length ?? 1

function problemsWithServers({ replicas, quorum, servers, znode }: Values): string[] {
  const problems: string[] = []
  if (replicas !== undefined)
    problems.push(
      "Flags '--servers' and '--replicas' are two ways to the same: leave out one of them.",
    )
  if (servers === undefined) problems.push("Flag '--servers' is required with '--znode'.")
  if (znode === undefined) problems.push("Flag '--znode' is required with '--servers'.")
  if (quorum === undefined) problems.push("Flag '--quorum' is required with '--servers'.")
  try {
    if (problems.length === 0) urlOf(servers!, znode!)
  } catch (error) {
    problems.push(`Flags '--servers' and '--znode': ${messageOf(error)}`)
  }
  return problems
}

const urlOf = (servers: string, znode: string): ZooKeeperUrl =>
  parseZooKeeperUrl(`zk://${servers}${znode}`)

/** Opens the log of the process that `runtime` is of. With ZooKeeper that process enters itself there. */
export async function openMember(values: Values, runtime: Runtime): Promise<Log> {
  const { servers, znode, quorum = majorityOf(sizeOf(values.replicas)) } = values
  const live = servers === undefined ? undefined : Members.live(quorum)
  const log = await Log.open({
    storage: new FileStorage({ directory: values.path }),
    autoInitialize: values.initialize,
    replicas: live ?? Members.fixed(masterAddresses(values.replicas ?? '') ?? [], quorum),
    self: runtime.address,
  })
  if (live) {
    const url = urlOf(servers!, znode!)
    const { openSession } = await import('../../zookeeper/library.ts')
    const zookeeper = { url, sessionTimeoutMs: DEFAULT_ZK_SESSION_TIMEOUT_MS, open: openSession }
    followLogMembers(runtime, zookeeper, { members: live, quorum }, url.path)
  }
  return log
}
