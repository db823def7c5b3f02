// How a replica comes to vote. Until then it answers `ignored`, for it may have forgotten what it promised.
//
// A.  Ask every replica, itself included, for its status.
// B1. A quorum votes: become RECOVERING, fence, catch up with all positions that they know, become VOTING.
// B2. EMPTY, and all replicas of the ensemble are EMPTY or STARTING: become STARTING.
// B3. STARTING, and all of them are STARTING or VOTING, or one votes: become VOTING.
// C.  Otherwise, wait a while and go to A.
//
// B2 and B3 initialise a new ensemble by itself, and can be forbidden (`autoInitialize`). Two steps, because with one a
// replica that is still EMPTY would have to start to vote beside others that vote already (having seen it EMPTY a moment
// before them); and so would one that had voted and lost its disk. Two such of three have forgotten an entry that was
// chosen with them. STARTING tells the two apart: beside a voter, EMPTY can only mean lost, while STARTING was reached
// when nobody else voted, so nothing that was chosen is forgotten with it. It needs no fence then, and one voter is
// enough for it to vote too: that one has seen that all are STARTING. (In Mesos it waits to see them all itself, or
// recovers, which would cost a coordinator its election that was elected a moment before.)
//
// The fence: this replica's votes may be lost, with entries that were chosen by them while the other voters have not
// seen them yet. It asks a quorum of those who vote for an implicit promise. After that no write of an older proposal can
// be chosen with them, so what they know then is all there is to catch up with; and having promised the same itself, this
// replica is bound at least as it was before. (Mesos has no such step. It costs the present coordinator its election.)
//
// Before the fence it waits until nobody counts an answer any more that it gave before the loss. Otherwise a candidate
// that holds its lost promise, and gets the others it needs only behind the fence, would be elected with a promise that
// this replica does not keep. It would write under its proposal, and another, elected with this replica under a lower one,
// would too. A promise is counted for `answerMs` after it was asked for (consensus.ts), by the candidate's clock; a write
// may be counted for longer, but the candidate has its promises by then, and the fence meets one of those who gave them.

import type { ChosenMembership, Position, RecoverResponse, ReplicaStatus } from '../messages/log.ts'
import { copy } from './catchup.ts'
import { claim } from './claim.ts'
import { backOff, type Host, silenced } from './consensus.ts'
import { proposalAbove } from './proposer.ts'

export type RecoverStep =
  | { readonly type: 'catch up'; readonly begin: Position }
  | { readonly type: 'become'; readonly status: 'STARTING' | 'VOTING' }

