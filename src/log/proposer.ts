// The decisions of a proposer: what the answers of the replicas amount to. Pure.
//
// One collector serves both phases. It waits for a quorum of replicas that vote; of the answers in it, one rejection is
// enough to give up (somebody holds a higher promise, so a write could fail anyway), as in Mesos.

import { UserError } from '../base/errors.ts'
import {
  type Action,
  type ChosenMembership,
  type LearnedAction,
  MAX_PROPOSAL,
  type Position,
  type PromiseResponse,
  type Proposal,
  type Value,
  type WriteResponse,
} from '../messages/log.ts'

/**
 * What a round came to.
 * - `accept`: a quorum agreed.
 * - `reject`: `proposal` is the highest that is in the way; a retry needs a higher one.
 * - `ignored`: no quorum of voting replicas answered. Says nothing: a retry may do.
 */
export type Outcome<Accepted> =
  | ({ readonly type: 'accept' } & Accepted)
  | { readonly type: 'reject'; readonly proposal: Proposal }
  | { readonly type: 'ignored' }

/** Of a promise phase: the highest position any of the quorum reported, and the action that binds the proposer. */
export interface Promised {
  readonly position: Position
  /** A learned action; else the one performed under the highest proposal; absent if none was performed. */
  readonly action?: Action
  /** The latest that any of the quorum knows to be chosen. */
  readonly membership?: ChosenMembership
  /** The first position at which any of the quorum has accepted a change of members that it does not know to be chosen. */
  readonly changeAt?: Position
}
export type PromiseOutcome = Outcome<Promised>
export type WriteOutcome = Outcome<unknown>

type Response =
  | { readonly type: 'accept' }
  | { readonly type: 'reject'; readonly proposal: Proposal }
  | { readonly type: 'ignored' }

/** How a phase folds the answers that agree. `settled` may end the round before a quorum answered. */
interface Fold<R extends Response, Accepted> {
  agree(response: Extract<R, { type: 'accept' }>): void
  settled(): boolean
  result(): Accepted
}

/** Counts answers until the round's outcome is certain. Each member counts once. */
export class Collector<R extends Response, Accepted> {
  readonly #quorum: number
  readonly #asked: number
  readonly #fold: Fold<R, Accepted>
  readonly #heard = new Set<string>()
  #answers = 0
  #ignored = 0
  #highestReject: Proposal | undefined

  /** `asked`: how many members were asked, at least `quorum` if the round shall have a chance. */
  constructor(quorum: number, asked: number, fold: Fold<R, Accepted>) {
    this.#quorum = quorum
    this.#asked = asked
    this.#fold = fold
  }

  /** One member's answer; `undefined` for one that will not answer. Returns the outcome as soon as there is one. */
  add(member: string, response: R | undefined): Outcome<Accepted> | undefined {
    if (this.#heard.has(member)) return undefined
    this.#heard.add(member)
    if (response) this.#count(response)
    if (this.#fold.settled()) return { type: 'accept', ...this.#fold.result() }
    if (this.#answers >= this.#quorum) {
      return this.#highestReject === undefined
        ? { type: 'accept', ...this.#fold.result() }
        : { type: 'reject', proposal: this.#highestReject }
    }
    const silent = this.#asked - this.#heard.size
    if (this.#ignored >= this.#quorum || this.#answers + silent < this.#quorum) {
      return this.#highestReject === undefined
        ? { type: 'ignored' }
        : { type: 'reject', proposal: this.#highestReject }
    }
    return undefined
  }

  #count(response: R): void {
    switch (response.type) {
      case 'accept':
        this.#answers++
        this.#fold.agree(response as Extract<R, { type: 'accept' }>)
        return
      case 'reject':
        this.#answers++
        this.#highestReject = Math.max(this.#highestReject ?? 0, response.proposal)
        return
      case 'ignored':
        this.#ignored++
    }
  }
}

/** Collects the answers to implicit and explicit promise requests. */
export function collectPromises(
  quorum: number,
  asked: number,
): Collector<PromiseResponse, Promised> {
  let position = 0
  let action: Action | undefined
  let membership: ChosenMembership | undefined
  let changeAt: Position | undefined
  return new Collector<PromiseResponse, Promised>(quorum, asked, {
    agree(response) {
      position = Math.max(position, response.position)
      if (bindsMore(response.action, action)) action = response.action
      if ((response.membership?.version ?? 0) > (membership?.version ?? 0))
        membership = response.membership
      if (response.changeAt !== undefined)
        changeAt = Math.min(changeAt ?? response.changeAt, response.changeAt)
    },
    // What is chosen stays chosen: one replica that knows is as good as a quorum, rejections or not. Two that know may
    // name different proposals for the same value; the first will do.
    settled: () => action?.performed?.learned === true,
    result: () => ({
      position,
      ...(action && { action }),
      ...(membership && { membership }),
      ...(changeAt !== undefined && { changeAt }),
    }),
  })
}

/** Whether `candidate` binds a proposer more than what it has: P2c of "Paxos Made Simple". */
function bindsMore(candidate: Action | undefined, current: Action | undefined): boolean {
  if (!candidate?.performed) return false
  if (!current?.performed) return true
  if (current.performed.learned !== candidate.performed.learned) return candidate.performed.learned
  return candidate.performed.proposal > current.performed.proposal
}

/** Collects the answers to a write request. */
export function collectWrites(quorum: number, asked: number): Collector<WriteResponse, unknown> {
  return new Collector<WriteResponse, unknown>(quorum, asked, {
    agree() {},
    settled: () => false,
    result: () => ({}),
  })
}

/** What a proposer that fills a position does after its promise phase. */
export type FillStep =
  | { readonly type: 'learn'; readonly action: LearnedAction }
  | { readonly type: 'write'; readonly value: Value }
  | { readonly type: 'retry'; readonly above: Proposal }

/**
 * The value is free only if no member of the quorum accepted one; then it is NOP, because a hole is all that is left of
 * an append which nobody was told has succeeded.
 */
export function fillStep(outcome: PromiseOutcome, proposal: Proposal): FillStep {
  switch (outcome.type) {
    case 'accept': {
      const action = outcome.action
      if (!action?.performed) return { type: 'write', value: { type: 'NOP' } }
      const { performed } = action
      if (!performed.learned) return { type: 'write', value: performed.value }
      return { type: 'learn', action: { ...action, performed: { ...performed, learned: true } } }
    }
    case 'reject':
      return { type: 'retry', above: Math.max(outcome.proposal, proposal) }
    case 'ignored':
      // Some may have granted this proposal, which is granted once only.
      return { type: 'retry', above: proposal }
  }
}

/** The next proposal above all of these. Throws a `UserError` when there is none, for then nothing can be decided any more. */
export function proposalAbove(...proposals: readonly Proposal[]): Proposal {
  const highest = Math.max(...proposals)
  if (highest < MAX_PROPOSAL) return highest + 1
  throw new UserError(
    'data_damaged',
    `The replicated log can elect no writer any more: the proposal ${highest} was made, and none may be above ${MAX_PROPOSAL}.`,
    {
      hint: 'No number of elections leads there; some process has proposed it. Restore all replicas from a backup of before.',
    },
  )
}

/** The action that a successful write makes known. */
export function chosen(position: Position, proposal: Proposal, value: Value): LearnedAction {
  return { position, promised: proposal, performed: { proposal, learned: true, value } }
}
