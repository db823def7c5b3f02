// Who of a group in ZooKeeper leads: the oldest, as in Mesos. This actor enters its process, and follows who leads. Id:
// `zookeeper-contender(1)`.
//
//   entered ──oldest──▶ leading ──its node is gone, or may be──▶ ended
//      ▲          │
//      └──session lost: entered again, as the youngest

import { Actor } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import { Group, type GroupOptions, type Member } from './group.ts'

export interface ContenderOptions
  extends Pick<GroupOptions, 'open' | 'url' | 'path' | 'sessionTimeoutMs'> {
  readonly label: string
  /** What the others are told of this one while it leads. */
  readonly about: string
  /** The oldest, whoever that is; undefined if there is none. At each change. */
  readonly leads: (leader: Member | undefined) => void
  readonly elected: () => void
  /** Whoever led must not do anything more. */
  readonly lost: (why: string) => void
}

export class Contender extends Actor {
  override readonly idPrefix = 'zookeeper-contender'
  override readonly failureEnds = 'process'
  readonly serves = []
  readonly #o: ContenderOptions
  #group!: Group
  #isLeader = false
  #expiry: Timer | undefined

  constructor(options: ContenderOptions) {
    super()
    this.#o = options
  }

  /** Whether this process leads at this moment. To be asked before anything is done that only a leader may do. */
  get leading(): boolean {
    return this.#isLeader && this.clock.now() < this.#group.heldUntilMs
  }

  protected override initialize(): void {
    const { label, about, open, url, path, sessionTimeoutMs } = this.#o
    this.#group = new Group({
      context: this.context,
      open,
      url,
      path,
      sessionTimeoutMs,
      entry: { label, data: new TextEncoder().encode(about) },
      read: 1,
      members: members => this.#heard(members),
      lost: why => this.#lost(why),
    })
    this.#group.begin()
  }

  /** ZooKeeper hears of an orderly end at once, and so do the others. */
  protected override finalize(): void {
    this.#group.end()
  }

  #heard(members: readonly Member[]): void {
    const [oldest] = members
    this.#o.leads(oldest)
    if (!oldest?.isOwn) return this.#lost('an older one is there')
    if (this.#isLeader) return
    this.#isLeader = true
    this.log.info({ node: oldest.name }, 'elected')
    this.#watchExpiry()
    this.#o.elected()
  }

  #lost(why: string): void {
    if (!this.#isLeader) return
    this.#isLeader = false
    this.#expiry?.cancel()
    this.#o.lost(why)
  }

  /** By its own clock: whether another one leads it cannot hear while ZooKeeper does not answer. */
  #watchExpiry(): void {
    this.#expiry = this.delay(Math.max(0, this.#group.heldUntilMs - this.clock.now()), () => {
      if (!this.#isLeader) return undefined
      if (this.leading) return this.#watchExpiry()
      return this.#lost('ZooKeeper has not answered for as long as a session lasts')
    })
  }
}
