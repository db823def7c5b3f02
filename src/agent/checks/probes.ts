// Asks tasks how they are. Real in system-probes.ts, as tests say in the simulator.

import type { Probe, ProbeResult } from './probe.ts'

/** The task that is asked. */
export interface Probed {
  readonly containerId: string
  /** Of its program: a command that looks at it has the same, and its own on top. */
  readonly env: Readonly<Record<string, string>>
}

export interface Probes {
  /**
   * Undefined if there is no result: nothing answers, or the command could not be started. Never rejects. When `stop` is aborted
   * the result does not matter any more, and what was begun for it ends.
   */
  ask(probe: Probe, task: Probed, stop: AbortSignal): Promise<ProbeResult | undefined>
}

/** No more than so many at a time: the others wait for their turn. */
export class BoundedProbes implements Probes {
  readonly #probes: Probes
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(probes: Probes, most: number) {
    this.#probes = probes
    this.#free = most
  }

  async ask(probe: Probe, task: Probed, stop: AbortSignal): Promise<ProbeResult | undefined> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return stop.aborted ? undefined : await this.#probes.ask(probe, task, stop)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
