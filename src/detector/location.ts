// Where the leading master is to be looked for, as people write it: an address, a list of them, or zk://…. Pure.

import type { Address } from '../actors/pid.ts'
import { seconds } from '../base/duration.ts'
import { messageOf, UserError } from '../base/errors.ts'
import { masterAddresses, masterProblem } from '../messages/master-address.ts'
import type { OpenSession } from '../zookeeper/session.ts'
import { isZooKeeperUrl, parseZooKeeperUrl, type ZooKeeperUrl } from '../zookeeper/url.ts'

export const DEFAULT_ZK_SESSION_TIMEOUT_MS = seconds(10)

/** Masters that are found through ZooKeeper. */
export interface ZooKeeperMasters {
  readonly url: ZooKeeperUrl
  readonly sessionTimeoutMs: number
  readonly open: OpenSession
}

/** The addresses of all masters, or where it is known who leads. */
export type Masters = readonly [Address, ...Address[]] | ZooKeeperMasters

export const isList = (masters: Masters): masters is readonly [Address, ...Address[]] =>
  Array.isArray(masters)

/** What was written, before there is a way to ZooKeeper. Throws a `UserError` that says what is wrong. */
export function parseMasters(text: string): readonly [Address, ...Address[]] | ZooKeeperUrl {
  if (isZooKeeperUrl(text)) return parseZooKeeperUrl(text)
  const addresses = masterAddresses(text)
  if (addresses) return addresses
  throw new UserError('invalid_value', masterProblem(text), {
    hint: 'Write host:port, such as 127.0.0.1:5050; of several masters all, with commas between; or zk://host:port/path.',
  })
}

/** Why a text says of no master where it is; undefined if it does. For flags. */
export function whyNoMasters(text: string): string | undefined {
  try {
    parseMasters(text)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** The same with what is needed if they are found through ZooKeeper, which is loaded only then. */
export async function locateMasters(
  text: string,
  loadOpen: () => Promise<OpenSession>,
  sessionTimeoutMs: number = DEFAULT_ZK_SESSION_TIMEOUT_MS,
): Promise<Masters> {
  const parsed = parseMasters(text)
  return 'path' in parsed ? { url: parsed, sessionTimeoutMs, open: await loadOpen() } : parsed
}
