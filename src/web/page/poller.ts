// Asks the master for its state again and again, and knows how fresh the page's picture is.

import type { ClusterState } from './state.ts'
import { backoffMs, REDIRECTED, type Timer, type World } from './world.ts'

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
  /** This master does not lead; `leader` is who does, if anybody. */
  | { readonly kind: 'standby'; readonly retryAtMs: number; readonly leader: Leader | undefined }
  | {
      readonly kind: 'refused'
      readonly retryAtMs: number
      readonly status: number
      readonly text: string
    }

/** Where the leading master is. */
export interface Leader {
  readonly hostname: string
  readonly port: number
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
  /** Relative to the page. */
  #path: string
  #asking = false
  /** Something else is to be asked for as soon as what is under way has come. */
  #hurry = false

  constructor(world: World, onFeed: (feed: Feed) => void, path = 'state') {
    this.#world = world
    this.#onFeed = onFeed
    this.#path = path
  }

  /**
   * Asks for another state from now on. While an answer is awaited nothing more is asked, and then for the latest only: a slider
   * moves faster than answers come.
   */
  follow(path: string): void {
    if (path === this.#path) return
    this.#path = path
    this.#etag = undefined
    if (this.#asking) this.#hurry = true
    else this.start()
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
    this.#asking = false
    if (said === 'paused') this.#become({ connection: { kind: 'paused' } })
  }

  async #poll(ask: number): Promise<void> {
    const startMs = this.#world.now()
    this.#asking = true
    const outcome = await this.#request(this.#path)
    if (ask !== this.#ask) return
    this.#asking = false
    if (this.#hurry) {
      this.#hurry = false
      this.start()
      // What came is shown all the same: it is nearer to what is wanted than what was.
    }
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
    if (outcome.kind === 'refused' || outcome.kind === 'standby') {
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

  async #request(path: string): Promise<Outcome> {
    try {
      const headers = this.#etag === undefined ? {} : { 'If-None-Match': this.#etag }
      const reply = await this.#world.get(path, headers)
      const { etag, serverTimeMs } = reply
      if (reply.status === 304) return { kind: 'live', etag: etag ?? this.#etag, serverTimeMs }
      if (reply.status === REDIRECTED || reply.status === 503) {
        const standby = await this.#standby()
        if (standby) return standby
      }
      if (reply.status !== 200) {
        return { kind: 'refused', status: reply.status, text: (await reply.text()).trim() }
      }
      const state = (await reply.json()) as ClusterState
      return { kind: 'live', state, etag, serverTimeMs }
    } catch {
      return { kind: 'lost' }
    }
  }

  /** Whether another master leads, or none; undefined if this one is about to, or does not say. */
  async #standby(): Promise<Outcome | undefined> {
    const reply = await this.#world.get('leader')
    if (reply.status !== 200) return undefined
    const { id, leading, leader } = (await reply.json()) as LeaderAnswer
    if (leading || (leader && leader.id === id)) return undefined
    return { kind: 'standby', leader }
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
  | { readonly kind: 'standby'; readonly leader: Leader | undefined }

/** What `leader` says. */
interface LeaderAnswer {
  /** Of the master that answers. */
  readonly id: string
  readonly leading: boolean
  readonly leader?: Leader & { readonly id: string }
}

function skewOf(serverTimeMs: number | undefined, nowMs: number): number {
  if (serverTimeMs === undefined) return 0
  const skewMs = serverTimeMs - nowMs
  return Math.abs(skewMs) < skewToleranceMs ? 0 : skewMs
}
