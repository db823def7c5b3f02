// Delays as the master needs them: a cancelled one never runs, and a long one is not cut short.

import type { Clock, Timer } from '../actors/clock.ts'

/** The longest delay that a clock need be able to keep (2^31 − 1 ms: `setTimeout`'s limit, 24.8 days). */
const LONGEST_MS = 0x7fff_ffff

/**
 * An actor's timer that has fired is an event in its mailbox, and an event before it may cancel it. This one does not
 * run then. And since a `failover_timeout` of a month is nothing unusual, what is longer than a clock's longest delay
 * is waited for in parts.
 */
export function delayed(
  actor: { readonly clock: Clock; delay(ms: number, run: () => unknown): Timer },
  ms: number,
  run: () => unknown,
): Timer {
  const atMs = actor.clock.now() + ms
  let cancelled = false
  let timer: Timer
  const arm = (restMs: number): void => {
    timer = actor.delay(Math.min(restMs, LONGEST_MS), () => {
      if (cancelled) return undefined
      if (restMs <= LONGEST_MS) return run()
      return arm(atMs - actor.clock.now())
    })
  }
  arm(ms)
  return {
    cancel: () => {
      cancelled = true
      timer.cancel()
    },
  }
}
