// Endpoints that an operator has switched off (`--firewall_rules`): refused before anything of them runs.

import { trimmedPath } from './http.ts'

/** Mesos' `Firewall` message; the only rule there is. */
export interface FirewallRules {
  readonly disabled_endpoints?: { readonly paths: readonly string[] }
}

export class Firewall {
  readonly #disabled = new Set<string>()

  install(rules: FirewallRules): void {
    this.#disabled.clear()
    for (const path of rules.disabled_endpoints?.paths ?? []) this.#disabled.add(trimmedPath(path))
  }

  /**
   * `paths`: what was asked for and the endpoint that serves it, both with the id of their actor in front, which may be
   * left out of a rule for the delegate's. By the endpoint, since `/state/x` is served by `/state`.
   */
  refuses(paths: readonly string[], delegate: string | undefined): boolean {
    if (this.#disabled.size === 0) return false
    return paths.some(path => {
      const full = trimmedPath(path)
      if (this.#disabled.has(full)) return true
      const own = `/${delegate}`
      return delegate !== undefined && full.startsWith(`${own}/`)
        ? this.#disabled.has(full.slice(own.length))
        : false
    })
  }
}
