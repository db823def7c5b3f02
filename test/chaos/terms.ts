// Who led when, as seen from outside by one clock: from acknowledgements of writes, and from who said that it leads. Pure.
//
// An acknowledgement names the master that wrote (an agent's id begins with its master's). It may arrive late: sent by a
// leader that was lawful, it lay in a buffer while the next one began. So what is acknowledged is judged by the log
// (verify.ts), where every entry names its master. What is judged here is who answers *questions*: to one that was asked
// after another leader's first acknowledgement had arrived no earlier leader may answer as one that leads.

export interface Term {
  readonly masterId: string
  readonly address: string
  /** Which process at that address, counted from its first start. */
  readonly incarnation: number
  /** When its first acknowledgement came in. */
  readonly firstMs: number
}

/** A master answered, as one that leads, a question that was asked at `askedMs`. */
export interface Claim {
  readonly address: string
  readonly incarnation: number
  readonly askedMs: number
}

export class Terms {
  readonly #terms: Term[] = []
  readonly #claims: Claim[] = []

  get all(): readonly Term[] {
    return this.#terms
  }

  get current(): Term | undefined {
    return this.#terms.at(-1)
  }

  /** Returns the term that begins with this acknowledgement, if one does. */
  acknowledged(by: Omit<Term, 'firstMs'>, atMs: number): Term | undefined {
    if (this.#terms.some(term => term.masterId === by.masterId)) return undefined
    const term = { ...by, firstMs: atMs }
    this.#terms.push(term)
    return term
  }

  claimed(claim: Claim): void {
    this.#claims.push(claim)
  }

  /** Claims of those who had been followed by another one. */
  problems(): string[] {
    return this.#claims.flatMap(claim => {
      const last = this.#terms.findLastIndex(term => term.firstMs < claim.askedMs)
      if (last < 0) return []
      const isItself = (term: Term | undefined): boolean =>
        term?.address === claim.address && term.incarnation === claim.incarnation
      // It may have been elected already, with its first acknowledgement still on the way; not if it led before, since who
      // has led ends.
      const own = this.#terms.findIndex(isItself)
      if (own < 0 || own >= last) return []
      const next = this.#terms[own + 1]!
      const lateMs = Math.round(claim.askedMs - next.firstMs)
      return [
        `${claim.address} (process ${claim.incarnation}) answered as the leader to a question asked ${lateMs} ms after ${next.address} had acknowledged its first write`,
      ]
    })
  }
}
