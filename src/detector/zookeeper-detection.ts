// Finds the leading master in ZooKeeper: the oldest node under the path, in which the master says where it is.

import type { Context } from '../actors/actor.ts'
import { addressOf, type Pid } from '../actors/pid.ts'
import { seconds } from '../base/duration.ts'
import { onceAWhile } from '../base/log.ts'
import { Group, type Member } from '../zookeeper/group.ts'
import type { ZooKeeperMasters } from './location.ts'
import { leaderPid, masterInfoIn } from './master-node.ts'

const COMPLAINT_MS = seconds(30)

export interface ZooKeeperDetectionOptions {
  readonly context: Context
  readonly masters: ZooKeeperMasters
  readonly changed: (leader: Pid) => Promise<void> | void
}

export class ZooKeeperDetection {
  readonly #o: ZooKeeperDetectionOptions
  readonly #group: Group
  readonly #complain: ReturnType<typeof onceAWhile>
  /** The id of the master that is known to lead. */
  #known: string | undefined

  constructor(options: ZooKeeperDetectionOptions) {
    const { context, masters } = options
    this.#o = options
    this.#complain = onceAWhile(() => context.clock.now(), COMPLAINT_MS)
    const { url, sessionTimeoutMs, open } = masters
    this.#group = new Group({
      context,
      open,
      url,
      path: url.path,
      sessionTimeoutMs,
      read: 1,
      members: members => this.#heard(members),
    })
  }

  begin(): void {
    this.#group.begin()
  }

  end(): void {
    this.#group.end()
  }

  #heard([oldest]: readonly Member[]): Promise<void> | void {
    const { context, changed } = this.#o
    // For a moment, while one is being elected, nobody leads. Whoever is with the old one notices by itself.
    if (!oldest) return this.#complainOf('no master leads; waiting for one')
    const info = masterInfoIn(oldest)
    const leader = info && leaderPid(info)
    if (!leader) {
      return this.#complainOf(`what ${oldest.name} says of the leading master is not understood`)
    }
    if (info.id === this.#known) return
    this.#known = info.id
    context.log.info({ master: addressOf(leader) }, 'a master leads')
    return changed(leader)
  }

  #complainOf(what: string): void {
    const { context, masters } = this.#o
    const { path } = masters.url
    this.#complain(repeats => context.log.warn({ path, ...repeats }, what))
  }
}
