// A replica's question to the members that it knows: who are the members? Somebody may have been added meanwhile.

import type { Pid } from '../actors/pid.ts'
import type { ChosenMembership } from '../messages/log.ts'
import { silenced } from './consensus.ts'
import type { ReplicaRef } from './network.ts'

/** Not more often, and so long for an answer. */
const INQUIRY_MS = 1_000

export interface Inquirer {
  /** Of its own disk. */
  readonly id: () => string
  readonly nowMs: () => number
  readonly others: () => readonly ReplicaRef[]
  readonly adopt: (membership: ChosenMembership) => Promise<unknown>
  /** Another one says that it has the same disk. */
  readonly isCopy: (other: Pid) => void
}

export class Inquiry {
  readonly #inquirer: Inquirer
  #afterMs = 0

  constructor(inquirer: Inquirer) {
    this.#inquirer = inquirer
  }

  make(): void {
    const { id, nowMs, others, adopt, isCopy } = this.#inquirer
    const asked = others()
    if (asked.length === 0 || nowMs() < this.#afterMs) return
    this.#afterMs = nowMs() + INQUIRY_MS
    for (const other of asked) {
      void silenced(other.ask('recover', {}, { timeoutMs: INQUIRY_MS })).then(async answer => {
        if (answer?.status !== 'VOTING') return
        if (answer.replica === id()) isCopy(other.pid)
        else if (answer.membership) await adopt(answer.membership)
      })
    }
  }
}
