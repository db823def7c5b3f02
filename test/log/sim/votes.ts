// What one acceptor has said, in the order in which it was asked, and whether it may say that: for as long as it has its
// disk, whatever crashes there were. "Paxos Made Simple" 2.2: it takes no request below what it has promised, and tells
// of the highest that it has accepted.

import type { Position, Proposal } from '../../../src/messages/log.ts'

export type Said =
  /** Promised for all positions of which it holds nothing; `end` is the last of which it does. */
  | { readonly type: 'implicit'; readonly proposal: Proposal; readonly end: Position }
  | {
      readonly type: 'explicit'
      readonly proposal: Proposal
      readonly position: Position
      /** What it says that it has accepted there. */
      readonly accepted: { readonly proposal: Proposal; readonly name: string } | undefined
      /** It says that the value is chosen: then there is nothing to promise. */
      readonly isLearned: boolean
    }
  | {
      readonly type: 'vote'
      readonly proposal: Proposal
      readonly position: Position
      readonly names: readonly string[]
    }

/** A request, and what it was answered with: absent if it never was, or if it was refused. */
export interface Asked {
  said?: Said
}

/** Returns what it must not have said. */
export function breaches(asked: readonly Asked[]): string[] {
  const found: string[] = []
  const promised = new Map<Position, Proposal>()
  const votes = new Map<Position, { readonly proposal: Proposal; readonly name: string }>()
  /** The implicit promises, each above the one before. */
  const implicit: { readonly proposal: Proposal; readonly end: Position }[] = []
  let lastVoted = -1
  const boundAt = (position: Position): Proposal => {
    let bound = promised.get(position) ?? 0
    for (const { proposal, end } of implicit) if (position > end) bound = Math.max(bound, proposal)
    return bound
  }
  for (const { said } of asked) {
    if (!said) continue
    const { proposal } = said
    switch (said.type) {
      case 'implicit': {
        const before = implicit.at(-1)?.proposal ?? 0
        if (proposal <= before) found.push(`promised ${proposal} to a candidate after ${before}`)
        if (said.end < lastVoted) {
          found.push(
            `promised ${proposal} with ${said.end} as its last, having voted at ${lastVoted}`,
          )
        }
        implicit.push({ proposal, end: said.end })
        break
      }
      case 'explicit': {
        const { position, accepted, isLearned } = said
        if (isLearned) break
        const bound = boundAt(position)
        if (proposal <= bound) {
          found.push(`promised ${proposal} at ${position} after ${bound}`)
        }
        const vote = votes.get(position)
        if (vote && !(accepted && accepted.proposal >= vote.proposal)) {
          const told = accepted ? `${accepted.proposal}` : 'nothing'
          found.push(`told of ${told} at ${position}, having voted under ${vote.proposal}`)
        }
        if (vote && accepted?.proposal === vote.proposal && accepted.name !== vote.name) {
          found.push(`told of ${accepted.name} at ${position}, having voted for ${vote.name}`)
        }
        promised.set(position, Math.max(proposal, bound))
        break
      }
      case 'vote':
        for (const [i, name] of said.names.entries()) {
          const position = said.position + i
          const bound = boundAt(position)
          if (proposal < bound) {
            found.push(
              `voted for ${name} at ${position} under ${proposal}, having promised ${bound}`,
            )
          }
          const vote = votes.get(position)
          if (vote?.proposal === proposal && vote.name !== name) {
            found.push(`voted twice at ${position} under ${proposal}: ${vote.name} and ${name}`)
          }
          if (!vote || vote.proposal < proposal) votes.set(position, { proposal, name })
          promised.set(position, Math.max(proposal, bound))
          lastVoted = Math.max(lastVoted, position)
        }
        break
    }
  }
  return found
}
