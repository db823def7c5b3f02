// How a registry wants to be asked (`WWW-Authenticate`), and what is known of its users (a config.json of Docker's). Pure.

import * as v from 'valibot'
import { UserError } from '../../base/errors.ts'
import { isHub } from './registry-url.ts'

/** User and password, as the header has them. */
export type Credentials = string

const text = v.optional(v.nullable(v.string()))
const Auths = v.record(v.string(), v.object({ auth: text, username: text, password: text }))
const DockerConfig = v.looseObject({ auths: v.optional(Auths) })

/**
 * Those for a host (and port): of `auths`, or of a file that is nothing else, as older ones are. Throws a `UserError` if it is not
 * such a file. Programs that keep credentials (`credsStore`, `credHelpers`) are not asked.
 */
export function credentialsFor(config: unknown, host: string): Credentials | undefined {
  const found = v.safeParse(DockerConfig, config)
  if (!found.success) {
    throw new UserError('invalid_value', "the credentials are not those of Docker's config.json")
  }
  const { auths, ...others } = found.output
  const old = auths ? undefined : v.safeParse(Auths, others)
  for (const [key, { auth, username, password }] of Object.entries(
    auths ?? (old?.success ? old.output : {}),
  )) {
    const [of = ''] = key.replace(/^https?:\/\//, '').split('/')
    if (of !== host && !(isHub(of) && isHub(host))) continue
    if (auth) return Buffer.from(auth, 'base64').toString().includes(':') ? auth : undefined
    if (username && password) return Buffer.from(`${username}:${password}`).toString('base64')
  }
  return undefined
}

export interface Challenge {
  /** In small letters. */
  readonly scheme: string
  readonly params: Readonly<Record<string, string>>
}

/** `Bearer realm="…",service="…"`, or several of them. What is none is left out. */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; params: Record<string, string> }[] = []
  const param = /[\s,]*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))/y
  const scheme = /[\s,]*([A-Za-z][\w-]*)(?=[\s,]|$)/y
  for (let at = 0; at < header.length; ) {
    param.lastIndex = at
    const [ofParam, key = '', quoted, plain = ''] = param.exec(header) ?? []
    if (ofParam !== undefined) {
      const last = found.at(-1)
      if (last) last.params[key.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, '$1') ?? plain
      at += ofParam.length
      continue
    }
    scheme.lastIndex = at
    const [ofScheme, name = ''] = scheme.exec(header) ?? []
    if (ofScheme === undefined) break
    found.push({ scheme: name.toLowerCase(), params: {} })
    at += ofScheme.length
  }
  return found
}

const Token = v.object({ token: text, access_token: text })

/** That of an answer of an authorization service. Throws a `UserError` if there is none. */
export function tokenIn(json: unknown): string {
  const { token, access_token: other } = v.parse(Token, json)
  const found = token ?? other ?? ''
  // It becomes part of a header.
  if (/^[\x21-\x7e]{1,65536}$/.test(found)) return found
  throw new UserError('unauthenticated', "the registry's authorization service gave no token")
}
