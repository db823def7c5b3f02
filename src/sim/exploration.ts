// One exploration: a cluster with frameworks of all tempers, faults whose kinds the seed chooses, and what must hold.

import type { Limits } from '../actors/limits.ts'
import type { Address } from '../actors/pid.ts'
import { SeededRandom } from '../base/random.ts'
import { messageOf } from '../base/errors.ts'
import { minutes, seconds } from '../base/duration.ts'
import { Cluster, MASTER } from './cluster.ts'
import { BooksCheck } from './books.ts'
import type { Frameworks } from './fault.ts'
import { FAULT_KINDS, type FaultKind, Faults } from './faults.ts'
import { finalProblems, heldAtRest, momentaryProblems } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { Staff } from './staff.ts'
import { TaskRuns } from './task-runs.ts'
import { HABITS, randomTemper, type Temper, TemperedScheduler } from './tempers.ts'
import { Transcript } from './transcript.ts'

export interface ExplorationOptions {
  readonly seed: number
  /** Of virtual time under faults; healing and coming to rest takes some twenty more. */
  readonly minutes: number
  /** Default: a choice of the seed's. */
  readonly kinds?: readonly FaultKind[]
  /** How many of the last events a failure shows; default 300. */
  readonly transcriptLines?: number
  readonly level?: 'debug' | 'info'
  /** Default: a few agents and one framework of each temper. */
  readonly scale?: Scale
}

/** A large cluster: frameworks that run so many tasks in all, each its part, under as many faults as to be felt. */
export interface Scale {
  readonly agents: number
  readonly frameworks: number
  readonly tasks: number
}

export interface ExplorationReport {
  readonly seed: number
  readonly virtualMs: number
  /** Turns of the world: timers, deliveries, disk completions. */
  readonly events: number
  readonly tasks: number
  readonly kinds: readonly FaultKind[]
  readonly struck: ReadonlyMap<FaultKind, number>
  /** Empty: everything held. */
  readonly problems: readonly string[]
  /** The command that runs it again and shows all that happened. */
  readonly replay: string
  readonly transcript: readonly string[]
}

const STEP_MS = 100
/** What processes take at a time that take little. A message of an agent that comes back fits all the same. */
const NARROW: Partial<Limits> = {
  maxWaitingEvents: 10,
  maxWaitingBytes: 20_000,
  maxTotalWaitingBytes: 60_000,
  maxQueuedBytes: 500_000,
  maxMessagesPerSecond: 200,
}
/** The books are looked at after every event; what the master says of them, from time to time. */
const STEPS_PER_LOOK = 50
const STEPS_PER_LOOK_AT_MANY = 500
/** So many agents more, and twice as much breaks in the same time. */
const AGENTS_A_STRIKE = 100
/** Between two strikes: some seeds strike again before anything could heal, others let it. */
const MEAN_STRIKE_MS = [seconds(1), seconds(4), seconds(15)]
/** Longer than an agent or a scheduler may take to come back after an election: 10 minutes by a slow clock, and then some. */
const REST_MS = minutes(15)
const MOST_PROBLEMS = 20

interface Framework {
  readonly temper: Temper
  ledger: Ledger
  scheduler: TemperedScheduler
  address: Address | undefined
  /** Nobody follows its last scheduler. */
  abandoned: boolean
}

/** Runs one seed to its end. Resolves also when something did not hold; rejects for no reason but a bug in here. */
export function explore(options: ExplorationOptions): Promise<ExplorationReport> {
  return new Exploration(options).run()
}

class Exploration {
  readonly #o: ExplorationOptions
  readonly #random: SeededRandom
  readonly #cluster: Cluster
  readonly #transcript: Transcript
  readonly #runs = new TaskRuns(text => this.#problem(text))
  readonly #books = new BooksCheck()
  readonly #frameworks: Framework[] = []
  readonly #removed = new Set<string>()
  readonly #problems: string[] = []
  readonly #faults: Faults
  readonly #kinds: readonly FaultKind[]
  readonly #startMs: number
  #ledgers = 0

