// The one who writes: gets elected by a quorum, completes what others left half done, and then appends.
//
//   INITIAL ──elect──▶ ELECTING ──▶ ELECTED ⇄ WRITING
//      ▲                  │            │         │
//      └──── rejected, no quorum, or demote() ───┘
//
// Election: a proposal above all that this process knows of; an implicit promise of a quorum for it; then every position up
// to the highest that any of the quorum has seen is filled, with explicit promises at the proposal plus one (the
// proposal itself is granted once, and was). From then on the promise holds for all positions behind, so that an append is
// one round: write, and tell.
//
// Not an actor, but part of one: what it awaits comes back as turns of its owner. After each wait the term is compared; a
// coordinator that was demoted meanwhile does nothing more.

import { assert } from '../base/assert.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import {
  type ChosenMembership,
  type Membership,
  MOST_POSITIONS,
  type Position,
  type Proposal,
  type Value,
  type WriteRequest,
} from '../messages/log.ts'
import { claim } from './claim.ts'
import { type Host, learnWritten, writePhase } from './consensus.ts'
import { proposalAbove } from './proposer.ts'
import { appendOf } from './storage.ts'

/**
 * - `initial`: nobody asked for an election, or the last one was lost.
 * - `electing`: waits for promises, or fills positions.
 * - `elected`: may write; writes nothing.
 * - `writing`: elected, with writes on their way.
 */
export type CoordinatorState = 'initial' | 'electing' | 'elected' | 'writing'

/**
 * - `elected`: `position` is the log's last.
 * - `lost`: somebody has a higher proposal, or members have changed; the next try will be above it.
 * - `no quorum`: too few replicas that vote have answered.
 * - `demoted`: by `demote`, meanwhile.
 */
export type Election =
  | { readonly type: 'elected'; readonly position: Position }
  | { readonly type: 'lost' }
  | { readonly type: 'no quorum' }
  | { readonly type: 'demoted' }

interface Writing {
  /** Written at positions that follow each other, with one request. */
  readonly values: readonly Value[]
  /** The first's position once all are chosen and learned; undefined if leadership was lost, and the outcome is unknown. */
  readonly done: Deferred<Position | undefined>
  /** Of a change of members: see `changeMembers`. */
  readonly settled?: (below: Position) => Promise<boolean>
}

/** So many requests may be on their way at a time; what comes meanwhile goes into the next one together. */
const MOST_REQUESTS = 8
/** And so many that are chosen, but not learned here yet, because the disk of this process is behind. */
const MOST_UNLEARNED = 16
/**
 * With so many on their way a disk is never without work. One more is sent only when it is a quarter of what they are
 * together: many small requests cost more messages and syncs than few large ones, and no disk is faster for them. Where it
 * takes long until answers come, each request is that much larger than the one before, and soon all may be on their way.
 */
const ENOUGH_REQUESTS = 4
/** What goes into one request, in bytes: as soon as there are so many nothing is added. */
const REQUEST_BYTES = 256 * 1024

interface Flight {
  readonly writings: readonly Writing[]
  readonly request: WriteRequest
  learned: boolean
}

export class Coordinator {
  readonly #host: Host
  #state: CoordinatorState = 'initial'
  /** Changes with each election and each demotion. */
  #term = 0
  /** The highest proposal made or met. */
  #proposal: Proposal = 0
  /** The position of the next write. */
  #next: Position = 0
  #queue: Writing[] = []
  /** Requests that were sent and not reported yet, in order of position. */
  #inFlight: Flight[] = []
  /** Those of them of which it is not known whether they are chosen. */
  #open = 0
  /** The change of members that is under way: nothing else is then. */
  #changing: Writing | undefined
  /** Values in the queue, and in requests on their way. */
  #waiting = 0
  #flying = 0
  /** Whether `#pump` is about to be called. */
  #pumping = false

  constructor(host: Host) {
    this.#host = host
  }

  get state(): CoordinatorState {
    return this.#state
  }

  /** Tells one election from the next: what was elected under another term is not elected any more. */
  get term(): number {
    return this.#term
  }

  // Election

