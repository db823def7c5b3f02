// The rounds: tasks are launched, processes are killed, and when all has ended it is held against what truly happened.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemRuntime } from '../../../src/actors/system-runtime.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { SeededRandom } from '../../../src/base/random.ts'
import { locateMasters } from '../../../src/detector/location.ts'
import { openSession } from '../../../src/zookeeper/library.ts'
import { Cluster, EXECUTOR } from './cluster.ts'
import { complaintsIn } from './complaints.ts'
import { endOf, whyUntrue } from './judge.ts'
import { planRound, type Round, type Strike, type StrikeKind, type TaskPlan } from './plan.ts'
import { ChaosScheduler } from './scheduler.ts'

const READY_LIMIT_MS = 60_000
const END_LIMIT_MS = 120_000
const REST_LIMIT_MS = 30_000
const LOOK_MS = 50
/** Executors are asked to end again this often. */
const ASK_AGAIN_MS = 1_000

export type Setting = { readonly launcher: 'posix' | 'linux'; readonly masters: 1 | 3 }

export interface AgentRunOptions {
  readonly dir: string
  readonly seed: number
  /** The number of the first one. */
  readonly first: number
  readonly rounds: number
  readonly tasks: number
  readonly kinds: readonly StrikeKind[]
  readonly settings: readonly Setting[]
  /** After so many rounds comes another cluster. */
  readonly roundsPerCluster: number
  readonly gcDelay: string
  readonly say: (line: string) => void
  /** The cluster that runs now, to be ended on an interrupt. */
  readonly running: (cluster: Cluster | undefined) => void
}

export interface AgentRunReport {
  readonly rounds: number
  readonly tasks: number
  readonly strikes: ReadonlyMap<string, number>
  /** How tasks ended: state, and reason if it has one. */
  readonly ends: ReadonlyMap<string, number>
  readonly problems: readonly string[]
  /** Directories of clusters that had one. */
  readonly failed: readonly string[]
}

export async function runAgentRounds(o: AgentRunOptions): Promise<AgentRunReport> {
  const run = new AgentRun(o)
  for (let done = 0; done < o.rounds; done += o.roundsPerCluster)
    await run.cluster(o.first + done, Math.min(o.roundsPerCluster, o.rounds - done))
  return run.report
}

class AgentRun {
  readonly #o: AgentRunOptions
  readonly #strikes = new Map<string, number>()
  readonly #ends = new Map<string, number>()
  readonly #problems: string[] = []
  readonly #failed: string[] = []
  #tasks = 0
  #rounds = 0

  constructor(o: AgentRunOptions) {
    this.#o = o
  }

  get report(): AgentRunReport {
    return {
      rounds: this.#rounds,
      tasks: this.#tasks,
      strikes: this.#strikes,
      ends: this.#ends,
      problems: this.#problems,
      failed: this.#failed,
    }
  }

