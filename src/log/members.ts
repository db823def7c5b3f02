// The processes that have a replica, and how many of them are a quorum. First it is a list that whoever starts the log has
// given, or one that another system keeps, from which they come and go. From the first change that the log itself has chosen on
// (claim.ts, reconfigure.ts) it is what the log says.

import type { Address } from '../actors/pid.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import type { ChosenMembership } from '../messages/log.ts'
import { ensembleOf, majorityOf } from './quorum.ts'

export class Members {
  /** Whether they come and go. */
  readonly isLive: boolean
  readonly #known: Deferred<void> = deferred()
  #addresses: ReadonlySet<Address>
  #quorum: number
  #membership: ChosenMembership | undefined
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

  /** The last change that the log has chosen; undefined if there was none. */
  get membership(): ChosenMembership | undefined {
    return this.#membership
  }

  /** How many changes the log has chosen. */
  get version(): number {
    return this.#membership?.version ?? 0
  }

  /** Takes what the log has chosen. */
  adopt(membership: ChosenMembership): void {
    // Of a log whose members another system lists, it chooses none.
    if (this.isLive || membership.version <= this.version) return
    this.#membership = membership
    this.#quorum = majorityOf(membership.members.length)
    this.change(membership.members)
  }

  /** `alone`: there never are others, for no list was given. One with this process alone in it can grow. */
  get kind(): 'alone' | 'list' | 'live' {
    if (this.isLive) return 'live'
    return this.#addresses.size > 0 ? 'list' : 'alone'
  }

  /**
   * How many replicas there are before any change: who starts a new log must have heard of all of them. A list names them. Of
   * those that come and go the quorum tells it.
   */
  get ensemble(): number {
    return this.isLive ? ensembleOf(this.#quorum) : Math.max(1, this.#addresses.size)
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
