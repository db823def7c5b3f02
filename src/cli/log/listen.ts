// Where a command listens for a browser: `host:port`, with an IPv4 address.

import { whyNoIp } from '../../base/server-flags.ts'

export function parseListen(text: string): { readonly ip: string; readonly port: number } {
  const [, ip = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? []
  return { ip, port: Number(port) }
}

/** Why a text is none; undefined if it is one. */
export function listenProblem(text: string): string | undefined {
  if (!/^.*:\d{1,5}$/.test(text)) return `'${text}' is not an address, such as 127.0.0.1:8080`
  const { ip, port } = parseListen(text)
  return whyNoIp(ip) ?? (port > 65_535 ? `there is no port ${port}` : undefined)
}
