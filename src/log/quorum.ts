// How many make a quorum. A leaf: no imports, no state.

/** The smallest number of members such that any two sets of that size share a member. `members` ≥ 1. */
export function majorityOf(members: number): number {
  return Math.floor(members / 2) + 1
}

/**
 * How many replicas an ensemble with this quorum has, where no list says it, as Mesos derives it: `2 · quorum − 1`.
 */
export function ensembleOf(quorum: number): number {
  return 2 * quorum - 1
}

/**
 * Whether any two quorums among `members` must meet. Where they need not, two coordinators can be elected at
 * once and acknowledged entries are lost.
 */
export function isSafeQuorum(quorum: number, members: number): boolean {
  return Number.isInteger(quorum) && quorum >= 1 && 2 * quorum > members
}
