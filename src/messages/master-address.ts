// Where a master is, as people write it.

import { parseAddress } from '../actors/pid.ts'

const DEFAULT_MASTER_PORT = 5050

/** `host:port` of what was written, which may leave out the port; undefined if it is no address. */
export function masterAddress(text: string): string | undefined {
  const address = /:\d+$/.test(text) ? text : `${text}:${DEFAULT_MASTER_PORT}`
  const parsed = parseAddress(address)
  return parsed && parsed.port > 0 ? address : undefined
}

/** The addresses of several masters, with commas between; undefined if one is none, or named twice. */
export function masterAddresses(text: string): [string, ...string[]] | undefined {
  const addresses = text.split(',').map(part => masterAddress(part.trim()))
  const [first, ...others] = addresses.filter(address => address !== undefined)
  if (first === undefined || new Set([first, ...others]).size < addresses.length) return undefined
  return [first, ...others]
}

/** What is wrong with an address that is none. */
export function masterProblem(text: string): string {
  if (text.includes(',')) return `'${text}' are not addresses of masters, host:port, each once`
  return `'${text}' is not the address of a master, host:port`
}
