// The files by which programs in a container find hosts: the texts of its own. Pure.

import { addressesIn, type Dns, type PluginResult } from './result.ts'

/** hosts(5). Of several addresses the first of each kind is the container's, as Mesos has it for IPv4. */
export function hostsText(hostname: string, results: readonly PluginResult[]): string {
  const addresses = results.flatMap(addressesIn)
  const own = [false, true].flatMap(
    isV6 => addresses.find(address => address.includes(':') === isV6) ?? [],
  )
  return [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    ...own.map(address => `${address} ${hostname}`),
    '',
  ].join('\n')
}

/** resolv.conf(5); undefined if no network names a server: then the machine's is used. What the last network says once, counts. */
export function resolvText(results: readonly PluginResult[]): string | undefined {
  const named = results.flatMap(({ dns }): Dns[] => (dns?.nameservers.length ? [dns] : []))
  if (named.length === 0) return undefined
  const domain = named.findLast(dns => (dns.domain ?? '') !== '')?.domain
  const [search, options] = [named.flatMap(dns => dns.search), named.flatMap(dns => dns.options)]
  return [
    ...(domain === undefined ? [] : [`domain ${domain}`]),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    ...named.flatMap(dns => dns.nameservers).map(server => `nameserver ${server}`),
    '',
  ].join('\n')
}
