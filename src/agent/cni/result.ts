// What a CNI plugin answers on its standard output: a result, in the form of any version of the specification, or an error. Pure.

import * as v from 'valibot'
import type { NetworkInfo } from '../../messages/container.ts'

const MAX_ITEMS = 64
const MAX_TEXT = 1_000

/** An address and the length of its network's prefix. */
const Cidr = v.pipe(
  v.string(),
  v.check(text => v.is(v.pipe(v.string(), v.ip()), addressIn(text)), 'is no IP address'),
  v.check(text => /^[^/]+(?:\/\d{1,3})?$/.test(text), 'has no prefix'),
)

/** One word of resolv.conf(5). */
const Word = v.pipe(v.string(), v.regex(/^[\w.:%/-]{1,253}$/, 'is no word'))
const Words = v.optional(v.pipe(v.array(Word), v.maxLength(MAX_ITEMS)), [])

const Dns = v.looseObject({
  nameservers: Words,
  domain: v.optional(v.union([v.literal(''), Word])),
  search: Words,
  options: Words,
})
export type Dns = v.InferOutput<typeof Dns>

/** What is not named is kept: the next plugin of a list is given all of it. */
export const PluginResult = v.looseObject({
  /** Versions 0.3.0 and later. */
  ips: v.optional(v.pipe(v.array(v.looseObject({ address: Cidr })), v.maxLength(MAX_ITEMS))),
  /** Before. */
  ip4: v.optional(v.looseObject({ ip: Cidr })),
  ip6: v.optional(v.looseObject({ ip: Cidr })),
  dns: v.optional(Dns),
})
export type PluginResult = v.InferOutput<typeof PluginResult>

const PluginError = v.looseObject({
  code: v.number(),
  msg: v.string(),
  details: v.optional(v.string(), ''),
})

const addressIn = (cidr: string): string => cidr.split('/')[0]!

/** Undefined if the text is none. */
export function parseResult(text: string): PluginResult | undefined {
  const parsed = v.safeParse(PluginResult, jsonIn(text))
  return parsed.success ? parsed.output : undefined
}

/** Why a plugin failed, in its own words; undefined if it used none. */
export function parseError(text: string): string | undefined {
  const parsed = v.safeParse(PluginError, jsonIn(text))
  if (!parsed.success) return undefined
  const { code, msg, details } = parsed.output
  return `${msg}${details === '' ? '' : `; ${details}`} (code ${code})`.slice(0, MAX_TEXT)
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Addresses without their prefixes, in the plugin's order. */
export function addressesIn({ ips = [], ip4, ip6 }: PluginResult): string[] {
  return [...ips.map(({ address }) => address), ip4?.ip, ip6?.ip].flatMap(each =>
    each === undefined ? [] : [addressIn(each)],
  )
}

/** What a status says of a network that was joined: what was asked for, with the addresses that came of it. */
export function joinedInfo(asked: NetworkInfo, result: PluginResult): NetworkInfo {
  return {
    ...asked,
    ip_addresses: addressesIn(result).map(ip_address => ({
      protocol: ip_address.includes(':') ? 'IPv6' : 'IPv4',
      ip_address,
    })),
  }
}
