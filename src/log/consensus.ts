// The phases of Paxos, run against the members of a network: promise, write, learn; and fill, which is all three.
//
// These are functions of an actor that gives them a `Host`; all that they await comes back as a turn of that actor, so
// they end with it. Each phase waits until the network has a quorum of members, asks all of them, and is over as soon as
// the collector (proposer.ts) is certain.

import { AskError, type Ref } from '../actors/protocol.ts'
import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type {
  LearnedAction,
  Position,
  PromiseRequest,
  Proposal,
  WriteRequest,
} from '../messages/log.ts'
import type { LocalReplica } from './local.ts'
import type { Network, ReplicaRef } from './network.ts'
import {
  chosen,
  type Collector,
  collectPromises,
  collectWrites,
  fillStep,
  type Outcome,
  type PromiseOutcome,
  proposalAbove,
  type WriteOutcome,
} from './proposer.ts'

/** What a proposer needs of the actor it runs inside. */
export interface Host {
  /** The members of the last membership that is known here. */
  readonly network: Network
  /** How many of them are a quorum. */
  readonly quorum: number
  /** How many replicas a new log has. */
  readonly ensemble: number
  /** The replica of this process, a member of the network. */
  readonly local: Ref<typeof LocalReplica.entries>
  readonly random: Random
  readonly log: Logger
  readonly timing: Timing
  /** Resolves in a turn of the actor, `ms` milliseconds from now. */
  sleep(ms: number): Promise<void>
  /** Runs as a turn of the actor, behind all that waits in its mailbox. */
  soon(run: () => void): void
}

export interface Timing {
  /** A member that has not answered for this long is taken to be silent. */
  readonly answerMs: number
  /** Rounds that failed are tried again after a time drawn from [retryMs, 2 · retryMs), so that rivals drift apart. */
  readonly retryMs: number
  /** The same for tries to recover. */
  readonly recoverRetryMs: number
}

export const DEFAULT_TIMING: Timing = { answerMs: 10_000, retryMs: 100, recoverRetryMs: 500 }

/** A disk that is behind is given so long, at least, before a write is sent to it once more. */
const BUSY_MS = 1_000

/** Whether to go on is asked after each wait: whoever started it may have been demoted meanwhile. */
export type Stopped = () => boolean
const never: Stopped = () => false

/** Waits before another try. */
export function backOff(host: Host, ms: number = host.timing.retryMs): Promise<void> {
  return host.sleep(ms + host.random.next() * ms)
}

/** Phase 1. Not repeated to a silent member: a proposal is granted once, and the answer may be what was lost. */
export async function promisePhase(host: Host, request: PromiseRequest): Promise<PromiseOutcome> {
  await host.network.watch(host.quorum)
  const collector = collectPromises(host.quorum, host.network.size)
  return askAll(host, collector, async member => {
    return await silenced(member.ask('promise', request, { timeoutMs: host.timing.answerMs }))
  })
}

/** Who has just been added votes as soon as it has heard of it. */
const JOINING_MS = 10

/**
 * Phase 2. Repeated until there is an outcome to silent members, to those whose disk is behind, and to one that has just been
 * added, and does not vote yet: the same write under the same proposal is the same vote. So who is busy counts as one who may
 * still answer: beside a quorum of others he is not needed, and without one his disk is waited for. Ends as `ignored` when
 * stopped.
 */
export async function writePhase(
  host: Host,
  request: WriteRequest,
  stopped: Stopped = never,
): Promise<WriteOutcome> {
  await host.network.watch(host.quorum)
  const collector = collectWrites(host.quorum, host.network.size)
  return askAll(host, collector, async (member, done) => {
    for (;;) {
      const answer = await silenced(
        member.ask('write', request, { timeoutMs: host.timing.answerMs }),
      )
      const isIgnored = answer?.type === 'ignored'
      const isBusy = isIgnored && answer.busy === true
      const isJoining = isIgnored && answer.empty === true && host.network.hasJoined(member.pid)
      if ((answer && !isBusy && !isJoining) || done() || stopped()) return answer
      await backOff(host, isBusy ? BUSY_MS : isJoining ? JOINING_MS : undefined)
      if (done() || stopped()) return undefined
    }
  })
}

/** Phase 3. Resolves, with where the log now begins, when the local replica has learned; the others are only told. */
export async function learnPhase(host: Host, action: LearnedAction): Promise<Position> {
  host.network.broadcast('learned', { action }, host.local.pid)
  const { begin } = await host.local.ask('learn', { actions: [action] })
  return begin
}

/** The same for values that were written with one request: who accepted them need not be sent them once more. */
export async function learnWritten(
  host: Host,
  { proposal, position, values }: WriteRequest,
): Promise<void> {
  const membership = host.network.version
  const to = position + values.length - 1
  const range = { proposal, from: position, to, ...(membership > 0 && { membership }) }
  host.network.broadcast('chosen', range, host.local.pid)
  const { missing } = await host.local.ask('chosen', range)
  if (!missing) return
  const actions = values.map((value, i) => chosen(position + i, proposal, value))
  await host.local.ask('learn', { actions })
}

/**
 * Makes sure that a value is chosen at `position`, and learns it: one that may be chosen already if there is any, else NOP.
 * Tries with ever higher proposals, the first being `proposal`, until it succeeds or is stopped. Returns where the log now
 * begins; undefined when stopped.
 */
export async function fill(
  host: Host,
  position: Position,
  proposal: Proposal,
  stopped: Stopped = never,
): Promise<Position | undefined> {
  for (let current = proposal; !stopped(); await backOff(host)) {
    const promised = await promisePhase(host, { proposal: current, position })
    if (stopped()) return undefined
    const step = fillStep(promised, current)
    switch (step.type) {
      case 'learn':
        return learnPhase(host, step.action)
      case 'retry':
        current = proposalAbove(step.above)
        break
      case 'write': {
        const written = await writePhase(
          host,
          { proposal: current, position, values: [step.value] },
          stopped,
        )
        if (stopped()) return undefined
        if (written.type === 'accept')
          return learnPhase(host, chosen(position, current, step.value))
        current = proposalAbove(current, written.type === 'reject' ? written.proposal : 0)
        break
      }
    }
    host.log.debug({ position, proposal: current }, 'filling a position is tried again')
  }
  return undefined
}

/** Asks every member at once; resolves with the outcome as soon as the answers leave no other. */
function askAll<
  R extends { type: 'accept' } | { type: 'reject'; proposal: Proposal } | { type: 'ignored' },
  A,
>(
  host: Host,
  collector: Collector<R, A>,
  ask: (member: ReplicaRef, done: () => boolean) => Promise<R | undefined>,
): Promise<Outcome<A>> {
  return new Promise((resolve, reject) => {
    let done = false
    for (const member of host.network.members) {
      ask(member, () => done).then(answer => {
        const outcome = done ? undefined : collector.add(member.pid, answer)
        if (!outcome) return
        done = true
        resolve(outcome)
      }, reject)
    }
  })
}

/** An answer that will not come is no error here: too many of them and the phase has no quorum. */
export async function silenced<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof AskError) return undefined
    throw error
  }
}
