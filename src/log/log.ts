// A replicated log: what was appended once is never lost while a quorum of its replicas keeps its disks, and everyone
// reads the same entries at the same positions. This file is the folder's face; docs/log.md explains it.
//
//     const log = await Log.open({ storage, quorum: 1 })     // reads the disk; says what is wrong with it
//     const pid = runtime.spawn(log, 'log(1)')
//     // inside an actor
//     const writer = new Writer(this.ref(LogService, pid))
//     const last = await writer.start()                       // undefined: somebody else writes
//     const position = await writer.append(bytes)             // undefined: somebody else has begun to write
//     const entries = await new Reader(this.ref(LogService, pid)).read(begin, position)
//
// Actors: `log(1)` (this one: recovery, coordinator) and `log-replica(1)`, which it spawns and which other processes
// speak to. When the replica's disk fails, both end; whoever is linked to the log hears of it.

import { Actor } from '../actors/actor.ts'
import { type Address, addressOf, type Pid, pid } from '../actors/pid.ts'
import { serve } from '../actors/protocol.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import { UserError } from '../base/errors.ts'
import { LogReplica, type Position } from '../messages/log.ts'
import { Acceptor } from './acceptor.ts'
import { backOff, DEFAULT_TIMING, type Host, type Timing } from './consensus.ts'
import { Coordinator } from './coordinator.ts'
import type { ChangeResult } from '../messages/log-membership.ts'
import { checkHome, type Home } from './home.ts'
import { LocalReplica, type ReadResult } from './local.ts'
import { Members } from './members.ts'
import { Network, REPLICA_ID } from './network.ts'
import { isSafeQuorum, majorityOf } from './quorum.ts'
import { type Change, reconfigure } from './reconfigure.ts'
import { recover } from './recover.ts'
import { Replica } from './replica.ts'
import { LogService } from './service.ts'
import { DamagedLogError, type Storage } from './storage.ts'

export { Election, ELECTION_ID, type ElectionOptions } from './election.ts'
export { FileStorage, type FileStorageOptions } from './file-storage.ts'
export { digestOf } from './history-check.ts'
export { initializeReplica } from './initialize.ts'
export type { Entry } from './local.ts'
export { Members } from './members.ts'
export { type LogEntry, type LogView, type ReadLogOptions, readLog, viewLog } from './read-log.ts'
export { type Fault, faultOf, type LogSurvey, type SegmentSurvey, surveyLog } from './survey.ts'
export {
  DamagedLogError,
  type Storage,
  StorageFailedError,
} from './storage.ts'

export { REPLICA_ID } from './network.ts'
export { relocate } from './relocate.ts'
export { Reader } from './reader.ts'
export { LogService } from './service.ts'
export { Writer } from './writer.ts'

const STARTS_OVER =
  'It has been put aside, into the directory "damaged" beside it; this replica votes again when it has recovered with others.'

/** No election has this term. */
const NOT_ELECTED = { term: -1 }

export interface LogOptions {
  /** Not opened yet; the log's own from now on. */
  readonly storage: Storage
  /** How many replicas must agree, if `replicas` does not say so itself: more than half of all, which it is if absent. */
  readonly quorum?: number
  /** Addresses of the processes that have a replica, this one's included. Absent: this process is alone. */
  readonly replicas?: readonly Address[] | Members
  /** The address of this process: then what is wrong with the list, or with where the log lives, is told by `open`. */
  readonly self?: Address
  /** Whether replicas that are all empty may start a new log by themselves. Default true. */
  readonly autoInitialize?: boolean
  readonly timing?: Partial<Timing>
}

export class Log extends Actor {
  override readonly idPrefix = 'log'
  /** What opening has mended. */
  readonly warnings: readonly string[]

  readonly #options: LogOptions
  readonly #acceptor: Acceptor
  readonly #members: Members
  readonly #recovered: Deferred<void> = deferred()
  readonly #closed: Deferred<void> = deferred()
  #isRecovered = false
  #isChanging = false
  #replica: Pid | undefined
  #host: Host | undefined
  #coordinator: Coordinator | undefined

