// What schedulers and executors share: staying subscribed to a server that may be away, come back, or fall silent.

import { Actor } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import { type Pid, pid } from '../actors/pid.ts'
import { seconds } from '../base/duration.ts'
import { assert } from '../base/assert.ts'
import { UserError } from '../base/errors.ts'
import { onceAWhile } from '../base/log.ts'
import { type Detector, detectorOf } from '../detector/detector.ts'
import { isList, type Masters } from '../detector/location.ts'
import { Backoff } from './backoff.ts'

const FIRST_RETRY_MS = 100
const MAX_RETRY_MS = seconds(15)
/** A SUBSCRIBE over a connection that stands is repeated no sooner: a busy server would only get busier. */
const ANSWER_LIMIT_MS = 500
/** So many heartbeats may be missing before a connection counts as broken. */
const MISSED_HEARTBEATS = 3
const COMPLAINT_INTERVAL_MS = seconds(30)

/** Authors of frameworks subclass Scheduler or Executor, never this. */
export abstract class Subscriber extends Actor {
  /** Undefined: nobody knows yet. */
  #server: Pid | undefined
  #masters: Masters | undefined
  #detector: Detector | undefined
  /**
   * - `disconnected`: nobody to talk to; a timer will try again.
   * - `subscribing`: linked to the server, SUBSCRIBE sent; a timer will repeat it.
   * - `subscribed`: events come from `#answered`, and calls go to the server.
   */
  #state: 'disconnected' | 'subscribing' | 'subscribed' = 'disconnected'
  /** Who answered, by the address it calls itself: what others say is not believed. */
  #answered: Pid | undefined
  #retry: Timer | undefined
  readonly #backoff: Backoff
  #heardAtMs = 0
  #silenceLimitMs = 0
  #silence: Timer | undefined
  #complain: ReturnType<typeof onceAWhile> | undefined

  /** `server`: absent if it is the leading master, wherever that is. `maxRetryMs`: the longest wait for one that is away. */
  constructor(server?: Pid, maxRetryMs = MAX_RETRY_MS) {
    super()
    this.#server = server
    this.#backoff = new Backoff({
      firstMs: FIRST_RETRY_MS,
      maxMs: Math.min(maxRetryMs, MAX_RETRY_MS),
    })
  }

  /** The server is the leading one of these, whoever that is. Before the first turn. */
  protected lookFor(masters: Masters): void {
    this.#masters = masters
    if (isList(masters)) this.#server = pid('master', masters[0])
  }

  /** Where it subscribes. */
  get server(): Pid {
    assert(this.#server !== undefined, 'a server is known')
    return this.#server
  }

  get isSubscribed(): boolean {
    return this.#state === 'subscribed'
  }

  /** Sends SUBSCRIBE. */
  protected abstract sendSubscribe(): void

  /** The server is out of reach, or was never there; another try is on its way. */
  protected abstract connectionLost(wasSubscribed: boolean): void | Promise<void>

  /** Subclasses that override it call it too. */
  protected override initialize(): void | Promise<void> {
    this.#complain = onceAWhile(() => this.clock.now(), COMPLAINT_INTERVAL_MS)
    if (this.#masters === undefined && this.#server === undefined) {
      throw new UserError('invalid_value', 'Nobody has said where the master is.', {
        hint: 'Where ZooKeeper or a file says it, the scheduler is to be run by runScheduler.',
      })
    }
    if (this.#masters) {
      const changed = (leader: Pid) => this.#appoint(leader)
      this.#detector = detectorOf({ context: this.context, masters: this.#masters, changed })
      this.#detector.begin()
    }
    this.#subscribe()
  }

  /** Subclasses that override it call it too: otherwise ZooKeeper hears of this end late, and the process lives on. */
  protected override finalize(): void {
    this.#detector?.end()
  }

  #appoint(server: Pid): Promise<void> | void {
    if (server === this.#server) return
    if (this.#server !== undefined) this.unlink(this.#server)
    this.#server = server
    this.#backoff.reset()
    if (this.isSubscribed) return this.#lost('another master leads')
    this.#subscribe()
  }

  #subscribe(): void {
    if (this.#server === undefined) return
    this.#state = 'subscribing'
    this.link(this.#server)
    this.sendSubscribe()
    // If the connection is refused, `lost` tries again sooner; only silence makes this wait count as a failed try.
    this.#retry?.cancel()
    this.#retry = this.delay(Math.max(ANSWER_LIMIT_MS, this.#backoff.limitMs), () => {
      this.#backoff.nextMs(this.random)
      this.#subscribe()
    })
  }

  #retryIn(ms: number): void {
    this.#retry?.cancel()
    this.#retry = this.delay(ms, () => this.#subscribe())
  }

  protected override exited(gone: Pid): void | Promise<void> {
    if (gone !== this.#server) return
    return this.#lost(this.isSubscribed ? 'the connection was lost' : 'it does not answer')
  }

  #lost(reason: string): void | Promise<void> {
    const wasSubscribed = this.isSubscribed
    this.#state = 'disconnected'
    this.#answered = undefined
    this.#silence?.cancel()
    this.#retryIn(this.#backoff.nextMs(this.random))
    this.#complain?.(repeats =>
      this.log.warn({ server: this.#server, reason, ...repeats }, 'not connected; trying again'),
    )
    return this.connectionLost(wasSubscribed)
  }

  /** SUBSCRIBED has come. False for a second answer, to a SUBSCRIBE that was repeated too soon. */
  protected confirmSubscription(from: Pid, heartbeatIntervalSeconds?: number): boolean {
    if (this.isSubscribed) return false
    this.#retry?.cancel()
    this.#backoff.reset()
    this.#state = 'subscribed'
    this.#answered = from
    this.#heardAtMs = this.clock.now()
    if (heartbeatIntervalSeconds) {
      this.#silenceLimitMs = seconds(heartbeatIntervalSeconds) * MISSED_HEARTBEATS
      this.#checkSilenceIn(this.#silenceLimitMs)
    }
    return true
  }

  /** Whether an event comes from the server we are subscribed to; if so it is a sign of its life. */
  protected believes(from: Pid): boolean {
    if (!this.isSubscribed || from !== this.#answered) return false
    this.#heardAtMs = this.clock.now()
    return true
  }

  /** The transport notices a dead connection by itself; this notices a server that lives but says nothing. */
  #checkSilenceIn(ms: number): void {
    this.#silence?.cancel()
    this.#silence = this.delay(ms, () => {
      const leftMs = this.#heardAtMs + this.#silenceLimitMs - this.clock.now()
      if (leftMs > 0) return this.#checkSilenceIn(leftMs)
      this.unlink(this.server)
      return this.#lost('no heartbeat')
    })
  }
}
