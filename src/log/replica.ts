// One replica: acceptor and learner, an actor around the decisions of acceptor.ts. Id: `log-replica(1)`.
//
// How a request can go wrong, in three ways: it is *rejected* when a higher proposal was promised, *ignored* when this
// replica does not vote, and *not answered at all* when the disk fails: then the actor ends, and with it the replica's part
// in the ensemble, until a restart reads what the disk really holds.

import { Actor } from '../actors/actor.ts'
import { type Address, addressOf, type Pid, pid } from '../actors/pid.ts'
import { protocol, type Served, serve } from '../actors/protocol.ts'
import { onceAWhile } from '../base/log.ts'
import {
  type Action,
  type Chosen,
  type ChosenMembership,
  type LearnedAction,
  LogReplica,
  type Position,
  type PromiseRequest,
  type PromiseResponse,
  type RecoverResponse,
  type ReplicaStatus,
  type SettledResponse,
  type WriteRequest,
  type WriteResponse,
} from '../messages/log.ts'
import type { Acceptor, PromiseDecision } from './acceptor.ts'
import { learnedAction } from './actions.ts'
import { Backlog } from './backlog.ts'
import { copyFrom } from './catchup.ts'
import { Inquiry } from './inquiry.ts'
import { learnedFrom } from './learned.ts'
import { LocalReplica, type ReadResult } from './local.ts'
import type { Members } from './members.ts'
import { REPLICA_ID, type ReplicaRef } from './network.ts'
import type { ReplicaRecord, Storage } from './storage.ts'
import { Values } from './values.ts'

/**
 * What is noted goes to disk with the next promise or vote, or, if there is none, after this long: someone who looks at the
 * files of an idle log sees what is learned, and the last vote is sealed.
 */
const FLUSH_NOTES_MS = 100

/** What is said to be chosen in one order may be heard in another; what has not come so much later is asked for. */
const OVERTAKEN_MS = 100
const COMPLAINT_MS = 30_000

/** The same conversation for an ensemble of one: refused at the door if it comes from another process. */
const LogReplicaAlone = protocol('log.replica', LogReplica.entries, { local: true })

export interface ReplicaOptions {
  /** Holds what `storage` has on disk. */
  readonly acceptor: Acceptor
  /** Opened; the replica's until it ends. */
  readonly storage: Storage
  /** The log's actor in this process. */
  readonly owner: Pid
  /**
   * The processes of the ensemble beside this one. Whoever else asks for a promise could depose the writer, and is
   * ignored.
   */
  readonly members: Members
}

export class Replica extends Actor {
  override readonly idPrefix = 'log-replica'
  readonly #acceptor: Acceptor
  readonly #storage: Storage
  readonly #owner: Pid
  readonly #members: Members
  readonly #values: Values
  readonly #backlog: Backlog
  readonly #complain = onceAWhile(() => this.clock.now(), COMPLAINT_MS)
  #flushing = false
  #fetching = false
  #fetchDue = false
  readonly #inquiry: Inquiry
  /** Is being caught up, to become a member. */
  #guest: Address | undefined
  readonly serves: readonly Served[]