  /**
   * Reads what `storage` has. Rejects with `DamagedLogError` (file, offset, what to do) or another `UserError`: a
   * quorum that is none, a directory that is missing, or in use by another process.
   */
  static async open(options: LogOptions): Promise<Log> {
    const { storage } = options
    const given = membersOf(options)
    const { quorum } = given
    const members = Math.max(1, given.addresses.length)
    const mayHaveOthers = given.isLive || members > 1
    if (!isSafeQuorum(quorum, members)) {
      throw new UserError(
        'invalid_flags',
        `A quorum of ${quorum} is not more than half of ${members} replicas.`,
        {
          hint: `With ${members} replicas a quorum is ${majorityOf(members)}.`,
        },
      )
    }
    try {
      return await Log.#open(options)
    } catch (error) {
      // Alone, what cannot be read is gone. With others, this replica can have it again from them.
      if (!(error instanceof DamagedLogError) || error.isForeign || !mayHaveOthers) throw error
      await storage.startOver()
      return await Log.#open(options, [`${error.message} ${STARTS_OVER}`])
    }
  }

  static async #open(options: LogOptions, complaints: readonly string[] = []): Promise<Log> {
    const acceptor = new Acceptor()
    const warnings = await options.storage.open(
      record => acceptor.apply(record),
      () => acceptor.snapshot(),
    )
    const { self, storage } = options
    try {
      if (self !== undefined) homeOf(self, membersOf(options), acceptor)
    } catch (error) {
      await storage.close()
      throw error
    }
    return new Log(options, acceptor, [...complaints, ...warnings.map(w => w.message)])
  }

  private constructor(options: LogOptions, acceptor: Acceptor, warnings: readonly string[]) {
    super()
    this.#options = options
    this.#members = membersOf(options)
    this.#acceptor = acceptor
    this.warnings = warnings
  }

  /** Whether the replica votes. */
  get recovered(): boolean {
    return this.#isRecovered
  }

  /** Resolves when the log has ended and its storage can be opened again. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  /** Known members of the ensemble. */
  get ensembleSize(): number {
    return this.#host?.network.size ?? 0
  }

  readonly serves = [
    serve(LogService, {
      start: () => this.#start(),
      append: ({ term, records }) => this.#write(term, coordinator => coordinator.append(records)),
      truncate: ({ term, to }) => this.#write(term, coordinator => coordinator.truncate(to)),
      range: () => this.#range(),
      read: range => this.#read(range),
      members: () => ({
        members: [...this.#members.addresses],
        quorum: this.#members.quorum,
        version: this.#members.version,
      }),
      change: change => this.#change(change),
    }),
  ]

  protected override async initialize(): Promise<void> {
    const { storage, autoInitialize = true, timing } = this.#options
    const members = this.#members
    const known = this.#acceptor.membership
    if (known) members.adopt(known)
    this.#replica = this.spawn(
      new Replica({ acceptor: this.#acceptor, storage, owner: this.self, members }),
      REPLICA_ID,
    )
    this.link(this.#replica)
    const home = homeOf(addressOf(this.self), members, this.#acceptor)
    const network = new Network(member => this.ref(LogReplica, member))
    this.#host = {
      network,
      get quorum() {
        return members.quorum
      },
      get ensemble() {
        return members.ensemble
      },
      local: this.ref(LocalReplica, this.#replica),
      random: this.random,
      log: this.log,
      timing: { ...DEFAULT_TIMING, ...timing },
      sleep: ms => new Promise(resolve => this.delay(ms, resolve)),
      soon: run => this.dispatch(run),
    }
    this.#coordinator = new Coordinator(this.#host)
    for (const warning of this.warnings) this.log.warn(warning)
    await this.#follow(members, network)
    await this.#host.local.ask('settleIn', { home: { ...home, members: [...home.members] } })
    await recover(this.#host, autoInitialize)
    this.#isRecovered = true
    this.#recovered.resolve()
  }

  /** Resolves when it is known who there is: before that this replica might take itself for all there are. */
  #follow(members: Members, network: Network): Promise<void> {
    let known = ''
    const look = (): void => {
      const now = members.addresses.toSorted()
      const all = members.addresses.map(address => pid(REPLICA_ID, address))
      // Alone, or not yet in the list that another system keeps.
      if (members.version === 0) all.push(this.#replica!)
      network.replace([...new Set(all)], members.membership)
      if (now.join() === known) return
      known = now.join()
      this.log.info({ replicas: now, version: members.version }, 'the members of the log')
      if (members.version > 0 && !now.includes(addressOf(this.self)))
        this.log.warn('this replica is no member of the log (any more), and does not vote')
    }
    members.follow(() => this.dispatch(look))
    return this.resume(members.known).then(look)
  }

  #change(change: Change): Promise<ChangeResult> {
    const coordinator = this.#coordinator!
    const isElected = coordinator.state === 'elected' || coordinator.state === 'writing'
    if (!isElected || !this.#host)
      return Promise.resolve({ type: 'refused', why: 'This one does not lead.' })
    if (this.#isChanging) {
      const why = 'Another change of members is under way. Try again when it is done.'
      return Promise.resolve({ type: 'refused', why })
    }
    this.#isChanging = true
    const changed = reconfigure(
      {
        host: this.#host,
        coordinator,
        members: this.#members,
        self: addressOf(this.self),
        connect: member => this.ref(LogReplica, member as Pid),
        nowMs: () => this.clock.now(),
      },
      change,
    )
    return changed.finally(() => (this.#isChanging = false))
  }

  protected override finalize(): void {
    this.#coordinator?.demote()
    if (this.#replica) this.terminate(this.#replica)
    this.#options.storage
      .close()
      .catch((error: unknown) => this.log.error({ error }, 'the log could not be closed'))
      .finally(() => this.#closed.resolve())
  }

  protected override exited(pid: Pid): void {
    if (pid !== this.#replica) return
    this.log.error('the replica of this process has ended, and the log with it')
    this.terminate()
  }

  async #start(): Promise<{ term: number; position?: Position }> {
    await this.#recovered.promise
    const coordinator = this.#coordinator!
    // The last one who starts has the log, in this process as among processes.
    if (coordinator.state !== 'initial') coordinator.demote()
    for (;;) {
      const election = await coordinator.elect()
      switch (election.type) {
        case 'elected':
          this.log.info({ position: election.position }, 'the coordinator is elected')
          return { term: coordinator.term, position: election.position }
        case 'lost':
          // Rivals that try again at once keep taking it from each other.
          await backOff(this.#host!)
          return NOT_ELECTED
        case 'demoted':
          return NOT_ELECTED
        case 'no quorum': {
          const term = coordinator.term
          this.log.info('no quorum of replicas has answered; the election is tried again')
          await backOff(this.#host!)
          if (coordinator.term !== term) return NOT_ELECTED
        }
      }
    }
  }

  async #write(
    term: number,
    write: (coordinator: Coordinator) => Promise<Position | undefined>,
  ): Promise<{ position?: Position }> {
    const coordinator = this.#coordinator!
    if (coordinator.term !== term) return {}
    const position = await write(coordinator)
    return position === undefined ? {} : { position }
  }

  async #range(): Promise<{ begin: Position; end: Position; learnedBelow: Position }> {
    await this.#recovered.promise
    const { begin, end, learnedBelow } = await this.#host!.local.ask('state', {})
    return { begin, end, learnedBelow }
  }

  async #read(range: { from: Position; to: Position }): Promise<ReadResult> {
    await this.#recovered.promise
    return this.#host!.local.ask('read', range)
  }
}

/** Throws a `UserError` if this replica must not vote under this address, or with these members. */
function homeOf(self: Address, members: Members, acceptor: Acceptor): Home {
  const { addresses, kind, quorum } = members
  const version = acceptor.membership?.version ?? 0
  // Under a second name this replica would vote twice.
  if (version === 0 && kind === 'list' && !addresses.includes(self)) {
    throw new UserError(
      'invalid_flags',
      `The masters' list ${addresses.join(',')} lacks this one.`,
      { hint: `Name it there as it names itself: ${self}.` },
    )
  }
  if (kind === 'live' && version > 0) {
    const known = acceptor.membership!.members.join(',')
    throw new UserError(
      'conflict',
      'The masters of this log have been changed while it ran, and it knows them by itself since then.',
      { hint: `Start them with --masters=${known}, not with ZooKeeper.` },
    )
  }
  const home: Home = { self, kind, members: addresses, quorum }
  checkHome(acceptor.home, home, { status: acceptor.metadata.status, version })
  return home
}

const membersOf = ({ replicas = [], quorum }: LogOptions): Members =>
  replicas instanceof Members ? replicas : Members.fixed(replicas, quorum)
