// Enters its process into a group in ZooKeeper, and says who is in it. Id: `zookeeper-attendant(1)`.

import { Actor } from '../actors/actor.ts'
import { Group, type GroupOptions, type Member } from './group.ts'

export interface AttendantOptions
  extends Pick<GroupOptions, 'open' | 'url' | 'path' | 'sessionTimeoutMs' | 'read'> {
  readonly label: string
  /** What the others are told of this process. */
  readonly about: string
  readonly members: (members: readonly Member[]) => void
  /** Called once, so long after the start. What it throws ends the process. */
  readonly graceMs: number
  readonly afterGrace: () => void
}

export class Attendant extends Actor {
  override readonly idPrefix = 'zookeeper-attendant'
  override readonly failureEnds = 'process'
  readonly serves = []
  readonly #o: AttendantOptions
  #group: Group | undefined

  constructor(options: AttendantOptions) {
    super()
    this.#o = options
  }

  protected override initialize(): void {
    const { label, about, graceMs, afterGrace, ...rest } = this.#o
    this.delay(graceMs, afterGrace)
    const entry = { label, data: new TextEncoder().encode(about) }
    this.#group = new Group({ ...rest, context: this.context, entry })
    this.#group.begin()
  }

  protected override finalize(): void {
    this.#group?.end()
  }
}
