// The updates of one task on their way to its scheduler: in order, one in flight, none twice. No timers and no disk
// here; the actor around it has them.

import type { StatusUpdate } from '../messages/agent-registration.ts'
import { isTerminal } from '../messages/status.ts'

/** First pause before an update is sent again, as in Mesos. */
export const STATUS_UPDATE_RETRY_MIN_MS = 10_000
/** The pause doubles up to this. */
export const STATUS_UPDATE_RETRY_MAX_MS = 600_000

/** The pause after one of `ms`. */
export function nextRetryMs(ms: number): number {
  return Math.min(ms * 2, STATUS_UPDATE_RETRY_MAX_MS)
}

/**
 * So many acknowledged updates a stream knows again. A task may report for years; what comes twice comes soon, for an
 * executor repeats only what the agent has not confirmed.
 */
const REMEMBERED = 1_000

/**
 * So many updates wait at most. A scheduler may be away for days while an executor reports each second: what it should
 * know then is how things are, and how the task came to its end, not each step between.
 */
export const MAX_WAITING = 1_000

/** `queued`: it waits its turn. `first`: it is to be sent now. `duplicate`, `late`: nothing is to be done. */
export type UpdateOutcome = 'first' | 'queued' | 'duplicate' | 'late'

/**
 * `next`: another update is to be sent now. `idle`: none waits. `closed`: the terminal update was acknowledged, the
 * stream is over. `duplicate`: of one acknowledged before. `unexpected`: of none that was sent.
 */
export type AcknowledgementOutcome = 'next' | 'idle' | 'closed' | 'duplicate' | 'unexpected'

/** An update that has the uuid by which it is acknowledged. */
export type AcknowledgeableUpdate = StatusUpdate & { readonly uuid: string }

export class StatusUpdateStream {
  readonly frameworkId: string
  readonly taskId: string
  /** In order; the first one is in flight. */
  readonly #pending: AcknowledgeableUpdate[] = []
  readonly #received = new Set<string>()
  readonly #acknowledged = new Set<string>()
  #sawTerminal = false

  constructor(frameworkId: string, taskId: string) {
    this.frameworkId = frameworkId
    this.taskId = taskId
  }

  /** The update in flight. */
  get head(): AcknowledgeableUpdate | undefined {
    return this.#pending[0]
  }

  /** Takes an update of the executor or the agent. What follows a terminal one is `late`: a task ends once. */
  update(update: AcknowledgeableUpdate): UpdateOutcome {
    if (this.#received.has(update.uuid)) return 'duplicate'
    if (this.#sawTerminal) return 'late'
    this.#received.add(update.uuid)
    this.#sawTerminal = isTerminal(update.status.state)
    if (this.#pending.push(update) === 1) return 'first'
    // Not the one in flight: its acknowledgement is on its way.
    if (this.#pending.length > MAX_WAITING) {
      const [skipped] = this.#pending.splice(1, 1)
      this.#received.delete(skipped!.uuid)
    }
    return 'queued'
  }

  /** Takes the scheduler's acknowledgement. Only the update in flight can be acknowledged. */
  acknowledge(uuid: string): AcknowledgementOutcome {
    if (this.#acknowledged.has(uuid)) return 'duplicate'
    const head = this.#pending[0]
    if (head?.uuid !== uuid) return 'unexpected'
    this.#acknowledged.add(uuid)
    this.#pending.shift()
    if (this.#acknowledged.size > REMEMBERED) this.#forgetOldest()
    if (isTerminal(head.status.state)) return 'closed'
    return this.#pending.length > 0 ? 'next' : 'idle'
  }

  #forgetOldest(): void {
    const [oldest] = this.#acknowledged
    this.#acknowledged.delete(oldest!)
    this.#received.delete(oldest!)
  }
}
