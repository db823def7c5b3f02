// Asks tasks how they are. Real in system-probes.ts, as tests say in the simulator.

import type { Probe, ProbeResult } from './probe.ts'

/** The task that is asked. */
export interface Probed {
  readonly containerId: string
  /** Whose it is: the tasks of one framework must not keep those of others from being asked. */
  readonly framework: string
  /** Of its program: a command that looks at it has the same, and its own on top. */
  readonly env: Readonly<Record<string, string>>
}

export interface Probes {
  /**
   * Undefined if there is no result: nothing answers, or the command could not be started. Never rejects. `begun` is called when it
   * is the task's turn to be asked. When `stop` is aborted the result does not matter any more, and what was begun for it ends.
   */
  ask(
    probe: Probe,
    task: Probed,
    stop: AbortSignal,
    begun: () => void,
  ): Promise<ProbeResult | undefined>
}

interface Waiting {
  readonly framework: string
  readonly go: () => void
}

/**
 * No more than so many at a time, of all and of one framework: the others wait for their turn, first come, first served among
 * those that may be asked. A framework whose tasks never answer delays its own.
 */
export class BoundedProbes implements Probes {
  readonly #probes: Probes
  readonly #most: number
  readonly #mostOfOne: number
  readonly #asked = new Map<string, number>()
  #all = 0
  readonly #waiting = new Set<Waiting>()

  constructor(probes: Probes, most: number, mostOfOne: number) {
    this.#probes = probes
    this.#most = most
    this.#mostOfOne = mostOfOne
  }

  async ask(
    probe: Probe,
    task: Probed,
    stop: AbortSignal,
    begun: () => void,
  ): Promise<ProbeResult | undefined> {
    const { framework } = task
    if (!(await this.#turn(framework, stop))) return undefined
    try {
      return await this.#probes.ask(probe, task, stop, begun)
    } finally {
      this.#leave(framework)
    }
  }

  /** False if it was given up meanwhile. */
  async #turn(framework: string, stop: AbortSignal): Promise<boolean> {
    if (stop.aborted) return false
    if (this.#mayAsk(framework)) {
      this.#enter(framework)
      return true
    }
    return new Promise(resolve => {
      const end = (isTurn: boolean): void => {
        this.#waiting.delete(waiting)
        stop.removeEventListener('abort', abort)
        resolve(isTurn)
      }
      const abort = (): void => end(false)
      const waiting: Waiting = { framework, go: () => end(true) }
      this.#waiting.add(waiting)
      stop.addEventListener('abort', abort, { once: true })
    })
  }

  #mayAsk(framework: string): boolean {
    return this.#all < this.#most && (this.#asked.get(framework) ?? 0) < this.#mostOfOne
  }

  #enter(framework: string): void {
    this.#all++
    this.#asked.set(framework, (this.#asked.get(framework) ?? 0) + 1)
  }

  #leave(framework: string): void {
    this.#all--
    const left = this.#asked.get(framework)! - 1
    if (left === 0) this.#asked.delete(framework)
    else this.#asked.set(framework, left)
    for (const waiting of this.#waiting) {
      if (!this.#mayAsk(waiting.framework)) continue
      this.#enter(waiting.framework)
      waiting.go()
      return
    }
  }
}
