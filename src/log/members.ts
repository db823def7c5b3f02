// The processes that have a replica, and how many of them are a quorum. First it is a list that whoever starts the log has
// given, or one that another system keeps, from which they come and go. From the first change that the log itself has chosen on
// (claim.ts, reconfigure.ts) it is what the log says.

import type { Address } from '../actors/pid.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import type { Membership } from '../messages/log.ts'
import { majorityOf } from './quorum.ts'

export class Members {
  /** Whether they come and go. */
  readonly isLive: boolean
  readonly #known: Deferred<void> = deferred()
  #addresses: ReadonlySet<Address>
  #quorum: number
  #version = 0
  readonly #followers: (() => void)[] = []

  /** `quorum`: more than half of them, if it is not given. */
  static fixed(addresses: Iterable<Address>, quorum?: number): Members {
    const all = new Set(addresses)
    const members = new Members(false, quorum ?? majorityOf(Math.max(1, all.size)))
    members.#take(all)
    return members
  }

  /** Nobody, until it is told who there is. */
  static live(quorum: number): Members {
    return new Members(true, quorum)
  }

  private constructor(isLive: boolean, quorum: number) {
    this.isLive = isLive
    this.#addresses = new Set()
    this.#quorum = quorum
  }

  get quorum(): number {
    return this.#quorum
  }

  /** How many changes the log has chosen. */
  get version(): number {
    return this.#version
  }

  /** Takes what the log has chosen. */
  adopt({ version, members }: Membership): void {
    if (version <= this.#version) return
    this.#version = version
    this.#quorum = majorityOf(members.length)
    this.change(members)
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
    for (const follower of this.#followers) follower()
  }

  /** `run` is called at each change, in whatever turn. */
  follow(run: () => void): void {
    this.#followers.push(run)
  }

  #take(addresses: Iterable<Address>): void {
    this.#addresses = new Set(addresses)
    this.#known.resolve()
  }
}