  constructor({ acceptor, storage, owner, members }: ReplicaOptions) {
    super()
    this.#acceptor = acceptor
    this.#storage = storage
    this.#owner = owner
    this.#members = members
    const [log, others, nowMs] = [() => this.log, () => this.#others, () => this.clock.now()]
    const sleep = (ms: number) => new Promise<void>(resolve => this.delay(ms, resolve))
    this.#backlog = new Backlog({ storage, log, nowMs })
    this.#values = new Values({ storage, log, others, sleep })
    this.#inquiry = new Inquiry({
      ...{ id: () => storage.id, nowMs, others },
      adopt: membership => this.#adopt(membership),
      isCopy: other => this.#isCopy(other),
    })
    this.serves = this.#conversations()
  }

  #conversations(): readonly Served[] {
    return [
      // Alone, there is nobody out there to speak to: not even who says that they are this process is heard.
      serve(this.#members.kind === 'alone' ? LogReplicaAlone : LogReplica, {
        promise: (request, from) =>
          this.#isMember(from) ? this.#promise(request) : { type: 'ignored' },
        write: (request, from) =>
          this.#isMember(from)
            ? this.#write(request)
            : { type: 'ignored', position: request.position },
        learned: ({ action }, from) => {
          if (this.#isMember(from) && !this.#backlog.isFull()) this.#learned([action])
        },
        chosen: (chosen, from) => this.#chosen(chosen, from),
        fetch: (request, from) =>
          this.#isGuest(from) || this.#isMember(from) ? this.#fetch(request.from) : { actions: [] },
        // To an outsider as if it did not vote, which is never a reason to do anything.
        recover: (_, from) => (this.#isMember(from) ? this.#recover() : { status: 'RECOVERING' }),
        settled: ({ below }, from) => this.#settled(below, from),
      }),
      serve(LocalReplica, {
        state: () => ({
          ...this.#acceptor.metadata,
          begin: this.#acceptor.begin,
          end: this.#acceptor.end,
          learnedBelow: this.#acceptor.learnedBelow,
          membership: this.#acceptor.membership,
          replica: this.#storage.id,
        }),
        missing: ({ from, to, limit }) => this.#acceptor.missing(from, to, limit),
        learn: ({ actions }) => this.#learnedInTime(actions),
        adopt: ({ membership }) => this.#adopt(membership),
        settleIn: ({ home }) => {
          // It is on disk before the next vote or promise is, which is soon enough.
          this.#storage.note(this.#acceptor.settleIn(home))
          return {}
        },
        welcome: ({ guest }) => {
          this.#guest = guest
          return {}
        },
        chosen: chosen => ({ missing: this.#takeChosen(chosen) }),
        become: ({ status, promised }) => this.#become(status, promised),
        read: ({ from, to }) => this.#read(from, to),
      }),
    ]
  }

  protected override initialize(): void {
    // Ends of truncated segments that a crash left.
    this.#truncate()
    this.#flushSoon()
    this.#members.follow(() => this.dispatch(() => this.#inquiry.make()))
    this.#inquiry.make()
  }

  #isGuest(from: Pid): boolean {
    return this.#guest !== undefined && addressOf(from) === this.#guest
  }

  #isMember(from: Pid): boolean {
    const address = addressOf(from)
    // Of this process there is one who may ask.
    if (address === addressOf(this.self) ? from === this.#owner : this.#members.has(address))
      return true
    this.#inquiry.make()
    this.#complain(repeats =>
      this.log.warn(
        { from, ...repeats },
        'someone outside the ensemble spoke to the replica, and is ignored',
      ),
    )
    return false
  }

  // Persist BEFORE reply. The decision has changed the state in memory already; another that is made meanwhile builds on
  // it, and is on disk not before this one, because a storage keeps the order.

  async #promise(request: PromiseRequest): Promise<PromiseResponse> {
    const { response, persist } = this.#acceptor.promise(request)
    const action = this.#actionOf(response)
    await this.#persist(persist)
    if (response.type !== 'accept') return response
    const { type, proposal, position } = response
    if (request.position !== undefined)
      return { type, proposal, position, ...(action && { action: await action }) }
    const { membership, changeAt } = this.#acceptor
    return {
      ...{ type, proposal, position },
      ...(membership && { membership }),
      ...(changeAt !== undefined && { changeAt }),
    }
  }

  async #write(request: WriteRequest): Promise<WriteResponse> {
    if (this.#backlog.isFull()) return { type: 'ignored', position: request.position, busy: true }
    if (this.#acceptor.metadata.status === 'EMPTY')
      return { type: 'ignored', position: request.position, empty: this.#storage.id }
    const { response, persist } = this.#acceptor.write(request)
    await this.#persist(persist)
    return response
  }

  async #become(status: ReplicaStatus, promised = 0): Promise<object> {
    const records = this.#acceptor.become(status, promised)
    await this.#persist(records)
    // Only now: a replica that votes before it is on disk that it may would be EMPTY again after a crash.
    for (const record of records) this.#acceptor.apply(record)
    this.log.info({ status }, 'the replica has a new status')
    return {}
  }

  async #adopt(membership: ChosenMembership): Promise<object> {
    await this.#persist(this.#acceptor.adopt(membership))
    this.#tellMembers()
    return {}
  }

  /** What is learned below a position is on disk; or else it is asked for. */
  async #settled(below: Position, from: Pid): Promise<SettledResponse> {
    const { learnedBelow, metadata } = this.#acceptor
    const answer = { learnedBelow, status: metadata.status, replica: this.#storage.id }
    if (!this.#isMember(from)) return { ...answer, settled: false }
    if (learnedBelow >= below) {
      await this.#io(this.#storage.seal())
      return { ...answer, settled: true }
    }
    // Not awaited: whoever asks asks again.
    void this.#fetchFrom(pid(REPLICA_ID, addressOf(from)), below - 1)
    return { ...answer, settled: false }
  }

  #learned(actions: readonly LearnedAction[]): void {
    const begin = this.#acceptor.begin
    this.#note(
      actions.flatMap(action => this.#acceptor.learned(action)),
      begin,
    )
  }

  /** Waits for the disk if that is behind: whoever brings this can wait, and so brings no more than it can take. */
  async #learnedInTime(actions: readonly LearnedAction[]) {
    if (this.#backlog.isFull()) await this.#io(this.#storage.persist([]))
    this.#learned(actions)
    return { begin: this.#acceptor.begin, learnedBelow: this.#acceptor.learnedBelow }
  }

  #chosen(chosen: Chosen, from: Pid): Promise<void> | void {
    if (!this.#isMember(from)) return
    if ((chosen.membership ?? 0) > this.#members.version) this.#inquiry.make()
    const missing = this.#takeChosen(chosen)
    const other = pid(REPLICA_ID, addressOf(from))
    if (missing) return this.#fetchFrom(other, chosen.to)
    // There is a hole before it: of one that was overtaken by another the news may still come.
    if (this.#acceptor.learnedBelow <= chosen.to && !this.#fetchDue) {
      this.#fetchDue = true
      this.delay(OVERTAKEN_MS, () => {
        this.#fetchDue = false
        return this.#fetchFrom(other, chosen.to)
      })
    }
  }

  /** Whether something in the range is not learned then. */
  #takeChosen(chosen: Chosen): boolean {
    const begin = this.#acceptor.begin
    const { records, missing } = this.#acceptor.chosen(chosen)
    this.#note(records, begin)
    return missing
  }

  /** Not waited for: a value that is forgotten in a crash is still chosen, and is learned again. */
  #note(records: readonly ReplicaRecord[], beganAt: Position): void {
    if (records.length === 0) return
    this.#storage.note(records)
    this.#flushSoon()
    this.#tellMembers()
    if (this.#acceptor.begin > beganAt) this.#truncate()
  }

  /** One directory is a copy of the other, and knows nothing of what that one has promised since. */
  #isCopy(other: Pid): void {
    this.log.error(
      { other },
      'the replica at this other address has the same id: one directory is a copy of the other, and the log would take their votes for two. Start this one with an empty directory; it recovers from the others',
    )
    this.terminate()
  }

  /** Whoever speaks to the members shall speak to those that the log has chosen. */
  #tellMembers(): void {
    const { membership } = this.#acceptor
    if (membership) this.#members.adopt(membership)
  }

  /** Learns what it has missed, from a replica that has it, up to a position. One such talk at a time is enough. */
  async #fetchFrom(other: Pid, to: Position): Promise<void> {
    if (this.#acceptor.learnedBelow > to) return
    if (this.#fetching || addressOf(other) === addressOf(this.self)) return
    this.#fetching = true
    const learn = async (all: LearnedAction[]) => (await this.#learnedInTime(all)).learnedBelow
    await copyFrom(this.ref(LogReplica, other), to, this.#acceptor.learnedBelow, learn)
    this.#fetching = false
  }

  async #fetch(from: Position): Promise<{ actions: LearnedAction[] }> {
    return { actions: await this.#io(learnedFrom(this.#acceptor, this.#values, from)) }
  }

  #recover(): RecoverResponse {
    const { metadata, begin, end, membership } = this.#acceptor
    return metadata.status === 'VOTING'
      ? {
          status: 'VOTING',
          begin,
          end,
          replica: this.#storage.id,
          ...(membership && { membership }),
        }
      : { status: metadata.status }
  }

  async #read(from: Position, to: Position): Promise<ReadResult> {
    const reason = this.#badRange(from, to)
    if (reason !== undefined) return { type: 'bad range', reason }
    return this.#io(this.#values.entries(from, to))
  }

  #badRange(from: Position, to: Position): string | undefined {
    const { begin, end } = this.#acceptor
    if (to < from) return `Bad read range (to < from): ${from} to ${to}`
    if (from < begin)
      return `Bad read range (truncated position): ${from}, the log begins at ${begin}`
    if (to > end) return `Bad read range (past end of log): ${to}, the log ends at ${end}`
    for (let p = Math.max(from, this.#acceptor.learnedBelow); p <= to; p++) {
      if (!this.#acceptor.isLearned(p)) return `The position ${p} is not learned yet`
    }
    return undefined
  }

  // Disk

  /** The action that a promise answers with; asked for in the turn of the decision, since a write may follow. */
  #actionOf(decision: PromiseDecision): Promise<Action> | undefined {
    if (decision.type !== 'accept') return undefined
    const { position, held, isLearned } = decision
    if (isLearned)
      return this.#io(this.#values.chosen(position)).then(w => learnedAction(position, w))
    if (!held) return undefined
    const { promised, performed } = held
    if (!performed) return Promise.resolve({ position, promised })
    const { value } = performed
    return value.type === 'APPEND'
      ? this.#io(this.#values.accepted(position, this.#acceptor.metadata.promised)).then(w => ({
          position,
          promised,
          performed: { ...performed, value: w.value },
        }))
      : Promise.resolve({ position, promised, performed: { ...performed, value } })
  }

  get #others(): readonly ReplicaRef[] {
    const others = this.#members.addresses.filter(member => member !== addressOf(this.self))
    return others.map(member => this.ref(LogReplica, pid(REPLICA_ID, member)))
  }

  async #persist(records: readonly ReplicaRecord[]): Promise<void> {
    if (records.length === 0) return
    this.#flushSoon()
    await this.#io(this.#storage.persist(records))
  }

  /** Waits for the disk. If it fails, the replica ends, and what waits for it never goes on. */
  #io<T>(work: Promise<T>): Promise<T> {
    return this.resume(work).catch((error: unknown) => {
      this.log.error({ error }, 'the disk of the log failed; this replica stops voting')
      this.terminate()
      return new Promise<never>(() => {})
    })
  }

  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    this.delay(FLUSH_NOTES_MS, () => {
      this.#flushing = false
      return this.#io(this.#storage.seal())
    })
  }

  #truncate(): void {
    void this.#io(this.#storage.truncate(this.#acceptor.begin))
  }
}
