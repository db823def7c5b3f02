// Finds the leading one of several masters, and stays with whoever leads. For agents and schedulers.
//
// Any of the masters is asked who leads (messages/detector.ts); its answer waits until there is a change. One that does not
// answer is followed by the next of the list. What it says may be out of date for a moment: then the leader it names does not
// answer, or says that it does not lead, and whoever looks for it is told of another one soon.

import type { Context } from '../actors/actor.ts'
import { type Address, addressOf, type Pid, pid } from '../actors/pid.ts'
import { AskError } from '../actors/protocol.ts'
import { seconds } from '../base/duration.ts'
import { onceAWhile } from '../base/log.ts'
import {
  DETECT_LIMIT_MS,
  type Detected,
  DETECTOR_ID,
  MasterDetector,
} from '../messages/detector.ts'

/** How long the answer may take beyond the time for which it waits. */
const PATIENCE_MS = seconds(2.5)
/** Between two tries; doubled each time that all masters were asked in vain. */
const FIRST_PAUSE_MS = 50
const MOST_PAUSE_MS = seconds(2)
const COMPLAINT_MS = seconds(30)

export interface DetectionOptions {
  readonly context: Context
  readonly masters: readonly Address[]
  /** Somebody leads, or somebody else: `master@host:port`. */
  readonly changed: (leader: Pid) => Promise<void> | void
}

export class Detection {
  readonly #o: DetectionOptions
  readonly #complain: ReturnType<typeof onceAWhile>
  /** The id of the master that is known to lead. */
  #known: string | undefined
  /** Who is asked, in the list. */
  #at = 0
  #pauseMs = FIRST_PAUSE_MS
  #isEnded = false

  constructor(options: DetectionOptions) {
    this.#o = options
    this.#complain = onceAWhile(() => options.context.clock.now(), COMPLAINT_MS)
  }

  /** Whoever leads is told to `changed`, now and later. If there is one master alone, nobody has to be asked. */
  begin(): void {
    const { context, masters } = this.#o
    if (masters.length < 2) return
    // Not all should ask the same one.
    this.#at = context.random.integer(masters.length)
    context.delay(0, () => this.#ask())
  }

  end(): void {
    this.#isEnded = true
  }

  async #ask(): Promise<void> {
    if (this.#isEnded) return
    const { context, masters } = this.#o
    const asked = masters[this.#at % masters.length]!
    const answer = await this.#answerOf(asked)
    if (answer?.leader) {
      this.#pauseMs = FIRST_PAUSE_MS
      await this.#heard(answer.leader)
    } else {
      this.#at++
      if (this.#at % masters.length === 0) {
        this.#pauseMs = Math.min(this.#pauseMs * 2, MOST_PAUSE_MS)
        // For a moment, while one is being elected, nobody does.
        if (this.#pauseMs === MOST_PAUSE_MS) this.#complainOfNobody()
      }
    }
    context.delay(this.#pauseMs * context.random.next(), () => this.#ask())
  }

  #complainOfNobody(): void {
    const { context, masters } = this.#o
    this.#complain(repeats =>
      context.log.warn({ masters, ...repeats }, 'none of the masters knows who leads; asking on'),
    )
  }

  async #answerOf(master: Address): Promise<Detected | undefined> {
    const known = this.#known === undefined ? {} : { known: this.#known }
    const limit = { timeoutMs: DETECT_LIMIT_MS + PATIENCE_MS }
    const detector = this.#o.context.ref(MasterDetector, pid(DETECTOR_ID, master))
    try {
      return await detector.ask('detect', known, limit)
    } catch (error) {
      if (error instanceof AskError) return undefined
      throw error
    }
  }

  #heard({ id, pid: leader }: NonNullable<Detected['leader']>): Promise<void> | void {
    // Addresses other than those of the list are nobody's that we trust.
    const isListed = this.#o.masters.some(master => leader === pid('master', master))
    if (leader === undefined || !isListed) {
      return this.#complain(repeats =>
        this.#o.context.log.warn(
          { leader, ...repeats },
          'the leading master is not in the list of masters; ignored',
        ),
      )
    }
    if (id === this.#known) return
    this.#known = id
    this.#o.context.log.info({ master: addressOf(leader as Pid) }, 'a master leads')
    return this.#o.changed(leader as Pid)
  }
}
