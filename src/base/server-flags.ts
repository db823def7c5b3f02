// The flags that every server has: where it listens, by which name others reach it, and its log.

import { flag } from './flag.ts'

export interface ServerFlagsOptions {
  /** What it is called in the help: master, agent. */
  readonly server: string
  readonly port: number
  readonly portHelp: string
  /** Who reaches it by `--hostname`. */
  readonly hostnameHelp: string
}

/** To be spread into a server's definitions. */
export function addressFlags({ server, port, portHelp, hostnameHelp }: ServerFlagsOptions) {
  return {
    ip: flag.string({
      group: 'Where',
      help: 'Address to listen on. 0.0.0.0 is all of them.',
      defaultText: "all, and the address that the machine's hostname resolves to for others",
      example: '127.0.0.1',
      validate: whyNoIp,
    }),
    port: flag.integer({ group: 'Where', default: port, min: 0, max: 65_535, help: portHelp }),
    advertise_ip: flag.string({
      group: 'Where',
      help: `Address by which others reach this ${server}, if it is not --ip.`,
      example: '203.0.113.5',
      validate: text =>
        whyNoIp(text) ?? (text === '0.0.0.0' ? 'nobody can be reached at 0.0.0.0' : undefined),
    }),
    advertise_port: flag.integer({
      group: 'Where',
      min: 1,
      max: 65_535,
      help: `Port by which others reach this ${server}, if it is not --port.`,
    }),
    hostname: flag.string({
      group: 'Where',
      help: hostnameHelp,
      defaultText: 'the address that is advertised',
      example: `${server}-1.example.org`,
      validate: whyNoHostname,
    }),
  }
}

const BYTE = /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/

/** Why a text is no IPv4 address; undefined if it is one. */
export function whyNoIp(text: string): string | undefined {
  const parts = text.split('.')
  if (parts.length === 4 && parts.every(part => BYTE.test(part))) return undefined
  return `'${text}' is not an IPv4 address`
}

const LONGEST_HOSTNAME = 253

function whyNoHostname(text: string): string | undefined {
  if (text === '') return 'it is empty'
  if (text.length <= LONGEST_HOSTNAME && /^\w([\w.-]*\w)?$/.test(text)) return undefined
  return `'${text}' is not a host name`
}

/** To be spread into a server's definitions. */
export const logFlags = {
  logging_level: flag.choice(['debug', 'info', 'warn', 'error'], {
    group: 'Log',
    default: 'info',
    help: 'Records below this level are not written.',
  }),
  log_format: flag.choice(['text', 'json'], {
    group: 'Log',
    default: 'text',
    help: 'One readable line a record, or one JSON object.',
  }),
}
