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
  readonly value: Value
  /** Its position once it is chosen and learned; undefined if leadership was lost, and the outcome is unknown. */
  readonly done: Deferred<Position | undefined>
  /** Of a change of members: see `changeMembers`. */
  readonly settled?: (below: Position) => Promise<boolean>
}

/** So many requests may be on their way at a time; what comes meanwhile goes into the next one together. */
const MOST_REQUESTS = 8
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
  /** Requests on their way, in order of position. */
  #inFlight: Flight[] = []
  /** The change of members that is under way: nothing else is then. */
  #changing: Writing | undefined

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
    const proposal = this.#proposal

    const outcome = await claim(this.#host, proposal, 0, stopped)
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
    this.#queue = []
    this.#changing = undefined
    for (const { done } of given) done.resolve(undefined)
  }

  // Writing

  /** Appends a record. Resolves with its position; with undefined if not elected, or if that was lost on the way. */
  append(bytes: Uint8Array): Promise<Position | undefined> {
    return this.#enqueue(appendOf(bytes))
  }

  /** Gives up all positions below `to`. Resolves like `append`, with the position at which that is written. */
  truncate(to: Position): Promise<Position | undefined> {
    return this.#enqueue({ type: 'TRUNCATE', to })
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
    return this.#enqueue({ type: 'MEMBERS', membership }, settled)
  }

  #enqueue(value: Value, settled?: Writing['settled']): Promise<Position | undefined> {
    if (this.#state !== 'elected' && this.#state !== 'writing') return Promise.resolve(undefined)
    const done = deferred<Position | undefined>()
    this.#queue.push({ value, done, ...(settled && { settled }) })
    this.#pump()
    return done.promise
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#inFlight.length < MOST_REQUESTS && !this.#changing) {
      this.#state = 'writing'
      if (this.#queue[0]!.settled) {
        if (this.#inFlight.length === 0) void this.#change(this.#queue.shift()!)
        return
      }
      const writings = this.#take()
      this.#send(writings)
    }
  }

  #send(writings: readonly Writing[]): void {
    const values = writings.map(({ value }) => value)
    const request = { proposal: this.#proposal, position: this.#next, values }
    this.#next += values.length
    const flight = { writings, request, learned: false }
    this.#inFlight.push(flight)
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
    writing.done.resolve(undefined)
    this.#rest()
    this.#pump()
  }

  /** From the queue what goes into the next request: one at least. */
  #take(): Writing[] {
    let count = 0
    let bytes = 0
    for (const { value, settled } of this.#queue) {
      if (count === MOST_POSITIONS || bytes >= REQUEST_BYTES || settled) break
      count++
      bytes += value.type === 'APPEND' ? value.bytes.length : 0
    }
    return this.#queue.splice(0, count)
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
    await learnWritten(this.#host, request)
    if (stopped()) return
    flight.learned = true
    const { value } = flight.writings[0]!
    if (value.type === 'MEMBERS') {
      this.#changing = undefined
      // Learning it has told the network.
      assert(this.#host.network.version >= value.membership.version, 'the new members are asked')
    }
    this.#land()
    this.#pump()
  }

  /** Reports writes in order: who is told that one succeeded knows that all before it did. */
  #land(): void {
    while (this.#inFlight[0]?.learned) {
      const { writings, request } = this.#inFlight.shift()!
      for (const [i, { done }] of writings.entries()) done.resolve(request.position + i)
    }
    this.#rest()
  }

  #rest(): void {
    if (this.#inFlight.length === 0 && !this.#changing) this.#state = 'elected'
  }
}