  constructor(options: ExplorationOptions) {
    this.#o = options
    this.#random = new SeededRandom([options.seed, 2])
    this.#transcript = new Transcript(options.transcriptLines ?? 300)
    this.#transcript.watch = (text, { framework_id: id }) => {
      if (text.endsWith('master: framework removed') && typeof id === 'string') {
        this.#removed.add(id)
      }
    }
    const staff = new Staff(() => this.#cluster.world, this.#runs)
    this.#cluster = new Cluster(options.seed, {
      log: this.#transcript.logger(options.level ?? 'info'),
      masterFlags: [
        '--max_completed_tasks_per_framework=5',
        '--max_completed_frameworks=2',
        ...(this.#random.next() < 0.3 ? ['--offer_timeout=5secs'] : []),
      ],
      launchMs: [0, 5, 200][this.#random.integer(3)]!,
      program: (host, spec) => staff.program(host, spec) ?? this.#runs.program(host, spec),
      // For the many there is the quicker way, which is the real one.
      isolate: options.scale === undefined,
      ...(this.#isNarrow() && { limits: NARROW }),
      inspect: this.#books.attach,
      onProblem: text => this.#problem(text),
      onAgentShutdown: (host, reason) => {
        if (this.#faults.explainsShutdown(host, reason)) return
        /* c8 ignore next 2 -- only a master that breaks its word gets here: it tells no agent to end that was there. */
        this.#problem(`agent ${host.address} was told to end: ${reason}`)
      },
    })
    const { world } = this.#cluster
    world.check('books', this.#books.look)
    this.#transcript.now = () => world.clock.now()
    this.#startMs = world.clock.now()
    this.#kinds = options.kinds ?? FAULT_KINDS.filter(() => this.#random.next() < 0.4)
    this.#faults = new Faults({
      cluster: this.#cluster,
      frameworks: this.#frameworkHosts(),
      random: this.#random,
      kinds: this.#kinds,
      note: text => this.#transcript.note(`FAULT ${text}`),
    })
  }

  /** Some seeds have processes that take little at a time: back-pressure, and readers too slow, are faults like others. */
  #isNarrow(): boolean {
    return this.#o.scale === undefined && new SeededRandom([this.#o.seed, 3]).next() < 0.3
  }

  async run(): Promise<ExplorationReport> {
    try {
      await this.#rage()
      if (this.#problems.length === 0) await this.#rest()
    } catch (error) {
      const stack = error instanceof Error ? error.stack : undefined
      this.#problem(`the exploration itself failed: ${stack ?? messageOf(error)}`)
    }
    const { clock } = this.#cluster.world
    return {
      seed: this.#o.seed,
      virtualMs: clock.now() - this.#startMs,
      events: clock.served,
      tasks: this.#runs.size,
      kinds: this.#kinds,
      struck: this.#faults.struck,
      problems: this.#problems,
      replay: this.#replay(),
      transcript: this.#transcript.lines(),
    }
  }

  #replay(): string {
    const { seed, minutes: rage, kinds, scale } = this.#o
    const large =
      scale &&
      Object.entries(scale)
        .map(([name, count]) => ` --${name} ${count}`)
        .join('')
    const chosen = kinds ? ` --kinds '${kinds.join(',')}'` : ''
    return `npm run sim -- --seed ${seed} --minutes ${rage}${large ?? ''}${chosen} --lines 100000 --debug`
  }

