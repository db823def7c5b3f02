// The flags of every server that concern its HTTP endpoints.

import { UserError } from '../base/errors.ts'
import { flag } from '../base/flag.ts'
import type { FirewallRules } from './firewall.ts'

/** To be spread into a server's definitions. */
export const httpFlags = {
  firewall_rules: flag.json(readFirewallRules, {
    group: 'HTTP',
    help: 'JSON object of the rules that refuse requests: the paths in disabled_endpoints are answered 403.',
    example: '{"disabled_endpoints":{"paths":["/files/browse"]}}',
  }),
}

/** Mesos' `Firewall` message. Throws a `UserError` that names what is wrong: a rule that is not in force protects nobody. */
export function readFirewallRules(value: unknown): FirewallRules {
  const rules = objectOf(value, 'it')
  for (const name of Object.keys(rules)) {
    if (name !== 'disabled_endpoints') throw wrong(`'${name}' is no rule that is known`)
  }
  if (rules['disabled_endpoints'] === undefined) return {}
  const rule = objectOf(rules['disabled_endpoints'], "'disabled_endpoints'")
  const { paths } = rule
  if (!Array.isArray(paths)) throw wrong("'disabled_endpoints.paths' is not an array")
  for (const path of paths as readonly unknown[]) {
    if (typeof path !== 'string' || !path.startsWith('/')) {
      throw wrong(`the path ${JSON.stringify(path)} does not begin with '/'`)
    }
  }
  return { disabled_endpoints: { paths: paths as readonly string[] } }
}

function objectOf(value: unknown, what: string): { readonly [name: string]: unknown } {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as { readonly [name: string]: unknown }
  }
  throw wrong(`${what} is not a JSON object`)
}

const wrong = (what: string): UserError => new UserError('invalid_value', what)