/** Counts the answers to A until one of B1, B2, B3 is due. Pure. */
export class RecoverCollector {
  readonly #status: ReplicaStatus
  readonly #quorum: number
  readonly #all: number
  readonly #autoInitialize: boolean
  readonly #heard = new Set<string>()
  readonly #count: Record<ReplicaStatus, number> = {
    VOTING: 0,
    RECOVERING: 0,
    STARTING: 0,
    EMPTY: 0,
  }
  #begin: Position | undefined

  /** `status` of the replica that wants to recover; `all`: how many there are. */
  constructor(status: ReplicaStatus, quorum: number, all: number, autoInitialize: boolean) {
    this.#status = status
    this.#quorum = quorum
    this.#all = all
    this.#autoInitialize = autoInitialize
  }

  /** One member's answer; `undefined` for one that is silent. Each member counts once. */
  add(member: string, response: RecoverResponse | undefined): RecoverStep | undefined {
    if (!response || this.#heard.has(member)) return undefined
    this.#heard.add(member)
    this.#count[response.status]++
    if (response.status === 'VOTING') {
      this.#begin = Math.min(this.#begin ?? response.begin, response.begin)
    }
    const { VOTING, STARTING, EMPTY } = this.#count
    const all = this.#all
    if (this.#status === 'STARTING' && this.#autoInitialize && (VOTING > 0 || STARTING >= all))
      return { type: 'become', status: 'VOTING' }
    if (VOTING >= this.#quorum) return { type: 'catch up', begin: this.#begin! }
    if (!this.#autoInitialize) return undefined
    if (this.#status === 'EMPTY' && EMPTY + STARTING >= all)
      return { type: 'become', status: 'STARTING' }
    return undefined
  }
}

/** Brings the local replica to VOTING, however long that takes. */
export async function recover(host: Host, autoInitialize: boolean): Promise<void> {
  let warned = false
  for (;;) {
    const { status, membership, replica } = await host.local.ask('state', {})
    if (status === 'VOTING') return
    if (status === 'EMPTY' && membership?.joined?.replica === replica) {
      await join(host, membership)
      return
    }
    const { version } = host.network
    const step = await askStatus(
      host,
      new RecoverCollector(status, host.quorum, host.ensemble, autoInitialize),
    )
    if (host.network.version !== version) continue
    if (step?.type === 'become') {
      await host.local.ask('become', { status: step.status })
      continue
    }
    if (step?.type === 'catch up') {
      await catchUpAndVote(host, step.begin)
      return
    }
    if (!warned) {
      warned = true
      host.log.warn(
        { status, members: host.network.size, quorum: host.quorum },
        status === 'EMPTY' && !autoInitialize
          ? 'the replicated log has not been initialized, and may not initialize itself (autoInitialize)'
          : 'the replica waits for others, to start or to recover with them',
      )
    }
    await backOff(host, host.timing.recoverRetryMs)
  }
}

/**
 * A new member, whose replica is the one that was empty when it was added: it has no vote to forget, so it needs no fence. All
 * positions up to the one at which it was added have been chosen without it; once it has learned them it may vote behind it.
 * There may have been a member at its address before, whose promise an old coordinator holds, and counts on: so it promises
 * what those have promised who added it.
 */
async function join(host: Host, { at, proposal }: ChosenMembership): Promise<void> {
  for (;;) {
    const { learnedBelow } = await host.local.ask('state', {})
    if (learnedBelow > at) break
    await copy(host, at)
    await backOff(host)
  }
  await host.local.ask('become', { status: 'VOTING', promised: proposal })
}

/** Waits for so many times `answerMs`: clocks may run differently, by less than this. */
const CLOCKS = 1.2

async function catchUpAndVote(host: Host, begin: Position): Promise<void> {
  await host.local.ask('become', { status: 'RECOVERING' })
  await host.sleep(host.timing.answerMs * CLOCKS)
  for (let proposal = 1; ; await backOff(host)) {
    const outcome = await claim(host, proposal, begin, () => false)
    if (outcome.type === 'claimed') {
      await host.local.ask('become', { status: 'VOTING', promised: proposal })
      return
    }
    proposal = proposalAbove(proposal, outcome.type === 'reject' ? outcome.proposal : 0)
  }
}

/** Who votes may have changed since this replica has been told. */
async function adoptFrom(host: Host, answer: RecoverResponse | undefined): Promise<void> {
  const membership = answer?.status === 'VOTING' ? answer.membership : undefined
  if (membership && membership.version > host.network.version)
    await host.local.ask('adopt', { membership })
}

/** Step A. Resolves with what is due, or with undefined when all have answered, or been silent, and nothing is. */
function askStatus(host: Host, collector: RecoverCollector): Promise<RecoverStep | undefined> {
  return new Promise((resolve, reject) => {
    const { members } = host.network
    let open = members.length
    for (const member of members) {
      silenced(member.ask('recover', {}, { timeoutMs: host.timing.answerMs }))
        .then(async answer => {
          await adoptFrom(host, answer)
          const step = collector.add(member.pid, answer)
          if (step) resolve(step)
          else if (--open === 0) resolve(undefined)
        })
        // The replica of this process may end while it is told who the members are.
        .catch(reject)
    }
  })
}