  async elect(): Promise<Election> {
    assert(this.#state === 'initial', 'only a coordinator in its initial state can be elected')
    this.#state = 'electing'
    const term = ++this.#term
    const stopped = (): boolean => term !== this.#term

    const { promised } = await this.#host.local.ask('state', {})
    if (stopped()) return { type: 'demoted' }
    this.#proposal = proposalAbove(this.#proposal, promised)
    let outcome = await claim(this.#host, this.#proposal, 0, stopped)
    if (!stopped() && outcome.type === 'reject') {
      // This replica may just not have been there when that was promised. A rival would have a higher one again the next
      // time; then it is for both to wait.
      this.#proposal = proposalAbove(this.#proposal, outcome.proposal)
      outcome = await claim(this.#host, this.#proposal, 0, stopped)
    }
    if (stopped() || outcome.type === 'stopped') return { type: 'demoted' }
    if (outcome.type !== 'claimed') {
      if (outcome.type === 'reject') this.#proposal = Math.max(this.#proposal, outcome.proposal)
      this.demote()
      return { type: outcome.type === 'ignored' ? 'no quorum' : 'lost' }
    }
    this.#state = 'elected'
    this.#next = outcome.position + 1
    return { type: 'elected', position: outcome.position }
  }

  /**
   * Back to the beginning: waiting writes were not made, those on their way may succeed or not. All of them resolve
   * with undefined.
   */
  demote(): void {
    this.#state = 'initial'
    this.#term++
    const given = [...this.#inFlight.flatMap(({ writings }) => writings), ...this.#queue]
    if (this.#changing) given.push(this.#changing)
    this.#inFlight = []
    this.#open = 0
    this.#flying = 0
    this.#waiting = 0
    this.#queue = []
    this.#changing = undefined
    for (const { done } of given) done.resolve(undefined)
  }

  // Writing

  /**
   * Appends records, at most `MOST_POSITIONS`, at positions that follow each other. Resolves with the first one's position;
   * with undefined if not elected, or if that was lost on the way.
   */
  append(records: readonly Uint8Array[]): Promise<Position | undefined> {
    return this.#enqueue(records.map(appendOf))
  }

  /** Gives up all positions below `to`. Resolves like `append`, with the position at which that is written. */
  truncate(to: Position): Promise<Position | undefined> {
    return this.#enqueue([{ type: 'TRUNCATE', to }])
  }

  /**
   * Changes who votes. Nothing else is under way meanwhile: what is before it is chosen by the old members, what is behind
   * it by the new ones. `settled` is asked, with the position it would have, when that is so; if it says no, nothing is
   * changed. Resolves like `append`.
   */
  changeMembers(
    membership: Membership,
    settled: (below: Position) => Promise<boolean>,
  ): Promise<Position | undefined> {
    return this.#enqueue([{ type: 'MEMBERS', membership }], settled)
  }

  #enqueue(values: readonly Value[], settled?: Writing['settled']): Promise<Position | undefined> {
    if (this.#state !== 'elected' && this.#state !== 'writing') return Promise.resolve(undefined)
    const done = deferred<Position | undefined>()
    this.#queue.push({ values, done, ...(settled && { settled }) })
    this.#waiting += values.length
    this.#pumpSoon()
    return done.promise
  }

  /** What else is asked for by now, and waits in the mailbox, goes into the same request. */
  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#host.soon(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  /** Whether the next request is to be sent now. When one lands that is asked again, so nothing waits for ever. */
  #isTime(): boolean {
    const requests = this.#open
    if (this.#queue.length === 0 || this.#changing || requests >= MOST_REQUESTS) return false
    if (this.#inFlight.length >= MOST_UNLEARNED) return false
    return requests < ENOUGH_REQUESTS || this.#waiting * ENOUGH_REQUESTS >= this.#flying
  }

  #pump(): void {
    while (this.#isTime()) {
      this.#state = 'writing'
      if (this.#queue[0]!.settled) {
        if (this.#inFlight.length === 0) void this.#change(this.#queue.shift()!)
        return
      }
      this.#send(this.#take())
    }
  }

  #send(writings: readonly Writing[]): void {
    const { membership } = this.#host.network
    const given = writings.flatMap(writing => writing.values)
    // No change of members is under way now: these are who votes behind a truncation.
    const values = membership ? given.map(value => behind(value, membership)) : given
    this.#waiting -= values.length
    const request = { proposal: this.#proposal, position: this.#next, values }
    this.#next += values.length
    const flight = { writings, request, learned: false }
    this.#inFlight.push(flight)
    this.#open++
    this.#flying += values.length
    this.#write(flight).catch((error: unknown) => {
      this.#host.log.error({ error }, 'the coordinator failed while writing')
      this.demote()
    })
  }

  async #change(writing: Writing): Promise<void> {
    const term = this.#term
    this.#changing = writing
    if (await writing.settled!(this.#next)) {
      if (term === this.#term) this.#send([writing])
      return
    }
    if (term !== this.#term) return
    this.#changing = undefined
    this.#waiting -= writing.values.length
    writing.done.resolve(undefined)
    this.#rest()
    this.#pumpSoon()
  }

  /** From the queue what goes into the next request: one at least. */
  #take(): Writing[] {
    let taken = 0
    let count = 0
    let bytes = 0
    for (const { values, settled } of this.#queue) {
      count += values.length
      if (settled || (taken > 0 && (count > MOST_POSITIONS || bytes >= REQUEST_BYTES))) break
      taken++
      for (const value of values) bytes += value.type === 'APPEND' ? value.bytes.length : 0
    }
    return this.#queue.splice(0, taken)
  }

  async #write(flight: Flight): Promise<void> {
    const term = this.#term
    const stopped = (): boolean => term !== this.#term
    const { request } = flight
    const outcome = await writePhase(this.#host, request, stopped)
    if (stopped()) return
    if (outcome.type !== 'accept') {
      // Rejected: another coordinator has been promised a higher proposal. Ignored: too few of those who promised still
      // vote, or a position has been learned, which only another coordinator can have brought about.
      if (outcome.type === 'reject') this.#proposal = Math.max(this.#proposal, outcome.proposal)
      this.#host.log.info(
        { position: request.position, outcome: outcome.type },
        'the coordinator has been replaced',
      )
      this.demote()
      return
    }
    this.#open--
    this.#flying -= request.values.length
    // What waits is sent in the same message as the news that this is chosen.
    this.#pump()
    await learnWritten(this.#host, request)
    if (stopped()) return
    flight.learned = true
    const value = request.values[0]!
    if (value.type === 'MEMBERS') {
      this.#changing = undefined
      // Learning it has told the network.
      assert(this.#host.network.version >= value.membership.version, 'the new members are asked')
    }
    this.#land()
    this.#pumpSoon()
  }

  /** Reports writes in order: who is told that one succeeded knows that all before it did. */
  #land(): void {
    while (this.#inFlight[0]?.learned) {
      const { writings, request } = this.#inFlight.shift()!
      let { position } = request
      for (const { values, done } of writings) {
        done.resolve(position)
        position += values.length
      }
    }
    this.#rest()
  }

  #rest(): void {
    if (this.#inFlight.length === 0 && !this.#changing) this.#state = 'elected'
  }
}

const behind = (value: Value, membership: ChosenMembership): Value =>
  value.type === 'TRUNCATE' ? { ...value, membership } : value
