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

import * as v from 'valibot'
import { Actor } from '../actors/actor.ts'
import { type Address, addressOf, type Pid, pid } from '../actors/pid.ts'
import { call, protocol, type Ref, serve } from '../actors/protocol.ts'
import { assert } from '../base/assert.ts'
import { type Deferred, deferred } from '../base/deferred.ts'
import { UserError } from '../base/errors.ts'
import { LogReplica, Position } from '../messages/log.ts'
import { Acceptor } from './acceptor.ts'
import { backOff, DEFAULT_TIMING, type Host, type Timing } from './consensus.ts'
import { Coordinator } from './coordinator.ts'
import { type Entry, LocalReplica, ReadResult } from './local.ts'
import { Members } from './members.ts'
import { Network, REPLICA_ID } from './network.ts'
import { ensembleOf, isSafeQuorum, majorityOf } from './quorum.ts'
import { recover } from './recover.ts'
import { Replica } from './replica.ts'
import { DamagedLogError, type Storage } from './storage.ts'

export { Election, ELECTION_ID, type ElectionOptions } from './election.ts'
export { FileStorage, type FileStorageOptions } from './file-storage.ts'
export type { Entry } from './local.ts'
export { Members } from './members.ts'
export { type LogEntry, type LogView, type ReadLogOptions, readLog, viewLog } from './read-log.ts'
export {
  DamagedLogError,
  type Storage,
  StorageFailedError,
} from './storage.ts'

export { REPLICA_ID } from './network.ts'

const Nothing = v.object({})
const Term = v.number()
/** Absent: leadership was lost. */
const Written = v.object({ position: v.optional(Position) })

/** What a log serves, to actors of its own process; spoken through `Reader` and `Writer`. */
export const LogService = protocol(
  'log',
  {
    start: call(Nothing, v.object({ term: Term, position: v.optional(Position) })),
    append: call(v.object({ term: Term, bytes: v.instance(Uint8Array) }), Written),
    truncate: call(v.object({ term: Term, to: Position }), Written),
    /** Answered once the replica votes. */
    range: call(Nothing, v.object({ begin: Position, end: Position })),
    read: call(v.object({ from: Position, to: Position }), ReadResult),
  },
  { local: true },
)
const STARTS_OVER =
  'It has been put aside, into the directory "damaged" beside it; this replica votes again when it has recovered with others.'

/** No election has this term. */
const NOT_ELECTED = { term: -1 }
type LogRef = Ref<typeof LogService.entries>

export interface LogOptions {
  /** Not opened yet; the log's own from now on. */
  readonly storage: Storage
  /** How many replicas must agree: more than half of all. */
  readonly quorum: number
  /** Addresses of the processes that have a replica, this one's included. Absent: this process is alone. */
  readonly replicas?: readonly Address[] | Members
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
  readonly #recovered: Deferred<void> = deferred()
  readonly #closed: Deferred<void> = deferred()
  #isRecovered = false
  #replica: Pid | undefined
  #host: Host | undefined
  #coordinator: Coordinator | undefined

  /**
   * Reads what `storage` has. Rejects with `DamagedLogError` (file, offset, what to do) or another `UserError`: a
   * quorum that is none, a directory that is missing, or in use by another process.
   */
  static async open(options: LogOptions): Promise<Log> {
    const { quorum, replicas = [], storage } = options
    const members = Math.max(1, new Set(addressesOf(replicas)).size)
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
      if (!(error instanceof DamagedLogError) || members === 1) throw error
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
    return new Log(options, acceptor, [...complaints, ...warnings.map(w => w.message)])
  }

