// What is true of a simulated log, whoever knows it: which values have been chosen, by the votes that were given. It is told
// of every answer of every replica before anyone else is, and of everything that a replica takes for chosen.
//
// Whose votes count at a position is what the last change of members below it says, once that is chosen. Nobody else's do:
// neither of those who were removed, nor of those who are about to be added.

import type { Address } from '../../../src/actors/pid.ts'
import { majorityOf } from '../../../src/log/quorum.ts'
import type {
  LearnedAction,
  Membership,
  Position,
  Proposal,
  Value,
} from '../../../src/messages/log.ts'

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
  /** What it is, if it is a change of members. */
  readonly membership: Membership | undefined
  readonly voters: Set<Address>
}

/** Who votes behind a position. */
interface InForce {
  readonly at: Position
  readonly version: number
  readonly members: readonly Address[]
}

export class Truth {
  readonly #problem: (text: string) => void
  /** In force behind each position, in order. */
  readonly #memberships: InForce[]
  readonly #ballots = new Map<Position, Map<Proposal, Ballot>>()
  readonly #chosen = new Map<Position, string>()
  /** Where what clients wrote was chosen: each thing is written once. */
  readonly #places = new Map<string, Position>()
  #begin: Position = 0

  /** `members`: those who begin. */
  constructor(members: readonly Address[], problem: (text: string) => void) {
    this.#memberships = [{ at: -1, version: 0, members }]
    this.#problem = problem
  }

  /** Who votes behind all that is chosen. */
  get membership(): InForce {
    return this.#memberships.at(-1)!
  }

  /** Who votes at a position, as far as it is known by now. */
  membersAt(position: Position): readonly Address[] {
    return this.#memberships.findLast(({ at }) => at < position)!.members
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
  voted(
    voter: Address,
    position: Position,
    proposal: Proposal,
    name: string,
    membership?: Membership,
  ): void {
    let ballots = this.#ballots.get(position)
    if (!ballots) this.#ballots.set(position, (ballots = new Map()))
    let ballot = ballots.get(proposal)
    if (!ballot) ballots.set(proposal, (ballot = { name, membership, voters: new Set() }))
    // One proposer has a number, and it proposes one value.
    if (ballot.name !== name) {
      this.#problem(
        `two values under one proposal: ${ballot.name} and ${name} at ${position} under ${proposal}`,
      )
    }
    ballot.voters.add(voter)
    this.#count(position, { ...ballot, name })
  }

  #count(position: Position, { name, membership, voters }: Ballot): void {
    const members = this.membersAt(position)
    const votes = members.filter(member => voters.has(member)).length
    if (votes >= majorityOf(members.length)) this.#choose(position, name, membership)
  }

  #choose(position: Position, name: string, membership: Membership | undefined): void {
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
    if (membership) this.#change(position, membership)
  }

  #change(at: Position, { version, members }: Membership): void {
    const before = this.membership
    const differ =
      members.filter(member => !before.members.includes(member)).length +
      before.members.filter(member => !members.includes(member)).length
    // Any two quorums of one membership and the next must share a member, so each is a step from the one before it.
    if (at < before.at || version !== before.version + 1 || differ !== 1) {
      this.#problem(
        `the members ${members.join()} (version ${version}) are chosen at ${at}, those before them at ${before.at}: ${before.members.join()} (version ${before.version})`,
      )
    }
    this.#memberships.push({ at, version, members })
    // What is voted on there already is voted on by those who vote there now.
    for (const [position, ballots] of this.#ballots) {
      if (position <= at) continue
      for (const ballot of ballots.values()) this.#count(position, ballot)
    }
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
