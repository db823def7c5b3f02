// What is counted of connections: how they are, and why they were cut off from this side.

import type { Backlog } from './backlog.ts'
import type { Counter, MetricsScope } from './metrics.ts'
import type { Turnstile } from './turnstile.ts'

const CUT_OFFS = [
  /** It does not read: more waits for it than may. */
  'queue_full',
  'message_too_large',
  'malformed',
  /** It could not prove who it is, or did not try. */
  'unproved',
  /** No greeting that can be accepted: none in time, one too large, of another version, … */
  'greeting',
  /** Too many others have not greeted yet. */
  'half_open',
  'silent',
] as const

/** Names of metrics below `actors/peers/cut_off/`. That a process ends, or the network breaks, is none of them. */
export type CutOff = (typeof CUT_OFFS)[number]

export class CutOffs {
  readonly #all: Counter
  readonly #counters = new Map<CutOff, Counter>()

  constructor(metrics: MetricsScope) {
    this.#all = metrics.counter('actors/peers/cut_off')
    for (const why of CUT_OFFS) {
      this.#counters.set(why, metrics.counter(`actors/peers/cut_off/${why}`))
    }
  }

  count(why: CutOff): void {
    this.#all.increment()
    this.#counters.get(why)!.increment()
  }
}

/** Gauges that look at all peers when somebody asks. */
export function watchPeers(
  metrics: MetricsScope,
  peers: ReadonlySet<{ readonly queuedBytes: number; readonly state: string }>,
  halfOpen: Turnstile,
  backlog: Backlog,
): void {
  const count = (of: (peer: { queuedBytes: number; state: string }) => number): number => {
    let sum = 0
    for (const peer of peers) sum += of(peer)
    return sum
  }
  const gauge = (name: string, read: () => number): void =>
    metrics.gauge(`actors/peers/${name}`, read)
  gauge('connected', () => count(({ state }) => (state === 'open' ? 1 : 0)))
  gauge('half_open', () => halfOpen.inside)
  gauge('queued_bytes', () => count(({ queuedBytes }) => queuedBytes))
  gauge('waiting_events', () => backlog.events)
  gauge('waiting_bytes', () => backlog.bytes)
  gauge('paused', () => backlog.paused)
  gauge('pauses', () => backlog.pauses)
}
