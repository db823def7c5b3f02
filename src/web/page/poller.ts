// Asks the master for its state again and again, and knows how fresh the page's picture is.

import type { ClusterState } from './state.ts'
import { backoffMs, type Timer, type World } from './world.ts'

export type Connection =
  /** The first answer is not there yet. */
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** By the reader's wish, or because nobody looks. */
  | { readonly kind: 'paused' }
  /** No answer. */
  | { readonly kind: 'lost'; readonly retryAtMs: number }
  /**
   * An answer without a state: the master is not elected, or still recovering; `text` is what it
   * said.
   */
  | {
      readonly kind: 'refused'
      readonly retryAtMs: number
      readonly status: number
      readonly text: string
    }

/** What the page shows at any moment; `state` stays the last one that came, however old. */
export interface Feed {
  readonly connection: Connection
  readonly state: ClusterState | undefined
  /** When the master last confirmed this state, by this machine's clock. */
  readonly confirmedAtMs: number | undefined
  /**
   * The master's clock minus this machine's; 0 while they agree to within the header's precision.
   */
  readonly skewMs: number
}

const intervalMs = 1000
/**
 * A large state takes long to make, to send and to read: at most a fifth of the time goes into
 * asking.
 */
const restPerWork = 4
const refusedRetryMs = 2000
/** The Date header has whole seconds, and the way takes time too. */
const skewToleranceMs = 3000

export class StatePoller {
  readonly #world: World
  readonly #onFeed: (feed: Feed) => void
  #feed: Feed = {
    connection: { kind: 'connecting' },
    state: undefined,
    confirmedAtMs: undefined,
    skewMs: 0,
  }
  #etag: string | undefined
  #failures = 0
  #timer: Timer | undefined
  /** Counts the asks: an answer to any but the newest is not looked at. */
  #ask = 0

  constructor(world: World, onFeed: (feed: Feed) => void) {
    this.#world = world
    this.#onFeed = onFeed
  }

  get feed(): Feed {
    return this.#feed
  }

  /** Asks at once, and goes on from there; also the way out of a pause or a long back-off. */
  start(): void {
    this.#timer?.cancel()
    void this.#poll(++this.#ask)
  }

  /** Ends asking. `said` when the page shall show so; not when it is merely out of sight. */
  stop(said: 'paused' | 'silent'): void {
    this.#timer?.cancel()
    this.#ask++
    if (said === 'paused') this.#become({ connection: { kind: 'paused' } })
  }

  async #poll(ask: number): Promise<void> {
    const startMs = this.#world.now()
    const outcome = await this.#request()
    if (ask !== this.#ask) return
    const endMs = this.#world.now()
    // Who answers after a gap may be another master, with the same tag for another state.
    this.#etag = outcome.kind === 'live' ? outcome.etag : undefined
    if (outcome.kind === 'lost') {
      const waitMs = backoffMs(++this.#failures)
      this.#become({ connection: { kind: 'lost', retryAtMs: endMs + waitMs } })
      this.#again(ask, waitMs)
      return
    }
    this.#failures = 0
    if (outcome.kind === 'refused') {
      const retryAtMs = endMs + refusedRetryMs
      this.#become({ connection: { ...outcome, retryAtMs } })
      this.#again(ask, refusedRetryMs)
      return
    }
    this.#become({
      connection: { kind: 'live' },
      state: outcome.state ?? this.#feed.state,
      confirmedAtMs: endMs,
      skewMs: skewOf(outcome.serverTimeMs, endMs),
    })
    this.#again(ask, Math.max(intervalMs, restPerWork * (endMs - startMs)))
  }

  async #request(): Promise<Outcome> {
    try {
      const headers = this.#etag === undefined ? {} : { 'If-None-Match': this.#etag }
      const reply = await this.#world.get('state', headers)
      const { etag, serverTimeMs } = reply
      if (reply.status === 304) return { kind: 'live', etag: etag ?? this.#etag, serverTimeMs }
      if (reply.status !== 200) {
        return { kind: 'refused', status: reply.status, text: (await reply.text()).trim() }
      }
      const state = (await reply.json()) as ClusterState
      return { kind: 'live', state, etag, serverTimeMs }
    } catch {
      return { kind: 'lost' }
    }
  }

  #again(ask: number, waitMs: number): void {
    this.#timer = this.#world.delay(waitMs, () => {
      if (ask === this.#ask) this.start()
    })
  }

  #become(change: Partial<Feed>): void {
    this.#feed = { ...this.#feed, ...change }
    this.#onFeed(this.#feed)
  }
}

type Outcome =
  | {
      readonly kind: 'live'
      /** Absent when nothing changed. */
      readonly state?: ClusterState
      readonly etag: string | undefined
      readonly serverTimeMs: number | undefined
    }
  | { readonly kind: 'lost' }
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }

function skewOf(serverTimeMs: number | undefined, nowMs: number): number {
  if (serverTimeMs === undefined) return 0
  const skewMs = serverTimeMs - nowMs
  return Math.abs(skewMs) < skewToleranceMs ? 0 : skewMs
}