  /** The time of faults. */
  async #rage(): Promise<void> {
    const { world } = this.#cluster
    await this.#cluster.startMaster()
    const { scale } = this.#o
    const agents = scale?.agents ?? 2 + this.#random.integer(4)
    for (let i = 0; i < agents; i++) this.#cluster.startAgent()
    for (const temper of this.#tempers()) this.#launchFramework(temper)
    const strikeMs = MEAN_STRIKE_MS[this.#random.integer(MEAN_STRIKE_MS.length)]!
    const steps = minutes(this.#o.minutes) / STEP_MS
    for (let step = 0; step < steps && this.#problems.length === 0; step++) {
      if (this.#random.next() < STEP_MS / strikeMs) {
        const strike = (at: 'any' | 'one'): void => {
          world.clock.delay(this.#random.next() * STEP_MS, () => this.#faults.strike(at))
        }
        strike('any')
        for (let i = AGENTS_A_STRIKE; i < agents; i += AGENTS_A_STRIKE) strike('one')
      }
      await world.advance(STEP_MS)
      await this.#check(step % (scale ? STEPS_PER_LOOK_AT_MANY : STEPS_PER_LOOK) === 0)
    }
  }

  #tempers(): Temper[] {
    const { scale } = this.#o
    if (!scale) return HABITS.map(habit => randomTemper(this.#random, habit))
    const { frameworks, tasks } = scale
    return Array.from({ length: frameworks }, (_, i) => ({
      ...randomTemper(this.#random, 'batch'),
      // What it launches is for it to see to the end, so it has to be there.
      failoverTimeoutSeconds: 3_600,
      tasks: Math.floor(((i + 1) * tasks) / frameworks) - Math.floor((i * tasks) / frameworks),
    }))
  }

  /** All heals, all tasks end, all frameworks end, all processes end. */
  async #rest(): Promise<void> {
    const { world } = this.#cluster
    this.#faults.calm()
    for (const framework of this.#frameworks) {
      if (framework.abandoned) continue
      if (framework.address === undefined) this.#follow(framework)
    }
    await this.#launchAll()
    for (const { abandoned, scheduler } of this.#frameworks) if (!abandoned) scheduler.finish()
    for (let ms = 0; ms < REST_MS && this.#problems.length === 0; ms += seconds(10)) {
      await world.advance(seconds(10))
      await this.#check(!this.#o.scale || ms % minutes(2) === 0)
    }
    if (this.#problems.length > 0) return
    const state = await this.#cluster.state()
    for (const text of heldAtRest(state)) this.#problem(text)
    if (state.slaves.length !== this.#cluster.agents.length) {
      this.#problem(`${state.slaves.length} agents of ${this.#cluster.agents.length} are there`)
    }
    for (const { ledger, temper, abandoned, scheduler } of this.#frameworks) {
      if (abandoned || ledger.removed) continue
      if (!scheduler.isSubscribed) this.#problem(`${ledger.name} is not subscribed`)
      const wasRemoved = this.#removed.has(ledger.frameworkId?.value ?? '')
      const word = { ledger, wasRemoved, partitionAware: temper.partitionAware }
      for (const text of finalProblems(word, state, this.#runs)) this.#problem(text)
    }
    for (const { scheduler, address } of this.#frameworks) if (address) scheduler.teardown()
    await world.advance(seconds(10))
    await this.#end()
  }

  /** Whoever has tasks left to launch does so. */
  async #launchAll(): Promise<void> {
    const { scale } = this.#o
    if (!scale) return
    const launched = (): number => this.#frameworks.reduce((n, it) => n + it.ledger.tasks.size, 0)
    for (let ms = 0; launched() < scale.tasks; ms += seconds(1)) {
      if (ms > REST_MS) return this.#problem(`only ${launched()} tasks were launched`)
      await this.#cluster.world.advance(seconds(1))
    }
  }

  async #end(): Promise<void> {
    const { world, agents } = this.#cluster
    const newcomer = this.#launchFramework({
      habit: 'idle',
      role: '*',
      partitionAware: true,
      checkpoint: false,
      failoverTimeoutSeconds: 0,
      explicitAcknowledgements: false,
    })
    await world.advance(seconds(10))
    const state = await this.#cluster.state()
    for (const { id } of state.frameworks) {
      if (id !== newcomer.ledger.frameworkId?.value) this.#problem(`framework ${id} is still there`)
    }
    for (const { id, resources, offered_resources: offered } of state.slaves) {
      if (offered.cpus === resources.cpus && offered.mem === resources.mem) continue
      this.#problem(`agent ${id}: a newcomer is offered ${offered.cpus} of ${resources.cpus} cpus`)
    }
    for (const { address, processes } of agents) {
      if (processes.alive > 0) this.#problem(`${processes.alive} processes live on ${address}`)
    }
    await world.stop()
    await world.advance(seconds(30))
    for (const line of world.leftovers()) this.#problem(`left over: ${line}`)
  }

  async #check(look: boolean): Promise<void> {
    const { world, failures } = this.#cluster
    for (const { actor, error } of world.fatalities.splice(0)) {
      if (this.#faults.explains({ actor, error })) continue
      const stack = error instanceof Error ? error.stack : undefined
      this.#problem(`actor ${actor} failed: ${stack ?? messageOf(error)}`)
    }
    for (const text of failures.splice(0)) this.#problem(text)
    this.#replaceEnded()
    if (!look || this.#cluster.isDown(MASTER)) return
    for (const text of this.#books.lookAtAll()) this.#problem(text)
    const state = await this.#cluster.stateIfLeading()
    if (state) for (const text of momentaryProblems(state)) this.#problem(text)
  }

  #problem(text: string): void {
    this.#transcript.note(`PROBLEM ${text}`)
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push(text)
  }

  #launchFramework(temper: Temper): Framework {
    const ledger = new Ledger(
      `${temper.habit}${this.#ledgers++}`,
      temper.partitionAware ? text => this.#problem(text) : undefined,
    )
    const scheduler = new TemperedScheduler(temper, ledger)
    const framework: Framework = { temper, ledger, scheduler, address: undefined, abandoned: false }
    framework.address = this.#cluster.run(scheduler).address
    this.#frameworks.push(framework)
    return framework
  }

  /** A framework that the master removed makes room for a new one of its temper. */
  #replaceEnded(): void {
    for (const framework of [...this.#frameworks]) {
      const { ledger, temper, scheduler } = framework
      if (framework.address === undefined || scheduler.ended !== 'error') continue
      this.#frameworks.splice(this.#frameworks.indexOf(framework), 1)
      this.#cluster.world.crash(framework.address)
      if (!ledger.over) this.#launchFramework(temper)
    }
  }

  #follow(framework: Framework, at?: Address): void {
    const { temper, ledger } = framework
    framework.scheduler = new TemperedScheduler(temper, ledger)
    framework.address = this.#cluster.run(framework.scheduler, at).address
    this.#transcript.note(`FAULT ${framework.address} follows as ${ledger.name}`)
  }

  #frameworkHosts(): Frameworks {
    const frameworks = this.#frameworks
    const { world } = this.#cluster
    const follow = (framework: Framework, at?: Address): void =>
      this.#follow(framework, at !== undefined && world.isAlive(at) ? undefined : at)
    return {
      get addresses() {
        return frameworks.flatMap(({ address }) => address ?? [])
      },
      crash: (address, successorAfterMs, next) => {
        const framework = frameworks.find(it => it.address === address)
        if (!framework) return
        world.crash(address)
        framework.address = undefined
        // Of the many each has so many tasks to launch.
        if (successorAfterMs === undefined && !this.#o.scale) framework.abandoned = true
        else {
          world.clock.delay(successorAfterMs ?? 0, () => {
            if (framework.address === undefined) follow(framework, next)
          })
        }
      },
    }
  }
}
