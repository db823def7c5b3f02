// The processes of a replicated log in a simulated world: the log and the election of production, each with a disk of
// its own. A process whose log or lease has ended ends, as a master does, and is started again. Members come and go
// (member-faults.ts): a process is made before it is added, and may go on for as long as it likes after it was removed.

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
  Members,
  Reader,
  REPLICA_ID,
  Writer,
} from '../../../src/log/log.ts'
import { majorityOf } from '../../../src/log/quorum.ts'
import type { UnsyncedFate } from '../../../src/sim/memory-storage.ts'
import { type Scar, VirtualDisk } from '../../../src/sim/virtual-disk.ts'
import { World } from '../../../src/sim/world.ts'
import { Truth } from './truth.ts'
import { type Asked, breaches } from './votes.ts'
import { ReplicaWatch, type Watched, watchStorage } from './watch.ts'

/** How a process ends: its machine with it, or alone: then what it wrote is still in the machine's memory. */
export type End = UnsyncedFate | 'alone'

export interface Member {
  readonly index: number
  readonly address: Address
  /** Whom its flag names: first, or when it was given an empty disk. */
  list: readonly Address[]
  /** It has voted, or may have: it has been a member. */
  joined: boolean
  /** It is gone for good, unless it turns out to be a member. */
  retired: boolean
  disk: VirtualDisk
  /** What its acceptor was asked since it has that disk. */
  asked: Asked[]
  /** While set, its disk refuses to sync. */
  brokenSync: boolean
  runtime: Runtime | undefined
  log: Log | undefined
  pid: Pid | undefined
  election: Election | undefined
  /** Who votes, as far as this process knows. */
  known: Members | undefined
  /** What it knows of that for certain, whatever becomes of its process; and since when its process knows the same. */
  lasting: Known
  sinceMs: number
  /** Elected, as far as it knows. */
  writer: Writer | undefined
  /**
   * It is going to lose its disk (`doomed`); has lost it and does not vote yet (`lost`); or bits have flipped on it (`damaged`)
   * in files that are still in use. One of the members may be so at a time: see faults.ts.
   */
  loss: 'none' | 'doomed' | 'lost' | 'damaged'
  scars: Scar[]
}

interface Known {
  readonly version: number
  readonly members: readonly Address[]
}

