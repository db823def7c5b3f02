// What a master's node in ZooKeeper says: a MasterInfo as JSON, under a name that begins with `json.info`. Pure.

import * as v from 'valibot'
import { idOf, parsePid, type Pid } from '../actors/pid.ts'
import { MasterInfo } from '../messages/agent.ts'
import type { Member } from '../zookeeper/group.ts'

/** Of the names of masters' nodes. Old masters of Mesos have others, with other contents, and do not speak our wire. */
export const MASTER_LABEL = 'json.info'

export function masterInfoIn({ label, data }: Member): MasterInfo | undefined {
  if (label !== MASTER_LABEL || !data) return undefined
  return parseMasterInfo(new TextDecoder().decode(data))
}

/** Undefined of what is none. */
export function parseMasterInfo(text: string): MasterInfo | undefined {
  try {
    const parsed = v.safeParse(MasterInfo, JSON.parse(text))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** `master@host:port`; undefined if the master does not say where it is. */
export function leaderPid({ pid: own, address }: MasterInfo): Pid | undefined {
  const named = own ?? (address?.ip && `master@${address.ip}:${address.port}`)
  const leader = named === undefined ? undefined : parsePid(named)
  return leader && idOf(leader) === 'master' && !leader.endsWith(':0') ? leader : undefined
}
