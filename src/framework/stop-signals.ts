// Ctrl-C and its kin: the first one asks for an orderly end, a further one insists.
//
// Started by npm or npx, a process gets each Ctrl-C twice within moments: from the terminal, which signals the whole
// foreground group, and from npm, which passes on what it got itself. That is one wish, not two.

import { performance } from 'node:perf_hooks'

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** What is repeated within this time is the same signal, not an impatient person. */
const SAME_MS = 500

/** Calls `stop` at the first of the signals, `insist` at every later one. Returns how to stop listening. */
export function onStopSignal<S extends StopSignal>(
  signals: readonly S[],
  stop: (signal: S) => void,
  insist: (signal: S) => void,
): () => void {
  let firstAtMs: number | undefined
  const listeners = signals.map(signal => {
    const listener = (): void => {
      const nowMs = performance.now()
      if (firstAtMs === undefined) {
        firstAtMs = nowMs
        stop(signal)
      } else if (nowMs - firstAtMs > SAME_MS) insist(signal)
    }
    process.on(signal, listener)
    return [signal, listener] as const
  })
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener)
  }
}