  async cluster(first: number, rounds: number): Promise<void> {
    const { roundsPerCluster, settings, gcDelay, say, running } = this.#o
    const number = Math.floor((first - 1) / roundsPerCluster)
    const setting = settings[number % settings.length]!
    const name = `round-${first}`
    const dir = join(this.#o.dir, name)
    mkdirSync(dir)
    const before = this.#problems.length
    const problem = (text: string): void => {
      const line = `${name}, seed ${this.#o.seed}: ${text}`
      this.#problems.push(line)
      say(`PROBLEM: ${line}`)
    }
    say(`${setting.launcher} launcher, ${setting.masters} master${setting.masters > 1 ? 's' : ''}:`)
    const cluster = new Cluster({ dir, ...setting, gcDelay, problem })
    running(cluster)
    await cluster.start()
    const runtime = await systemRuntime({ log: silentLogger })
    const scheduler = new ChaosScheduler({
      master: cluster.address,
      journal: cluster.journal,
      executor: `${process.execPath} ${EXECUTOR}`,
      partitionAware: number % 2 === 0,
    })
    scheduler.fillIn({
      user: 'root',
      hostname: 'chaos',
      masters: await locateMasters(cluster.address, async () => openSession),
    })
    runtime.spawn(scheduler)
    try {
      await this.#reach(READY_LIMIT_MS, 'the cluster is there', () => cluster.isReady)
      for (let i = 0; i < rounds; i++)
        await this.#round(first + i, { cluster, scheduler, setting, problem })
      await this.#reach(
        REST_LIMIT_MS,
        'all sandboxes are removed',
        () => cluster.sandboxes().length === 0,
      )
    } catch (error) {
      problem(error instanceof Error ? error.message : String(error))
      for (const it of cluster.sandboxes().slice(0, 3)) problem(`sandbox ${it}`)
    }
    await runtime.shutdown()
    for (const it of await cluster.stop()) problem(it)
    running(undefined)
    for (const disorder of scheduler.disorders) problem(disorder)
    for (const { name: log, text } of cluster.logs())
      for (const line of complaintsIn(text)) problem(`${log}: ${line}`)
    if (this.#problems.length > before) this.#failed.push(dir)
  }

  async #round(number: number, o: InRound): Promise<void> {
    const { seed, tasks, kinds, say } = this.#o
    const { cluster, scheduler, problem } = o
    const round = planRound(new SeededRandom([seed, number]), `r${number}`, { tasks, kinds })
    const startedMs = performance.now()
    scheduler.begin(round)
    const struck: Strike[] = []
    const killedExecutors = new Set<string>()
    const texts: string[] = []
    for (const strike of round.strikes) {
      await sleep(strike.afterMs)
      const victim = await this.#strike(cluster, strike)
      texts.push(
        `${victim === undefined ? `no ${strike.kind}` : strike.kind} +${strike.afterMs} ms`,
      )
      if (victim === undefined) continue
      struck.push(strike)
      count(this.#strikes, strike.kind)
      if (strike.kind === 'executor') killedExecutors.add(victim)
    }
    const waiting = (): string[] =>
      round.tasks.map(task => task.id).filter(id => !scheduler.hasEnded(id))
    const about = `round ${number} (${texts.join(', ')})`
    try {
      await this.#reach(END_LIMIT_MS, 'all tasks have ended', () => waiting().length === 0)
    } catch (error) {
      problem(`${about}: not ended: ${waiting().join(', ')}`)
      throw error
    }
    await this.#reach(READY_LIMIT_MS, 'all processes run again', () => cluster.isReady)
    const evidence = { round, struck, killedExecutors, scheduler, cluster }
    for (const text of judged(evidence)) problem(`${about}: ${text}`)
    const endedMs = performance.now()
    for (const text of await this.#rest(round, o)) problem(`${about}: left: ${text}`)
    const now = new Map<string, number>()
    for (const { id } of round.tasks) {
      const { state = '', reason } = endOf(scheduler.statuses.get(id) ?? []) ?? {}
      count(now, state.slice('TASK_'.length).toLowerCase())
      count(this.#ends, reason ? `${state} ${reason}` : state)
    }
    this.#rounds++
    this.#tasks += round.tasks.length
    const took = `${seconds(endedMs - startedMs)} + ${seconds(performance.now() - endedMs)}`
    const ends = [...now].map(([state, n]) => `${n} ${state}`).join(', ')
    say(`${String(number).padStart(4)}  ${texts.join(', ')}: ${ends}; ${took} s`)
  }

  async #strike(cluster: Cluster, { kind, downMs, part }: Strike): Promise<string | undefined> {
    if (kind === 'executor') return cluster.killExecutor(part)
    const hit = kind === 'agent' ? cluster.killAgent(downMs) : await cluster.killMaster(downMs)
    return hit ? kind : undefined
  }

  /** Ends the executors. What is then still there, and does not go. */
  async #rest({ tasks }: Round, { cluster, scheduler }: InRound): Promise<string[]> {
    const executors = new Set(
      tasks.flatMap(task => (task.kind === 'custom' ? [task.executor!] : [])),
    )
    let left: string[] = []
    let askedMs = -ASK_AGAIN_MS
    const endMs = performance.now() + REST_LIMIT_MS
    do {
      if (performance.now() - askedMs >= ASK_AGAIN_MS) {
        scheduler.shutDown(executors)
        askedMs = performance.now()
      }
      await sleep(LOOK_MS)
      left = await cluster.remains()
    } while (left.length > 0 && performance.now() < endMs)
    return left
  }

  async #reach(limitMs: number, what: string, reached: () => boolean): Promise<void> {
    const endMs = performance.now() + limitMs
    while (!reached()) {
      if (performance.now() > endMs) throw new Error(`not within ${limitMs / 1_000} s: ${what}`)
      await sleep(LOOK_MS)
    }
  }
}

interface InRound {
  readonly cluster: Cluster
  readonly scheduler: ChaosScheduler
  readonly setting: Setting
  readonly problem: (text: string) => void
}

interface RoundEvidence {
  readonly round: Round
  readonly struck: readonly Strike[]
  readonly killedExecutors: ReadonlySet<string>
  readonly scheduler: ChaosScheduler
  readonly cluster: Cluster
}

function judged({ round, struck, killedExecutors, scheduler, cluster }: RoundEvidence): string[] {
  const statusesOf = ({ id }: TaskPlan) => scheduler.statuses.get(id) ?? []
  const messagesLost = struck.some(({ kind }) => kind !== 'executor')
  return round.tasks.flatMap(task => {
    const statuses = statusesOf(task)
    const groupBroken = round.tasks.some(
      other =>
        task.group !== undefined &&
        other.group === task.group &&
        endOf(statusesOf(other))?.state !== 'TASK_FINISHED' &&
        other !== task,
    )
    const why = whyUntrue(task, {
      journal: cluster.journalOf(task.id),
      statuses,
      executorKilled: killedExecutors.has(task.executor ?? ''),
      messagesLost,
      groupBroken,
    })
    if (why === undefined) return []
    const told = statuses.map(it => `${it.state} (${it.source}, ${it.reason}, '${it.message}')`)
    const did = cluster.journalOf(task.id).join(', ')
    return [`${task.id}: ${why}. Told: ${told.join(', ')}. It did: ${did || 'nothing'}`]
  })
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1)
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(1)
