// One seed: an ensemble, its clients and its faults for a while, then calm; and all that did not hold.

import { pid } from '../../../src/actors/pid.ts'
import type { Runtime } from '../../../src/actors/runtime.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { SeededRandom } from '../../../src/base/random.ts'
import { REPLICA_ID } from '../../../src/log/log.ts'
import { LogReplica } from '../../../src/messages/log.ts'
import type { Rule } from '../../../src/sim/message-rules.ts'
import { Transcript } from '../../../src/sim/transcript.ts'
import { Clients } from './clients.ts'
import { Ensemble, type Member } from './ensemble.ts'
import { FAULT_KINDS, FAULTS, type FaultContext, type FaultKind } from './faults.ts'

export interface SimulationOptions {
  readonly seed: number
  /** Virtual seconds under faults. Default: the seed chooses. */
  readonly seconds?: number
  /** Default: the seed chooses. */
  readonly kinds?: readonly FaultKind[]
  /** Keeps all that happened, in so much detail, for the report; without it notes of the simulation only. */
  readonly level?: 'debug' | 'info'
  readonly lines?: number
}

export interface SimulationReport {
  readonly seed: number
  readonly size: number
  readonly leases: boolean
  readonly problems: readonly string[]
  /** Writes that were confirmed, those that were not, and reads. */
  readonly confirmed: number
  readonly open: number
  readonly reads: number
  readonly chosen: number
  readonly struck: readonly FaultKind[]
  readonly virtualMs: number
  readonly events: number
  readonly transcript: readonly string[]
}

const STRANGER = '10.0.0.99:5050'
/**
 * Virtual time in which all must be well again: a connection whose other end is gone without a word is given up after 75
 * seconds (actors/limits.ts), and a replica that has lost its disk then waits for another twelve.
 */
const REST_MS = 150_000

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  return new Simulation(options).run()
}

class Simulation {
  readonly #o: SimulationOptions
  readonly #random: SeededRandom
  readonly #transcript: Transcript
  readonly #ensemble: Ensemble
  readonly #clients: Clients
  readonly #leases: boolean
  readonly #kinds: readonly FaultKind[]
  readonly #seconds: number
  readonly #everyMs: number
  readonly #workMs: number
  readonly #problems: string[] = []
  readonly #struck: FaultKind[] = []
  readonly #rules = new Set<Rule>()
  #waiting: { readonly what: string; left: number; readonly run: (address: string) => void }[] = []
  #calm = false
  /** Until then one fault has the world for itself. */
  #aloneUntilMs = 0
  #stranger: Runtime | undefined

