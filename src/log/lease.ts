// Who may lead an ensemble for a while: what one member grants, and what that amounts to for the one who asks. Pure.
//
// A lease keeps two from leading at the same time; it is not what keeps the log safe, which is the log's own proposals. It
// relies on clocks that run at about the same speed, never on what they show. Gray and Cheriton, "Leases" (1989).
//
// A member grants the lease to one at a time, for `ttlMs` by its own clock from the moment it is asked. Who asks counts from
// the moment it began to ask, which is earlier, and a tenth less: it stops before anyone can grant to another. A member
// that has just started may have granted before it ended, so it grants nothing until `ttlMs` have passed; unless the one who
// asks is `sure`, having heard from all members that they do not lead.

/** What a member is asked for. */
export interface LeaseRequest {
  /** One run of one process: after a restart the same address asks as another. */
  readonly candidate: string
  /** What others are told of it while it leads. */
  readonly about: string
  readonly sure: boolean
}

/**
 * - `granted`.
 * - `held`: by another, or kept free for one who may still lead, for so long.
 * - `fresh`: as `held`, but only because this member has just started. It does not lead.
 */
export type LeaseAnswer =
  | { readonly type: 'granted' }
  | { readonly type: 'held'; readonly leftMs: number }
  | { readonly type: 'fresh'; readonly leftMs: number }

export interface Holder {
  readonly candidate: string
  readonly about: string
}

/** What one member has granted. */
export class Grants {
  readonly #ttlMs: number
  #freshUntilMs: number
  #holder: Holder | undefined
  #untilMs = 0

  constructor(ttlMs: number, nowMs: number) {
    this.#ttlMs = ttlMs
    this.#freshUntilMs = nowMs + ttlMs
  }

  /** Who leads, as far as this member knows. */
  holder(nowMs: number): Holder | undefined {
    return nowMs < this.#untilMs ? this.#holder : undefined
  }

  ask({ candidate, about, sure }: LeaseRequest, nowMs: number): LeaseAnswer {
    const holder = this.holder(nowMs)
    if (holder && holder.candidate !== candidate) {
      return { type: 'held', leftMs: this.#untilMs - nowMs }
    }
    if (!holder && nowMs < this.#freshUntilMs && !sure) {
      return { type: 'fresh', leftMs: this.#freshUntilMs - nowMs }
    }
    // Who is sure, or leads, is the only one who can: whoever was granted it before has no use for that any more.
    if (sure) this.#freshUntilMs = 0
    this.#holder = { candidate, about }
    this.#untilMs = nowMs + this.#ttlMs
    return { type: 'granted' }
  }

  /** Given back, or its process is known to be gone. False if it was not his. */
  release(candidate: string): boolean {
    if (this.#holder?.candidate !== candidate) return false
    this.#holder = undefined
    this.#untilMs = 0
    return true
  }
}

/** How long a lease is good that was asked for at `askedAtMs` and granted by a quorum. */
export const validUntil = (askedAtMs: number, ttlMs: number): number => askedAtMs + ttlMs * 0.9

/**
 * - `won`: a quorum has granted.
 * - `sure`: all members have answered, and those that did not grant have only just started: ask again, being sure.
 * - `lost`: too many hold it for another, or do not answer. `leftMs`: before that nobody who answered will change his mind.
 */
export type Candidacy =
  | { readonly type: 'won' }
  | { readonly type: 'sure' }
  | { readonly type: 'lost'; readonly leftMs: number }

/** What the answers of all members amount to; undefined for those that did not answer. */
export function candidacy(
  answers: readonly (LeaseAnswer | undefined)[],
  quorum: number,
): Candidacy {
  let granted = 0
  let fresh = 0
  let leftMs = 0
  for (const answer of answers) {
    if (answer?.type === 'granted') granted++
    else if (answer) {
      if (answer.type === 'fresh') fresh++
      leftMs = Math.max(leftMs, answer.leftMs)
    }
  }
  if (granted >= quorum) return { type: 'won' }
  if (granted + fresh === answers.length) return { type: 'sure' }
  return { type: 'lost', leftMs }
}