/** What a process has known for so long is on its disk: it goes there within a tenth of a second and a sync. */
const LASTING_MS = 1_500

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
  readonly truth: Truth
  readonly #o: EnsembleOptions
  /** All that ever were. */
  readonly #all: Member[] = []
  /** Whether all who began have voted at the same time once. */
  initialised = false
  /** A change of members is being tried. */
  changing = false

  constructor(options: EnsembleOptions) {
    this.#o = options
    const { seed, size, problem } = options
    this.world = new World({ seed, log: options.log, onProblem: problem })
    const first = Array.from({ length: size }, (_, index) => addressOf(index))
    this.truth = new Truth(first, problem)
    for (let i = 0; i < size; i++) this.add(first)
    if (options.leases) {
      this.world.check('leases', () => {
        const leaders = this.#all.filter(member => member.election?.leading)
        return leaders.length < 2
          ? undefined
          : [`${leaders.map(({ address }) => address).join(' and ')} lead at the same time`]
      })
    }
  }

  /** The processes that there are: all who vote, some who are to be added, and some who were removed. */
  get members(): readonly Member[] {
    return this.#all.filter(({ retired }) => !retired)
  }

  /** Those who are gone for good. */
  get retired(): readonly Member[] {
    return this.#all.filter(({ retired }) => retired)
  }

  /** Those who vote behind all that is chosen. */
  get voters(): readonly Member[] {
    return this.#all.filter(({ address }) => this.votes(address))
  }

  votes(address: Address): boolean {
    return this.truth.membership.members.includes(address)
  }

  get quorum(): number {
    return majorityOf(this.truth.membership.members.length)
  }

  /** A process that was not there before, and names these. */
  add(list: readonly Address[]): Member {
    const index = this.#all.length
    const member: Member = {
      index,
      address: addressOf(index),
      list,
      joined: false,
      retired: false,
      disk: new VirtualDisk(this.#o.random),
      asked: [],
      brokenSync: false,
      runtime: undefined,
      log: undefined,
      pid: undefined,
      election: undefined,
      known: undefined,
      lasting: { version: 0, members: list },
      sinceMs: 0,
      writer: undefined,
      loss: 'none',
      scars: [],
    }
    this.#all.push(member)
    return member
  }

  start(member: Member): void {
    this.#start(member).catch((error: unknown) => {
      // A full or broken disk; anything else is a bug, or the disk lies.
      if (member.disk.full || member.brokenSync) return this.#ended(member, 'its disk failed')
      this.#o.problem(`${member.address} cannot open its log: ${String(error)}`)
    })
  }

  async #start(member: Member): Promise<void> {
    if (member.runtime || member.retired) return
    const { address } = member
    const watched: Watched = {
      address,
      truth: this.truth,
      asked: member.asked,
      isMember: some => this.#all.some(each => each.address === some),
      startsOver: () => this.#startsOver(member),
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
    const known = Members.fixed(member.list)
    const log = await Log.open({ storage, replicas: known })
    if (member.runtime !== runtime) return
    // A torn tail is no damage.
    const damage = log.warnings.find(warning => warning.includes('is damaged at'))
    if (damage !== undefined) {
      this.#o.note(`${address} starts over: ${damage}`)
      if (member.loss !== 'damaged' && member.scars.length === 0)
        this.#o.problem(`${address} lost its log: ${damage}`)
    }
    member.log = log
    member.known = known
    member.sinceMs = this.world.clock.now()
    known.follow(() => {
      member.sinceMs = this.world.clock.now()
    })
    member.pid = runtime.spawn(log, 'log(1)')
    void log.closed.then(() => {
      if (member.runtime === runtime) this.#ended(member, 'its log has ended')
    })
    if (this.#o.leases) this.#elect(member, runtime, known)
  }

  #elect(member: Member, runtime: Runtime, members: Members): void {
    member.election = new Election({
      members,
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
    member.known = undefined
    member.writer = undefined
  }

  /** The machine is replaced: the process that starts next finds nothing, and names those who vote now. */
  wipe(member: Member): void {
    this.crash(member, 'lost')
    this.#checkVotes(member)
    member.disk = new VirtualDisk(this.#o.random)
    member.asked = []
    member.loss = 'lost'
    member.scars = []
    this.relist(member)
  }

  /** Its operator looks who the members are. */
  relist(member: Member): void {
    const { members } = this.truth.membership
    member.list = [...new Set([...members, member.address])]
  }

  /** It has put its log aside. */
  #startsOver(member: Member): void {
    this.#checkVotes(member)
    member.asked.length = 0
    member.lasting = { version: 0, members: member.list }
  }

  /** It does not come back: it was removed, or never added. */
  retire(member: Member): void {
    this.#o.note(`${member.address} is gone for good`)
    this.crash(member, 'kept')
    member.retired = true
  }

  /** The same, with an empty disk: as good as new. */
  renew(member: Member): void {
    this.wipe(member)
    member.loss = 'none'
    member.joined = false
    member.retired = false
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
    const nowMs = this.world.clock.now()
    for (const member of this.#all) {
      const { address, log, known, scars } = member
      const votes = this.votes(address)
      // A change that nobody was told of may be completed by the next who is elected.
      if (member.retired && votes) {
        member.retired = false
        this.start(member)
      }
      // What was removed may lose what it likes.
      if (member.joined && !votes) member.loss = 'none'
      member.joined ||= votes
      if (known && log && nowMs - member.sinceMs >= LASTING_MS)
        member.lasting = { version: known.version, members: known.addresses }
      if (log?.recovered && !scars.some(({ remains }) => remains())) {
        member.scars = []
        if (member.loss !== 'doomed') member.loss = 'none'
      }
    }
    if (!this.initialised && this.members.every(({ log }) => log?.recovered))
      this.initialised = true
    for (const { actor, error } of this.world.fatalities.splice(0)) {
      this.#o.problem(`${actor} failed: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }

  /** At the end: what no acceptor may have said. */
  checkVotes(): void {
    for (const member of this.#all) this.#checkVotes(member)
  }

  #checkVotes({ address, asked }: Member): void {
    for (const breach of breaches(asked)) this.#o.problem(`${address} ${breach}`)
  }
}

const addressOf = (index: number): Address => `10.0.0.${index + 1}:5050`

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