  constructor(options: SimulationOptions) {
    this.#o = options
    const random = new SeededRandom([options.seed, 0x106])
    this.#random = random
    this.#transcript = new Transcript(options.lines ?? 2_000)
    this.#leases = random.next() < 0.5
    const size = random.next() < 0.5 ? 3 : 5
    const some = FAULT_KINDS.filter(() => random.next() < 0.4)
    this.#kinds = options.kinds ?? (some.length > 0 ? some : FAULT_KINDS)
    this.#seconds = options.seconds ?? 8 + random.next() * 22
    this.#everyMs = 200 + random.next() * 2_500
    this.#workMs = 50 + random.next() * 400
    const problem = (text: string): void => {
      this.#problems.push(text)
      this.#note(`DOES NOT HOLD: ${text}`)
    }
    this.#ensemble = new Ensemble({
      seed: options.seed,
      size,
      random,
      leases: this.#leases,
      log: options.level ? this.#transcript.logger(options.level) : silentLogger,
      problem,
      note: text => this.#note(text),
      saw: (address, what) => this.#saw(address, what),
      elected: member => {
        this.#note(`${member.address} leads`)
        void this.#clients.lead(member)
      },
    })
    this.#transcript.now = () => this.#ensemble.world.clock.now()
    this.#clients = new Clients({
      ensemble: this.#ensemble,
      random,
      leases: this.#leases,
      problem,
      note: text => this.#note(text),
    })
  }

  async run(): Promise<SimulationReport> {
    const { world, members } = this.#ensemble
    const size = members.length
    const startedMs = world.clock.now()
    for (const member of members) {
      world.clock.delay(this.#random.next() ** 2 * 2_000, () => this.#ensemble.start(member))
    }
    this.#every(this.#workMs, () => this.#work())
    this.#every(this.#everyMs, () => this.#strike())
    const untilMs = startedMs + this.#seconds * 1_000
    while ((world.clock.now() < untilMs || this.#isAlone) && this.#holds) {
      await world.advance(20)
      this.#ensemble.look()
    }
    if (this.#holds) await this.#rest()
    this.#ensemble.checkVotes()
    const { history } = this.#clients
    if (this.#holds) {
      const flaw = history.flaw(this.#ensemble.truth)
      if (flaw !== undefined) this.#problems.push(flaw)
    }
    return {
      seed: this.#o.seed,
      size,
      leases: this.#leases,
      problems: this.#problems,
      confirmed: history.confirmed,
      open: history.open,
      reads: history.reads,
      chosen: this.#ensemble.truth.size,
      struck: this.#struck,
      virtualMs: world.clock.now() - startedMs,
      events: world.clock.served,
      transcript: this.#transcript.lines(),
    }
  }

  get #isAlone(): boolean {
    return this.#ensemble.world.clock.now() < this.#aloneUntilMs
  }

  get #holds(): boolean {
    return this.#problems.length === 0
  }

  #note(text: string): void {
    this.#transcript.note(text)
  }

  #later(ms: number, run: () => void): void {
    this.#ensemble.world.clock.delay(ms, () => {
      if (!this.#calm) run()
    })
  }

  /** Again and again, at times that are drawn around a mean. */
  #every(meanMs: number, run: () => void): void {
    const next = (): void =>
      this.#later(-Math.log(1 - this.#random.next()) * meanMs, () => {
        run()
        next()
      })
    next()
  }

  // Clients

  #work(): void {
    if (this.#isAlone) return
    const random = this.#random
    const member = this.#pick()
    const chance = random.next()
    if (chance < 0.6) {
      for (let i = 1 + random.integer(5); i > 0; i--) this.#clients.append(this.#writer())
    } else if (chance < 0.8) void this.#clients.read(this.#leases ? this.#writer() : member)
    else if (chance < 0.88) void this.#clients.peek(member)
    else if (chance < 0.92) this.#clients.truncate(this.#writer())
    else if (!this.#leases) void this.#clients.elect(member)
  }

  #pick(): Member {
    const { members } = this.#ensemble
    return members[this.#random.integer(members.length)]!
  }

  /** One of those who think that they may write, if there are such. */
  #writer(): Member {
    const writers = this.#ensemble.members.filter(({ writer }) => writer)
    return writers.length > 0 ? writers[this.#random.integer(writers.length)]! : this.#pick()
  }

  // Faults

  #strike(): void {
    if (this.#isAlone) return
    const kind = this.#kinds[this.#random.integer(this.#kinds.length)]!
    this.#struck.push(kind)
    FAULTS[kind](this.#context)
  }

  get #context(): FaultContext {
    return {
      strikes: kind => this.#kinds.some(each => each === kind),
      ensemble: this.#ensemble,
      clients: this.#clients,
      random: this.#random,
      note: text => this.#note(text),
      later: (ms, run) => this.#later(ms, run),
      hold: rule => void this.#rules.add(rule),
      when: (what, left, run) => void this.#waiting.push({ what, left, run }),
      alone: ms => {
        this.#aloneUntilMs = this.#ensemble.world.clock.now() + ms
      },
      strange: to => this.#strange(to),
    }
  }

  #saw(address: string, what: string): void {
    if (this.#calm || this.#waiting.length === 0) return
    for (const each of this.#waiting) if (each.what === what) each.left--
    const due = this.#waiting.filter(({ left }) => left <= 0)
    this.#waiting = this.#waiting.filter(({ left }) => left > 0)
    for (const { run } of due) this.#later(0, () => run(address))
  }

  /** Somebody outside the ensemble says what only members may. */
  #strange(to: Member): void {
    const { world, truth } = this.#ensemble
    this.#stranger ??= world.start(STRANGER)
    this.#note(`a stranger speaks to ${to.address}`)
    const replica = this.#stranger.ref(LogReplica, pid(REPLICA_ID, to.address))
    const position = this.#random.integer(truth.size + 3)
    const value = { type: 'APPEND' as const, bytes: new TextEncoder().encode('of a stranger') }
    const proposal = 1 + this.#random.integer(30)
    const performed = { proposal, learned: true as const, value }
    replica.tell('learned', { action: { position, promised: proposal, performed } })
    replica.tell('chosen', { proposal, from: position, to: position })
    const ignore = (): void => {}
    replica.ask('promise', { proposal }).then(ignore, ignore)
    replica.ask('write', { proposal, position, values: [value] }).then(ignore, ignore)
  }

  // Calm

  /** All heals, and all must be well again: everybody votes, is elected, writes, and finds all that was written. */
  async #rest(): Promise<void> {
    const { world, members } = this.#ensemble
    this.#note('calm')
    this.#calm = true
    for (const rule of this.#rules) rule.stop()
    world.network.forgetDuplicates()
    world.network.heal()
    world.network.latencyMs = [0.1, 1]
    world.network.lossRate = 0
    for (const member of members) {
      world.skew(member.address, {})
      world.unpause(member.address)
      member.disk.full = false
      member.disk.syncMs = 1
      member.brokenSync = false
    }
    // Who has ended by itself is being started already.
    world.clock.delay(2_000, () => {
      for (const member of this.#ensemble.members) this.#ensemble.start(member)
    })
    const voting = (): boolean => this.#ensemble.voters.every(({ log }) => log?.recovered)
    // A change of members that was left half done is completed by who is elected next, and only then all can vote.
    if (!this.#leases) void this.#electUntil(voting)
    if (!(await this.#reaches(voting, 'all vote'))) return
    if (this.#leases) {
      const leads = (): boolean => this.#ensemble.voters.some(({ election }) => election?.leading)
      if (!(await this.#reaches(leads, 'somebody leads'))) return
      await world.advance(3_000)
    }
    this.#clients.endLeases()
    // Who is elected first may complete a change that was left half done: then there are others.
    const heard = new Set<Member>()
    const next = (): Member | undefined => {
      const left = this.#ensemble.voters.filter(each => !heard.has(each))
      return left[this.#random.integer(left.length)]
    }
    for (let member = next(); member && this.#holds; member = next()) {
      heard.add(member)
      await this.#finalWord(member)
    }
    const { version, members: all } = this.#ensemble.truth.membership
    const agree = (): boolean =>
      this.#ensemble.voters.every(
        ({ known }) => known && (version === 0 || known.version === version),
      ) && this.#ensemble.voters.every(({ known }) => all.every(each => known!.has(each)))
    if (this.#holds) await this.#reaches(agree, 'all know the members')
  }

  async #electUntil(enough: () => boolean): Promise<void> {
    const { world } = this.#ensemble
    while (!enough() && this.#holds) {
      const able = this.#ensemble.voters.filter(({ log }) => log?.recovered)
      const some = able[this.#random.integer(able.length)]
      if (some) void this.#clients.elect(some)
      await new Promise<void>(go => world.clock.delay(3_000, go))
    }
  }

  /** Elections that were begun before may still get in between: it tries again. */
  async #finalWord(member: Member): Promise<void> {
    const { world } = this.#ensemble
    const { history } = this.#clients
    const appended = async (): Promise<boolean> => {
      if ((await this.#clients.elect(member)) === undefined) return false
      const operation = this.#clients.append(member)
      await new Promise<void>(go => world.clock.delay(500, go))
      return operation?.answer !== undefined
    }
    const read = async (): Promise<boolean> => {
      const before = history.reads
      await this.#clients.read(member)
      return history.reads > before
    }
    for (const [what, attempt] of Object.entries({ writes: appended, reads: read })) {
      let done = false
      const repeat = async (): Promise<void> => {
        while (!done && this.#holds) {
          done = await attempt()
          if (!done) await new Promise<void>(go => world.clock.delay(100, go))
        }
      }
      void repeat()
      const isOver = (): boolean => done || !this.#ensemble.votes(member.address)
      const reached = await this.#reaches(isOver, `${member.address} ${what}`)
      done = true
      if (!reached) return
    }
  }

  async #reaches(reached: () => boolean, what: string): Promise<boolean> {
    const { world } = this.#ensemble
    const endMs = world.clock.now() + REST_MS
    while (!reached() && this.#holds) {
      if (world.clock.now() >= endMs) {
        this.#problems.push(`not within ${REST_MS / 1_000} s after all has healed: ${what}`)
        return false
      }
      await world.advance(20)
      this.#ensemble.look()
    }
    return this.#holds
  }
}
