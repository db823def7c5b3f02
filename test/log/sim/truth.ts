// What is true of a simulated log, whoever knows it: which values have been chosen, by the votes that were given. It is told
// of every answer of every replica before anyone else is, and of everything that a replica takes for chosen.

import type { Address } from '../../../src/actors/pid.ts'
import type { LearnedAction, Position, Proposal, Value } from '../../../src/messages/log.ts'

export function nameOf(value: Value): string {
  switch (value.type) {
    case 'APPEND':
      return new TextDecoder().decode(value.bytes)
    case 'TRUNCATE':
      return truncateName(value.to)
    case 'NOP':
      return 'NOP'
    case 'MEMBERS':
      return `MEMBERS ${JSON.stringify(value.membership)}`
  }
}

export const truncateName = (to: Position): string => `TRUNCATE ${to}`

/** That a position is truncated says nothing about its value. */
export const isTombstone = (value: Value): boolean => value.type === 'NOP' && !!value.tombstone

interface Ballot {
  readonly name: string
  readonly voters: Set<Address>
}

export class Truth {
  readonly #problem: (text: string) => void
  /** How many votes choose a value at a position: of the ensemble as it is there. */
  readonly #quorumAt: (position: Position) => number
  readonly #ballots = new Map<Position, Map<Proposal, Ballot>>()
  readonly #chosen = new Map<Position, string>()
  /** Where what clients wrote was chosen: each thing is written once. */
  readonly #places = new Map<string, Position>()
  #begin: Position = 0

  constructor(quorumAt: (position: Position) => number, problem: (text: string) => void) {
    this.#quorumAt = quorumAt
    this.#problem = problem
  }

  chosen(position: Position): string | undefined {
    return this.#chosen.get(position)
  }

  placeOf(name: string): Position | undefined {
    return this.#places.get(name)
  }

  /** Up to where a chosen TRUNCATE goes: nobody may give up more. */
  get begin(): Position {
    return this.#begin
  }

  get size(): number {
    return this.#chosen.size
  }

  /** A replica answers that it has accepted a value. */
  voted(voter: Address, position: Position, proposal: Proposal, name: string): void {
    let ballots = this.#ballots.get(position)
    if (!ballots) this.#ballots.set(position, (ballots = new Map()))
    let ballot = ballots.get(proposal)
    if (!ballot) ballots.set(proposal, (ballot = { name, voters: new Set() }))
    // One proposer has a number, and it proposes one value.
    if (ballot.name !== name) {
      this.#problem(
        `two values under one proposal: ${ballot.name} and ${name} at ${position} under ${proposal}`,
      )
    }
    ballot.voters.add(voter)
    if (ballot.voters.size >= this.#quorumAt(position)) this.#choose(position, name)
  }

  #choose(position: Position, name: string): void {
    const before = this.#chosen.get(position)
    if (before === name) return
    if (before !== undefined) {
      this.#problem(`two values chosen at ${position}: ${before}, and then ${name}`)
      return
    }
    this.#chosen.set(position, name)
    if (name === 'NOP') return
    const [, to] = /^TRUNCATE (\d+)$/.exec(name) ?? []
    if (to !== undefined) this.#begin = Math.max(this.#begin, Number(to))
    const elsewhere = this.#places.get(name)
    if (elsewhere !== undefined) {
      this.#problem(`${name} was written once, and is chosen at ${elsewhere} and at ${position}`)
    }
    this.#places.set(name, position)
  }

  /** Somebody takes it for chosen. Agreement: it is, and so nothing else ever is. */
  learned(who: string, position: Position, name: string): void {
    const chosen = this.#chosen.get(position)
    if (chosen === name) return
    this.#problem(`${who} learned ${name} at ${position}, where ${chosen ?? 'nothing'} is chosen`)
  }

  told(who: string, { position, performed }: LearnedAction): void {
    if (!isTombstone(performed.value)) this.learned(who, position, nameOf(performed.value))
  }
}