  private constructor(options: LogOptions, acceptor: Acceptor, warnings: readonly string[]) {
    super()
    this.#options = options
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
      append: ({ term, bytes }) => this.#write(term, coordinator => coordinator.append(bytes)),
      truncate: ({ term, to }) => this.#write(term, coordinator => coordinator.truncate(to)),
      range: () => this.#range(),
      read: range => this.#read(range),
    }),
  ]

  protected override async initialize(): Promise<void> {
    const { storage, quorum, replicas = [], autoInitialize = true, timing } = this.#options
    this.#replica = this.spawn(
      new Replica({
        acceptor: this.#acceptor,
        storage,
        owner: this.self,
        members: replicas instanceof Members ? replicas : Members.fixed(replicas),
      }),
      REPLICA_ID,
    )
    this.link(this.#replica)
    const members = this.#membersOf(replicas)
    // Under a second name this replica would vote twice.
    const listed = addressesOf(replicas)
    if (listed.length > 0 && members.length > new Set(listed).size) {
      throw new UserError(
        'invalid_flags',
        `The masters' list ${listed.join(',')} lacks this one.`,
        {
          hint: `Name it there as it names itself: ${addressOf(this.self)}.`,
        },
      )
    }
    this.#host = {
      network: new Network(member => this.ref(LogReplica, member), members),
      quorum,
      local: this.ref(LocalReplica, this.#replica),
      random: this.random,
      log: this.log,
      timing: { ...DEFAULT_TIMING, ...timing },
      sleep: ms => new Promise(resolve => this.delay(ms, resolve)),
    }
    this.#coordinator = new Coordinator(this.#host)
    for (const warning of this.warnings) this.log.warn(warning)
    if (replicas instanceof Members) await this.#follow(replicas, this.#host.network)
    else if (this.ensembleSize < ensembleOf(quorum)) {
      this.log.warn(
        { replicas: this.ensembleSize, quorum },
        `a quorum of ${quorum} belongs to ${ensembleOf(quorum)} replicas: with fewer, a new log does not start by itself`,
      )
    }
    await recover(this.#host, autoInitialize)
    this.#isRecovered = true
    this.#recovered.resolve()
  }

  /** The replicas of these processes, and this one's. */
  #membersOf(replicas: readonly Address[] | Members): readonly Pid[] {
    const others = addressesOf(replicas).map(address => pid(REPLICA_ID, address))
    return [...new Set([this.#replica!, ...others])]
  }

  /** Resolves when it is known who there is: before that this replica might take itself for all there are. */
  #follow(replicas: Members, network: Network): Promise<void> {
    let known = ''
    const look = (): void => {
      const members = this.#membersOf(replicas)
      network.replace(members)
      const now = members.map(addressOf).toSorted()
      if (now.join() === known) return
      known = now.join()
      this.log.info({ replicas: now }, 'the members of the log')
    }
    replicas.follow(() => this.dispatch(look))
    return this.resume(replicas.known).then(look)
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

  async #range(): Promise<{ begin: Position; end: Position }> {
    await this.#recovered.promise
    const { begin, end } = await this.#host!.local.ask('state', {})
    return { begin, end }
  }

  async #read(range: { from: Position; to: Position }): Promise<ReadResult> {
    await this.#recovered.promise
    return this.#host!.local.ask('read', range)
  }
}

const addressesOf = (replicas: readonly Address[] | Members): readonly Address[] =>
  replicas instanceof Members ? replicas.addresses : replicas

/** Reads the local replica. What it returns has been chosen; that it is the latest, only an elected writer can say. */
export class Reader {
  readonly #log: LogRef

  /** `log`: a reference of the actor that reads. */
  constructor(log: LogRef) {
    this.#log = log
  }

  /** The first position that is not truncated. Waits until the replica has recovered, as all methods do. */
  async beginning(): Promise<Position> {
    return (await this.#log.ask('range', {})).begin
  }

  /** The last position that the local replica knows of. */
  async ending(): Promise<Position> {
    return (await this.#log.ask('range', {})).end
  }

  /** The records in [from, to]; positions that hold none are left out. Rejects if the range is not all learned here. */
  async read(from: Position, to: Position): Promise<readonly Entry[]> {
    const result = await this.#log.ask('read', { from, to })
    if (result.type === 'bad range') throw new UserError('not_found', result.reason)
    return result.entries
  }
}

/** The one who appends. After it has lost leadership it writes nothing more, until started again. */
export class Writer {
  readonly #log: LogRef
  /** Of the election that `start` has won, or one that never was: nothing is written under that. */
  #term: number | undefined

  /** `log`: a reference of the actor that writes. */
  constructor(log: LogRef) {
    this.#log = log
  }

  /**
   * Gets elected, taking over from whoever was. Resolves with the log's last position, up to which the local replica has
   * everything; with undefined when another got in between: try again, or leave it to them. Waits for a quorum as long
   * as it takes.
   */
  async start(): Promise<Position | undefined> {
    const { term, position } = await this.#log.ask('start', {})
    this.#term = term
    return position
  }

  /**
   * Resolves with the record's position once it is chosen, and so are all before it. With undefined when leadership was
   * lost: then it may or may not be in the log. Several may be under way; they are written in the order of the calls.
   */
  async append(bytes: Uint8Array): Promise<Position | undefined> {
    const owned = bytes as Uint8Array<ArrayBuffer>
    return (await this.#log.ask('append', { term: this.#started(), bytes: owned })).position
  }

  /** Gives up positions below `to`, which must have been written. Resolves as `append` does. */
  async truncate(to: Position): Promise<Position | undefined> {
    return (await this.#log.ask('truncate', { term: this.#started(), to })).position
  }

  #started(): number {
    assert(this.#term !== undefined, 'a writer is started before it writes')
    return this.#term
  }
}
