// The processes of a replicated log in a simulated world: the log and the election of production, each with a disk of
// its own. A process whose log or lease has ended ends, as a master does, and is started again.

import type { Address, Pid } from '../../../src/actors/pid.ts'
import type { Runtime } from '../../../src/actors/runtime.ts'
import type { Logger } from '../../../src/base/log.ts'
import type { Random } from '../../../src/base/random.ts'
import type { LogFile, LogFiles } from '../../../src/log/files.ts'
import {
  Election,
  ELECTION_ID,
  FileStorage,
  Log,
  LogService,
  Reader,
  REPLICA_ID,
  Writer,
} from '../../../src/log/log.ts'
import { majorityOf } from '../../../src/log/quorum.ts'
import type { UnsyncedFate } from '../../../src/sim/memory-storage.ts'
import { VirtualDisk } from '../../../src/sim/virtual-disk.ts'
import { World } from '../../../src/sim/world.ts'
import { Truth } from './truth.ts'
import { type Asked, breaches } from './votes.ts'
import { ReplicaWatch, type Watched, watchStorage } from './watch.ts'

/** How a process ends: its machine with it, or alone: then what it wrote is still in the machine's memory. */
export type End = UnsyncedFate | 'alone'

export interface Member {
  readonly index: number
  readonly address: Address
  disk: VirtualDisk
  /** What its acceptor was asked since it has that disk. */
  asked: Asked[]
  /** While set, its disk refuses to sync. */
  brokenSync: boolean
  runtime: Runtime | undefined
  log: Log | undefined
  pid: Pid | undefined
  election: Election | undefined
  /** Elected, as far as it knows. */
  writer: Writer | undefined
  /** It is going to lose its disk (`doomed`), or has lost it and does not vote yet (`lost`). */
  loss: 'none' | 'doomed' | 'lost'
}

export interface EnsembleOptions {
  readonly seed: number
  readonly size: number
  readonly random: Random
  readonly log: Logger
  /** Whether it elects a leader by leases, or anybody writes. */
  readonly leases: boolean
  readonly problem: (text: string) => void
  readonly note: (text: string) => void
  readonly saw: (address: Address, what: Parameters<Watched['saw']>[0]) => void
  /** A member's election has made it the leader. */
  readonly elected: (member: Member) => void
}

export class Ensemble {
  readonly world: World
  readonly members: readonly Member[]
  readonly addresses: readonly Address[]
  readonly truth: Truth
  readonly #o: EnsembleOptions
  /** Whether all have voted at the same time once. */
  initialised = false

  constructor(options: EnsembleOptions) {
    this.#o = options
    const { seed, size, problem } = options
    this.world = new World({ seed, log: options.log, onProblem: problem })
    // The place for an ensemble that changes: as many as it has at that position.
    this.truth = new Truth(() => majorityOf(size), problem)
    this.members = Array.from({ length: size }, (_, index) => ({
      index,
      address: `10.0.0.${index + 1}:5050`,
      disk: new VirtualDisk(options.random),
      asked: [],
      brokenSync: false,
      runtime: undefined,
      log: undefined,
      pid: undefined,
      election: undefined,
      writer: undefined,
      loss: 'none',
    }))
    this.addresses = this.members.map(({ address }) => address)
    if (options.leases) {
      this.world.check('leases', () => {
        const leaders = this.members.filter(member => member.election?.leading)
        return leaders.length < 2
          ? undefined
          : [`${leaders.map(({ address }) => address).join(' and ')} lead at the same time`]
      })
    }
  }

  get size(): number {
    return this.members.length
  }

  get quorum(): number {
    return majorityOf(this.size)
  }

