// Simulated checks of tasks: answers come from a script, at once or never.

import type { Probe, ProbeResult } from '../agent/checks/probe.ts'
import type { Probed, Probes } from '../agent/checks/probes.ts'

/** What a task answers; `never`: nothing comes until the one who asks gives up. */
export type Answers = (probe: Probe, task: Probed) => ProbeResult | undefined | 'never'

/** Everything is well. */
export const WELL: Answers = ({ type }) => {
  switch (type) {
    case 'COMMAND':
      return { type, exitCode: 0 }
    case 'HTTP':
      return { type, statusCode: 200 }
    case 'TCP':
      return { type, succeeded: true }
  }
}

export class VirtualProbes implements Probes {
  answers: Answers
  /** All that was asked, in order. */
  readonly asked: { readonly probe: Probe; readonly task: Probed }[] = []
  /** How many wait for an answer. */
  pending = 0

  constructor(answers: Answers = WELL) {
    this.answers = answers
  }

  ask(
    probe: Probe,
    task: Probed,
    stop: AbortSignal,
    begun: () => void,
  ): Promise<ProbeResult | undefined> {
    begun()
    this.asked.push({ probe, task })
    const answer = this.answers(probe, task)
    if (answer !== 'never') return Promise.resolve(answer)
    this.pending++
    return new Promise(resolve => {
      stop.addEventListener('abort', () => {
        this.pending--
        resolve(undefined)
      })
    })
  }
}
