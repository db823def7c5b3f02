// The processes that have a replica: a list that stays, or one that another system keeps, from which they come and go.

import type { Address } from '../actors/pid.ts'
import { type Deferred, deferred } from '../base/deferred.ts'

export class Members {
  /** Whether they come and go. */
  readonly isLive: boolean
  readonly #known: Deferred<void> = deferred()
  #addresses: ReadonlySet<Address>
  #follower: (() => void) | undefined

  static fixed(addresses: Iterable<Address>): Members {
    const members = new Members(false)
    members.#take(addresses)
    return members
  }

  /** Nobody, until it is told who there is. */
  static live(): Members {
    return new Members(true)
  }

  private constructor(isLive: boolean) {
    this.isLive = isLive
    this.#addresses = new Set()
  }

  /** Resolves when it is known who there is. */
  get known(): Promise<void> {
    return this.#known.promise
  }

  get addresses(): readonly Address[] {
    return [...this.#addresses]
  }

  has(address: Address): boolean {
    return this.#addresses.has(address)
  }

  /**
   * Who there is from now on. It must hold always that any two quorums of all that are ever named here share a member, as
   * far as they keep their disks: the log cannot know of one that is not named any more, but may come back.
   */
  change(addresses: Iterable<Address>): void {
    this.#take(addresses)
    this.#follower?.()
  }

  /** `run` is called at each change, in whatever turn. */
  follow(run: () => void): void {
    this.#follower = run
  }

  #take(addresses: Iterable<Address>): void {
    this.#addresses = new Set(addresses)
    this.#known.resolve()
  }
}
