// Tells agents and schedulers who leads: whoever asks any of the masters need not know more. Id: `detector`.

import { Actor } from '../actors/actor.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import { serve } from '../actors/protocol.ts'
import type { MasterInfo } from '../messages/agent.ts'
import { type Detected, DETECT_LIMIT_MS, MasterDetector } from '../messages/detector.ts'

/** So many may wait for a change; who comes beyond that is answered at once, and asks again. */
const MOST_WAITING = 100_000

export class Detector extends Actor {
  override readonly idPrefix = 'detector'
  #leader: MasterInfo | undefined
  #changed: Deferred<void> = deferred()
  #waiting = 0
  readonly serves = [serve(MasterDetector, { detect: ({ known }) => this.#detect(known) })]

  constructor(leader: MasterInfo | undefined) {
    super()
    this.#leader = leader
  }

  /** Called in whatever turn; nothing is sent before those who wait have theirs. */
  appoint(leader: MasterInfo | undefined): void {
    if (leader?.pid === this.#leader?.pid && leader?.id === this.#leader?.id) return
    this.#leader = leader
    this.#changed.resolve()
    this.#changed = deferred()
  }

  async #detect(known: string | undefined): Promise<Detected> {
    if (known === this.#leader?.id && this.#waiting < MOST_WAITING) {
      this.#waiting++
      await Promise.race([this.resume(this.#changed.promise), this.sleep(DETECT_LIMIT_MS)])
      this.#waiting--
    }
    return this.#leader ? { leader: this.#leader } : {}
  }
}
