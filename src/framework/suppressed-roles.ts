// The roles for which a framework wants no offers at present. They are told with every subscription, where the master
// refuses one that is not the framework's: so none may get in here.

import { UserError } from '../base/errors.ts'

export class SuppressedRoles {
  readonly #own: () => readonly string[]
  readonly #roles = new Set<string>()

  constructor(own: () => readonly string[]) {
    this.#own = own
  }

  get list(): string[] {
    return [...this.#roles]
  }

  /** These roles, or all. Throws a `UserError` for one that is not the framework's. */
  add(roles: readonly string[]): void {
    this.#check(roles)
    for (const role of roles.length > 0 ? roles : this.#own()) this.#roles.add(role)
  }

  /** The same. */
  delete(roles: readonly string[]): void {
    this.#check(roles)
    for (const role of roles.length > 0 ? roles : this.list) this.#roles.delete(role)
  }

  /** The framework's roles have changed: one that it gave up is not suppressed any more. */
  refresh(): void {
    const own = this.#own()
    for (const role of this.#roles) if (!own.includes(role)) this.#roles.delete(role)
  }

  #check(roles: readonly string[]): void {
    const own = this.#own()
    const foreign = roles.find(role => !own.includes(role))
    if (foreign === undefined) return
    throw new UserError('invalid_value', `'${foreign}' is no role of this framework.`, {
      hint: `Its roles are ${own.join(', ')}.`,
    })
  }
}