  start(member: Member): void {
    this.#start(member).catch((error: unknown) => {
      // A full or broken disk; anything else is a bug, or the disk lies.
      if (member.disk.full || member.brokenSync) return this.#ended(member, 'its disk failed')
      this.#o.problem(`${member.address} cannot open its log: ${String(error)}`)
    })
  }

  async #start(member: Member): Promise<void> {
    if (member.runtime) return
    const { address } = member
    const watched: Watched = {
      address,
      truth: this.truth,
      asked: member.asked,
      isMember: some => this.addresses.includes(some),
      saw: what => this.#o.saw(address, what),
    }
    const runtime = this.world.start(address, {
      record: id => (id === REPLICA_ID ? new ReplicaWatch(watched) : undefined),
    })
    member.runtime = runtime
    const storage = new FileStorage({
      // So little that a disk is behind now and then.
      backlogBytes: 1_000,
      directory: '/log',
      segmentBytes: 500 + this.#o.random.integer(4_000),
      reserveBytes: this.#o.random.integer(3_000),
      files: breakable(member.disk.files(runtime.clock), () => member.brokenSync),
    })
    watchStorage(storage, watched, this.#o.problem)
    const log = await Log.open({ storage, quorum: this.quorum, replicas: this.addresses })
    if (member.runtime !== runtime) return
    // A torn tail is no damage, and this disk does no other.
    const damage = JSON.stringify(log.warnings)
    if (damage.includes('is damaged at')) this.#o.problem(`${address} lost its log: ${damage}`)
    member.log = log
    member.pid = runtime.spawn(log, 'log(1)')
    void log.closed.then(() => {
      if (member.runtime === runtime) this.#ended(member, 'its log has ended')
    })
    if (this.#o.leases) this.#elect(member, runtime)
  }

  #elect(member: Member, runtime: Runtime): void {
    member.election = new Election({
      members: this.addresses,
      about: member.address,
      elected: () => this.#o.elected(member),
      lost: () => {
        if (member.runtime === runtime) this.#ended(member, 'its lease has run out')
      },
    })
    runtime.spawn(member.election, ELECTION_ID)
  }

  /** The process ends by itself, and its supervisor starts it again. */
  #ended(member: Member, why: string): void {
    this.#o.note(`${member.address} ends: ${why}`)
    // After a sync that failed nobody knows what is on disk.
    this.crash(member, member.brokenSync || member.disk.full ? 'torn' : 'alone')
    this.world.clock.delay(50 + this.#o.random.next() * 1_000, () => this.start(member))
  }

  crash(member: Member, end: End): void {
    if (!member.runtime) return
    this.world.crash(member.address)
    if (end === 'alone') member.disk.release()
    else member.disk.crash(end)
    member.runtime = undefined
    member.log = undefined
    member.pid = undefined
    member.election = undefined
    member.writer = undefined
  }

  /** The machine is replaced: the process that starts next finds nothing. */
  wipe(member: Member): void {
    this.crash(member, 'lost')
    this.#checkVotes(member)
    member.disk = new VirtualDisk(this.#o.random)
    member.asked = []
    member.loss = 'lost'
  }

  writer(member: Member): Writer | undefined {
    const { runtime, pid } = member
    return runtime && pid && new Writer(runtime.ref(LogService, pid))
  }

  reader(member: Member): Reader | undefined {
    const { runtime, pid } = member
    return runtime && pid && new Reader(runtime.ref(LogService, pid))
  }

  /** To be called often. */
  look(): void {
    for (const member of this.members) {
      if (member.loss === 'lost' && member.log?.recovered) member.loss = 'none'
    }
    if (!this.initialised && this.members.every(({ log }) => log?.recovered))
      this.initialised = true
    for (const { actor, error } of this.world.fatalities.splice(0)) {
      this.#o.problem(`${actor} failed: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }

  /** At the end: what no acceptor may have said. */
  checkVotes(): void {
    for (const member of this.members) this.#checkVotes(member)
  }

  #checkVotes({ address, asked }: Member): void {
    for (const breach of breaches(asked)) this.#o.problem(`${address} ${breach}`)
  }
}

/** A file system whose syncs fail while `broken` says so. What was written may be on disk, or not. */
function breakable(files: LogFiles, broken: () => boolean): LogFiles {
  const failed = () =>
    Promise.reject(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
  return {
    ...files,
    async open(path, flags, how): Promise<LogFile> {
      const file = await files.open(path, flags, how)
      const unsynced = await files.open(path, 'r+')
      return {
        ...file,
        write: (...what) =>
          how?.isDurable && broken() ? unsynced.write(...what).then(failed) : file.write(...what),
        datasync: () => (broken() ? failed() : file.datasync()),
      }
    },
    syncDirectory: path => (broken() ? failed() : files.syncDirectory(path)),
  }
}
