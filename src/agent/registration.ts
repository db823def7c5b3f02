// How an agent finds its master and stays with it: it asks until it is answered, answers pings, and starts over when
// the master falls silent, goes away, or says that it does not know the agent.

import type { Context } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import { type Address, addressOf, idOf, type Pid, pid } from '../actors/pid.ts'
import { AskError, type Ref } from '../actors/protocol.ts'
import { assert } from '../base/assert.ts'
import { seconds } from '../base/duration.ts'
import { onceAWhile } from '../base/log.ts'
import {
  MasterAgent,
  type MasterConnection,
  type RegisterAgent,
  type ReregisterAgent,
  type ReregisterPart,
} from '../messages/agent-registration.ts'

/** The longest pause between two attempts. */
const MAX_RETRY_MS = seconds(15)
/** A first attempt that found no master is repeated soon: at start the two are often started together. */
const FIRST_RETRY_PART = 0.1
/** A master that was reached may take this long to answer before it is complained of. */
const PATIENCE_MS = seconds(5)
/** Then it is complained of this often. */
const COMPLAINT_MS = seconds(30)
/** To take one part of what is more than one message holds. */
const PART_LIMIT_MS = seconds(60)
/** After an attempt in parts its answer is waited for at least so long: another one would be much work for nothing. */
const PARTS_RETRY_MS = seconds(5)

/** `DISCONNECTED`: asking. `RUNNING`: the master has us. `TERMINATING`: the agent ends, and asks no more. */
export type RegistrationState = 'DISCONNECTED' | 'RUNNING' | 'TERMINATING'

export interface Reregistration {
  readonly type: 'reregister'
  readonly parts: readonly ReregisterPart[]
  readonly body: ReregisterAgent
}

export type RegistrationRequest =
  | { readonly type: 'register'; readonly body: RegisterAgent }
  | Reregistration

export interface RegistrationOptions {
  readonly context: Context
  /** The one that is asked first; undefined: none, until one is appointed. */
  readonly master: Address | undefined
  /** `--registration_backoff_factor`. */
  readonly backoffMs: number
  /** What to say: `register` while the agent has no id. Made anew for each attempt. */
  readonly request: () => RegistrationRequest
  /** There is no master to talk to from now on. */
  readonly disconnected: () => void
}

export class Registration {
  state: RegistrationState = 'DISCONNECTED'
  readonly #o: RegistrationOptions
  /** Where the master is asked; undefined: nobody knows yet. */
  #asked: Pid | undefined
  /** What the master calls itself, where that differs from how we were told to find it (`localhost`). */
  #alias: Pid | undefined
  /** The last answer of a master, or what it said of it. */
  #last: string | undefined
  /** Tries since the agent was registered last. */
  #attempts = 0
  /** All tries: what still goes on for an earlier one is told from the present one. */
  #number = 0
  #firstAttemptAtMs = 0
  #retryMs = 0
  #retry: Timer | undefined
  #silence: Timer | undefined
  #silenceMs = seconds(75)
  #lastError: 'no answer' | 'no connection' = 'no answer'
  readonly #complain: ReturnType<typeof onceAWhile>

  constructor(options: RegistrationOptions) {
    this.#o = options
    this.#asked = options.master === undefined ? undefined : pid('master', options.master)
    this.#complain = onceAWhile(() => options.context.clock.now(), COMPLAINT_MS)
  }

  get connected(): boolean {
    return this.state === 'RUNNING'
  }

  /** The master, to be told something. There must be one: whoever is connected, or has just heard of it, has one. */
  get master(): Ref<(typeof MasterAgent)['entries']> {
    assert(this.#asked !== undefined, 'a master is known')
    return this.#o.context.ref(MasterAgent, this.#asked)
  }

  get #address(): Address | undefined {
    return this.#asked && addressOf(this.#asked)
  }

  get masterHost(): string {
    const address = this.#address ?? ''
    return address.slice(0, address.lastIndexOf(':'))
  }

  isMaster(from: Pid): boolean {
    return from === this.#asked || from === this.#alias
  }

