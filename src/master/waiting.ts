// What came while the registry was being read: it is served when this master leads.

import type { Pid } from '../actors/pid.ts'

/** What may wait; beyond it senders repeat themselves anyway. */
const MOST = 10_000

export class Waiting {
  #all: { readonly from: Pid; readonly run: () => unknown }[] = []

  /** False if there is no room. */
  add(from: Pid, run: () => unknown): boolean {
    if (this.#all.length >= MOST) return false
    this.#all.push({ from, run })
    return true
  }

  /** He is gone, and with him what he wanted. */
  forget(gone: Pid): void {
    this.#all = this.#all.filter(({ from }) => from !== gone)
  }

  take(): (() => unknown)[] {
    return this.#all.splice(0).map(({ run }) => run)
  }
}
