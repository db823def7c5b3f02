// The address of the leading master, for commands that ask it once over HTTP.

import { addressOf } from '../actors/pid.ts'
import { formatDuration, seconds } from '../base/duration.ts'
import { messageOf, UserError } from '../base/errors.ts'
import { isList, type ZooKeeperMasters } from '../detector/location.ts'
import { leaderPid, masterInfoIn } from '../detector/master-node.ts'
import { memberNames } from '../zookeeper/members.ts'
import { type Session, ZooKeeperError } from '../zookeeper/session.ts'
import { hidePassword } from '../zookeeper/url.ts'
import { locate } from './locate.ts'

export const DEFAULT_LIMIT_MS = seconds(5)
const PAUSE_MS = 100

/**
 * Of one master its own address; of several, or by ZooKeeper, that of the one that leads. Tries until it is found; rejects with a
 * `UserError` when that takes longer than the limit.
 */
export async function leaderAddress(text: string, limitMs = DEFAULT_LIMIT_MS): Promise<string> {
  const masters = await locate(text)
  const limit = AbortSignal.timeout(limitMs)
  if (isList(masters)) {
    if (masters.length === 1) return masters[0]
    return tried(text, limitMs, limit, () => askMasters(masters, limit))
  }
  const events = { connected: () => {}, ended: () => {}, changed: () => {} }
  const { url, sessionTimeoutMs: timeoutMs } = masters
  const session = masters.open({ ...url, timeoutMs }, events)
  // What waits for an answer is told that none will come.
  limit.addEventListener('abort', () => session.abandon())
  try {
    return await tried(text, limitMs, limit, () => lookInto(session, masters))
  } finally {
    session.close()
  }
}

async function tried(
  text: string,
  limitMs: number,
  limit: AbortSignal,
  find: () => Promise<string | undefined>,
): Promise<string> {
  let why: string | undefined
  while (!limit.aborted) {
    try {
      const found = await find()
      if (found !== undefined) return found
      why = 'no master leads'
    } catch (error) {
      // What fails because the time is over is a reason only if there is no better one.
      why = limit.aborted ? (why ?? messageOf(error)) : messageOf(error)
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
  throw new UserError(
    'timeout',
    `Failed to detect master from '${hidePassword(text)}' within ${formatDuration(limitMs)}: ${why ?? 'no time'}.`,
  )
}

/** Whoever answers first knows who leads. */
async function askMasters(masters: readonly string[], limit: AbortSignal): Promise<string> {
  const answers = masters.map(async master => {
    const url = `http://${master}/redirect`
    const { status, headers } = await fetch(url, { redirect: 'manual', signal: limit })
    const address = /^\/\/([^/]+)$/.exec(headers.get('location') ?? '')?.[1]
    if (status !== 307 || address === undefined) throw new Error(`${master} answers ${status}`)
    return address
  })
  try {
    return await Promise.any(answers)
  } catch (cause) {
    throw new Error('none of the masters says who leads', { cause })
  }
}

async function lookInto(
  session: Session,
  { url: { path, servers } }: ZooKeeperMasters,
): Promise<string | undefined> {
  try {
    const [oldest] = memberNames(await session.children(path))
    if (!oldest) return undefined
    const { data } = await session.read(`${path}/${oldest.name}`)
    const info = masterInfoIn({ ...oldest, data, isOwn: false })
    const leader = info && leaderPid(info)
    if (!leader) throw new Error(`what ${oldest.name} says of the leading master is not understood`)
    return addressOf(leader)
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error
    const where = `ZooKeeper at ${servers.join()}`
    throw new Error(whyNone(error, path, where), { cause: error })
  }
}

function whyNone(error: ZooKeeperError, path: string, where: string): string {
  if (error.code === 'NO_NODE') return `there is no ${path} in ${where}`
  return error.isAnswer ? `${where} refuses: ${error.message}` : `${where} does not answer`
}
