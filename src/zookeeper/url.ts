// Where ZooKeeper is, as Mesos writes it: zk://[user:password@]host1:port1,host2:port2/path. Pure.

import { type Address, parseAddress } from '../actors/pid.ts'
import { UserError } from '../base/errors.ts'

export interface Credentials {
  readonly user: string
  readonly password: string
}

export interface ZooKeeperUrl {
  readonly servers: readonly Address[]
  /** Of the node under which everything is kept; begins with `/`, and is more than that. */
  readonly path: string
  readonly credentials?: Credentials
}

const SCHEME = 'zk://'
const DEFAULT_PORT = 2181
const FORM = 'zk://[user:password@]host1:port1,host2:port2/path'

export const isZooKeeperUrl = (text: string): boolean => text.startsWith(SCHEME)

/** Throws a `UserError` that says what is wrong, and never names the password. */
export function parseZooKeeperUrl(text: string): ZooKeeperUrl {
  if (!isZooKeeperUrl(text)) refuse(`'${hidePassword(text)}' does not begin with ${SCHEME}`)
  const [, authority = '', path = ''] = /^zk:\/\/([^/]*)(.*)$/s.exec(text)!
  // A password may hold an @ or a colon; a host does not.
  const at = authority.lastIndexOf('@')
  const credentials = at >= 0 ? parseCredentials(authority.slice(0, at)) : undefined
  const servers = authority
    .slice(at + 1)
    .split(',')
    .map(server => parseServer(server.trim()))
  return { servers, path: parsePath(path), ...(credentials && { credentials }) }
}

function parseCredentials(text: string): Credentials {
  const colon = text.indexOf(':')
  if (colon < 1) refuse('before the @ there must be user:password')
  return { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

function parseServer(text: string): Address {
  const address = /:\d+$/.test(text) ? text : `${text}:${DEFAULT_PORT}`
  const parsed = parseAddress(address)
  if (text === '' || !parsed || parsed.port < 1 || parsed.host.includes(':')) {
    // What follows the colon may be a password whose @ was forgotten.
    refuse(`'${text.replace(/:.*/, '')}' is not a server of ZooKeeper, host:port`)
  }
  return address
}

function parsePath(text: string): string {
  const path = text.replace(/\/+$/, '')
  if (path === '') {
    refuse("it needs the path of a node, such as /mesos: '/' itself is not supported")
  }
  // Before an @ there may be a password, where a slash has come into the user's name or into the password itself.
  if (!isNodePath(path)) refuse(`'${text.replace(/^.*@/s, '<secret>@')}' is not the path of a node`)
  return path
}

/** What ZooKeeper takes for a path: no empty or relative parts, and no characters that nobody sees. */
function isNodePath(path: string): boolean {
  const parts = path.split('/').slice(1)
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/.test(path)) return false
  return parts.every(part => part !== '' && part !== '.' && part !== '..')
}

/** The URL as it may be shown to people. */
export function hidePassword(text: string): string {
  return text.replace(/^(zk:\/\/[^/:]*):[^/]*@/, '$1:<secret>@')
}

function refuse(what: string): never {
  throw new UserError('invalid_value', what, { hint: `Write ${FORM}.` })
}