  /** Another master leads. */
  appoint(master: Pid): Promise<void> | void {
    if (master === this.#asked || this.state === 'TERMINATING') return
    if (this.#asked !== undefined) this.#o.context.unlink(this.#asked)
    this.#asked = master
    this.#alias = undefined
    this.#attempts = 0
    if (this.state === 'RUNNING') return this.lose('another master leads')
    this.#retry?.cancel()
    return this.begin()
  }

  /** Asks at once, if it is known whom. */
  begin(): Promise<void> | void {
    this.#retryMs = this.#o.backoffMs * FIRST_RETRY_PART
    return this.#attempt()
  }

  /**
   * Whether an answer to our request is the master's. A master that listens under another name than the one we were
   * given is believed if it has the same port: it answers what was sent to that port.
   */
  accepts(from: Pid): boolean {
    if (this.isMaster(from)) return true
    if (!this.mayBeMaster(from)) return false
    this.#o.context.log.info(
      { master: from, as: this.#address },
      'the master calls itself otherwise',
    )
    this.#alias = from
    return true
  }

  /** The same of what comes before an answer, and decides nothing for later. */
  mayBeMaster(from: Pid): boolean {
    if (this.isMaster(from)) return true
    if (this.state !== 'DISCONNECTED' || this.#alias !== undefined) return false
    if (this.#address === undefined) return false
    return idOf(from) === 'master' && port(addressOf(from)) === port(this.#address)
  }

  /** What to name in a request, so that the master knows which of its answers came before it. */
  get last(): string | undefined {
    return this.#last
  }

  /** The master has us. */
  succeeded(connection: MasterConnection, registration: string | undefined): void {
    this.state = 'RUNNING'
    this.#last = registration
    this.#retry?.cancel()
    this.#attempts = 0
    this.#silenceMs = seconds(connection.total_ping_timeout_seconds)
    this.#watch()
  }

  /**
   * A ping of the master; `connected`: whether it counts us as registered. `registration`: an answer that has come by now,
   * or is lost, but had not when we asked last.
   */
  pinged(connected: boolean, registration: string | undefined): Promise<void> | void {
    this.#watch()
    if (registration !== undefined) this.#last = registration
    if (!connected && this.state === 'RUNNING') {
      return this.lose('the master does not count this agent as registered')
    }
    if (registration === undefined || this.state !== 'DISCONNECTED') return
    this.#retry?.cancel()
    return this.#attempt()
  }

  /** A linked actor is gone or out of reach. */
  exited(gone: Pid): void {
    if (!this.isMaster(gone)) return
    this.#lastError = 'no connection'
    if (this.state === 'RUNNING') this.lose('the connection to the master is lost')
  }

  /** Starts over. */
  lose(why: string): void {
    if (this.state !== 'RUNNING') return
    const { context, backoffMs, disconnected } = this.#o
    context.log.warn(
      { master: this.#address, why },
      'disconnected from the master; registering again',
    )
    this.state = 'DISCONNECTED'
    this.#alias = undefined
    this.#silence?.cancel()
    disconnected()
    this.#retryMs = backoffMs * FIRST_RETRY_PART
    // All agents lose a master at the same moment; they should not all be back at the same moment.
    this.#retry?.cancel()
    this.#retry = context.delay(this.#retryMs * context.random.next(), () => this.#attempt())
  }

  /** The agent ends. */
  stop(): void {
    this.state = 'TERMINATING'
    this.#retry?.cancel()
    this.#silence?.cancel()
  }

  #attempt(): Promise<void> | void {
    if (this.state !== 'DISCONNECTED' || this.#asked === undefined) return
    const { context } = this.#o
    if (this.#attempts === 0) this.#firstAttemptAtMs = context.clock.now()
    else this.#report()
    this.#attempts++
    this.#number++
    this.#lastError = 'no answer'
    context.link(this.#asked)
    const pauseMs = this.#retryMs * (0.5 + context.random.next())
    this.#retryMs = Math.min(this.#retryMs * 2, Math.max(MAX_RETRY_MS, this.#o.backoffMs))
    const again = (leastMs = 0): void => {
      this.#retry = context.delay(Math.max(pauseMs, leastMs), () => this.#attempt())
    }
    const request = this.#o.request()
    if (request.type === 'reregister' && request.parts.length > 0) {
      return this.#sayInParts(request, again)
    }
    if (request.type === 'register') this.master.tell('register_agent', request.body)
    else this.master.tell('reregister_agent', request.body)
    again()
  }

  /** It is tried again when all was said, or when something of it could not be. */
  async #sayInParts(
    { parts, body }: Reregistration,
    again: (leastMs?: number) => void,
  ): Promise<void> {
    const number = this.#number
    for (const part of parts) {
      const taken = await this.#isTaken(part)
      if (number !== this.#number || this.state !== 'DISCONNECTED') return
      if (!taken) return again()
    }
    this.master.tell('reregister_agent', body)
    again(PARTS_RETRY_MS)
  }

  async #isTaken(part: ReregisterPart): Promise<boolean> {
    try {
      const answer = await this.master.ask('reregister_part', part, { timeoutMs: PART_LIMIT_MS })
      return answer.taken
    } catch (error) {
      if (error instanceof AskError) return false
      throw error
    }
  }

  #report(): void {
    const { context } = this.#o
    const master = this.#address
    const waitedMs = context.clock.now() - this.#firstAttemptAtMs
    if (this.#lastError === 'no answer' && waitedMs < PATIENCE_MS) return
    this.#complain(() =>
      context.log.warn(
        { master, attempts: this.#attempts, error: this.#lastError },
        `master ${master} does not answer; still trying`,
      ),
    )
  }

  /** Pings come regularly; a longer silence means that the master lost us, or we it. */
  #watch(): void {
    this.#silence?.cancel()
    if (this.state !== 'RUNNING') return
    this.#silence = this.#o.context.delay(this.#silenceMs, () =>
      this.lose(`no ping from the master for ${this.#silenceMs / 1000} s`),
    )
  }
}

function port(address: Address): string {
  return address.slice(address.lastIndexOf(':') + 1)
}
