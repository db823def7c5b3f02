// Puts a master together. The order is the list below, and nothing else happens here.

import { type Address, type Pid, parseAddress, pid } from '../actors/pid.ts'
import type { Runtime } from '../actors/runtime.ts'
import { VERSION } from '../base/version.ts'
import type { ZooKeeperMasters } from '../detector/location.ts'
import { type Log, LogService, type Members } from '../log/log.ts'
import type { MasterInfo } from '../messages/agent.ts'
import { LOG_MEMBERSHIP_ID } from '../messages/log-membership.ts'
import { DETECTOR_ID } from '../messages/detector.ts'
import type { MasterConfig } from './config.ts'
import type { MasterContext } from './context.ts'
import { Detector } from './detector.ts'
import {
  type Leadership,
  leadsAlone,
  leadsByElection,
  leadsThroughZooKeeper,
} from './leadership.ts'
import { followLogMembers } from './log-members.ts'
import { LogMembership } from './log-membership.ts'
import { Master } from './master.ts'
import { Registrar } from './registrar.ts'
import { memoryLog, replicatedLog } from './registry-log.ts'

export interface StartMasterOptions {
  readonly config: MasterConfig
  /** Name by which browsers and tools reach it. */
  readonly hostname: string
  /** Opened; undefined keeps the registry in memory only. */
  readonly log: Log | undefined
  /** Addresses of all masters, this one's among them, if it is not alone. */
  readonly masters?: readonly Address[] | Members
  /** If they are found, and one of them is elected, through ZooKeeper. */
  readonly zookeeper?: ZooKeeperMasters
  /** With `zookeeper` and a log: those that the log was opened with, and of how many of them a quorum consists. */
  readonly replicas?: { readonly members: Members; readonly quorum: number }
  /** As in `MasterOptions`. */
  readonly inspect?: (books: MasterContext) => void
}

/** Spawns the log, the registrar and the master; the master leads as soon as it has read the registry. */
export function startMaster(runtime: Runtime, options: StartMasterOptions): Pid {
  const { log, config, hostname, inspect, zookeeper, replicas } = options
  const logPid = log && runtime.spawn(log, 'log(1)')
  if (logPid) runtime.spawn(new LogMembership(logPid), LOG_MEMBERSHIP_ID)
  const registrar = runtime.spawn(
    new Registrar({
      makeLog: ref => (logPid ? replicatedLog(ref(LogService, logPid)) : memoryLog()),
      logPid,
      fetchTimeoutMs: config.registryFetchTimeoutMs,
      storeTimeoutMs: config.registryStoreTimeoutMs,
    }),
  )
  runtime.delegate = 'master'
  const info = masterInfo(runtime, hostname)
  const detector = new Detector(options.masters || zookeeper ? undefined : info)
  runtime.spawn(detector, DETECTOR_ID)
  if (zookeeper && replicas) followLogMembers(runtime, zookeeper, replicas)
  const leadership = leadershipOf(runtime, info, options, leader => detector.appoint(leader))
  return runtime.spawn(
    new Master({ config, info, registrar, leadership, ...(inspect && { inspect }) }),
    'master',
  )
}

function leadershipOf(
  runtime: Runtime,
  info: MasterInfo,
  { masters, zookeeper }: StartMasterOptions,
  changed: (leader: MasterInfo | undefined) => void,
): Leadership {
  if (zookeeper) return leadsThroughZooKeeper(runtime, info, zookeeper, changed)
  return masters ? leadsByElection(runtime, info, masters, changed) : leadsAlone(info)
}

function masterInfo(runtime: Runtime, hostname: string): MasterInfo {
  const { host, port } = parseAddress(runtime.address)!
  return {
    id: runtime.random.uuid(),
    ip: ipNumber(host),
    port,
    pid: pid('master', runtime.address),
    hostname,
    version: VERSION,
    address: { hostname, ip: host, port },
    capabilities: [{ type: 'AGENT_UPDATE' }, { type: 'AGENT_DRAINING' }],
  }
}

/** An IPv4 address as an integer in network byte order read little-endian, which is what old tools expect. */
function ipNumber(host: string): number {
  const parts = host.split('.').map(Number)
  if (parts.length !== 4 || parts.some(p => !(p >= 0 && p <= 255))) return 0
  const [a = 0, b = 0, c = 0, d = 0] = parts
  return a + b * 0x100 + c * 0x1_0000 + d * 0x100_0000
}
