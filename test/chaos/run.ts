// The rounds: a fault, its end, and writes that are acknowledged again; then all logs are held against what was acknowledged.

import { setTimeout as sleep } from 'node:timers/promises'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { Random } from '../../src/base/random.ts'
import type { ZooKeeperServer } from '../process/zookeeper-server.ts'
import { chooseFault, type Fault, type FaultKind, faultText } from './faults.ts'
import type { Hosts } from './hosts.ts'
import { startLoad } from './load.ts'
import { type Electing, Masters } from './masters.ts'
import { type Term, Terms } from './terms.ts'
import { disagreements, interleavings, losses, readReplica } from './verify.ts'

/** Between two questions to a master whether it leads. */
const ASK_MS = 50
const ASK_LIMIT_MS = 1_000
/** Until writes are acknowledged again when a fault is over. */
const BACK_LIMIT_MS = 60_000
/** Acknowledgements in a row, all masters running, after which the next round begins. */
const STEADY = 10
/** Until every replica has heard of the last writes. */
const SETTLE_MS = 1_500
const POLL_MS = 10

export interface RunOptions {
  readonly hosts: Hosts
  readonly dir: string
  readonly electing: Electing
  readonly zookeeper?: ZooKeeperServer
  /** One or more. */
  readonly kinds: readonly FaultKind[]
  readonly random: Random
  readonly rounds: number
  /** Writes a second, about. */
  readonly rate: number
  readonly say: (line: string) => void
}

export interface RunReport {
  readonly acknowledged: number
  readonly terms: number
  /** From the fault to the next leader's first acknowledgement, by kind of fault. */
  readonly failoverMs: ReadonlyMap<string, readonly number[]>
  /** Faults of a leader that went on to lead. */
  readonly kept: number
  readonly problems: readonly string[]
}

const CHAINS = 4

export async function runRounds(o: RunOptions): Promise<RunReport> {
  const run = new Run(o)
  try {
    return await run.all()
  } finally {
    await run.close()
  }
}

class Run {
  readonly #o: RunOptions
  readonly #masters: Masters
  readonly #terms = new Terms()
  readonly #acknowledged = new Set<string>()
  readonly #problems: string[] = []
  readonly #failoverMs = new Map<string, number[]>()
  #kept = 0
  #lastAddress = ''
  /** Acknowledgements by the leader since the round's fault was over. */
  #sinceHealed = 0
  #newTerm: ((term: Term) => void) | undefined
  #closers: (() => unknown)[] = []
  #closed = false

  constructor(o: RunOptions) {
    this.#o = o
    this.#masters = new Masters({
      hosts: o.hosts,
      dir: o.dir,
      electing: o.electing,
      ended: (master, how) => o.say(`    master ${master} ended by itself (${how})`),
    })
  }

  async all(): Promise<RunReport> {
    const { hosts, rounds, rate, say } = this.#o
    process.once('exit', () => this.#masters.killNow())
    this.#masters.startAll()
    const runtime = await systemRuntime({ log: silentLogger, listen: { ip: hosts.here, port: 0 } })
    const load = startLoad({
      runtime,
      masters: hosts.masters,
      chains: CHAINS,
      pauseMs: (1_000 * CHAINS) / rate,
      acknowledged: it => {
        this.#acknowledged.add(it.agentId)
        this.#lastAddress = it.address
        this.#sinceHealed++
        const incarnation = this.#masters.incarnation(it.address)
        const term = this.#terms.acknowledged({ ...it, incarnation }, it.atMs)
        if (term) this.#newTerm?.(term)
      },
    })
    this.#closers.push(
      () => load.stop(),
      () => runtime.shutdown(),
    )
    for (const address of hosts.masters) void this.#askForEver(address)
    await this.#steady('the masters have started')
    for (let round = 1; round <= rounds; round++) {
      await this.#round(round)
      if (this.#problems.length > 0) break
    }
    await sleep(SETTLE_MS)
    load.stop()
    await sleep(SETTLE_MS)
    this.#closed = true
    await this.#masters.stop()
    await this.#verify()
    say('')
    return {
      acknowledged: this.#acknowledged.size,
      terms: this.#terms.all.length,
      failoverMs: this.#failoverMs,
      kept: this.#kept,
      problems: this.#problems,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const close of this.#closers) await close()
    await this.#masters.stop()
  }

  async #round(round: number): Promise<void> {
    const { random, kinds, say } = this.#o
    const leader = this.#masters.numberOf(this.#lastAddress)
    const fault = chooseFault(random, { kinds, masters: this.#masters.count, leader })
    const struckMs = performance.now()
    let next: Term | undefined
    this.#newTerm = term => (next ??= term)
    await this.#strike(fault)
    this.#sinceHealed = 0
    const healedMs = performance.now()
    await this.#steady(`${faultText(fault)}, round ${round}`)
    const backMs = performance.now() - healedMs
    const failoverMs = next && next.firstMs - struckMs
    if (failoverMs !== undefined) {
      const kind =
        fault.onLeader || fault.kind.startsWith('zk ') ? fault.kind : `${fault.kind}, other`
      const all = this.#failoverMs.get(kind) ?? []
      this.#failoverMs.set(kind, [...all, failoverMs])
    } else if (fault.onLeader) {
      this.#kept++
    }
    const outcome =
      failoverMs === undefined ? 'no new leader' : `new leader after ${Math.round(failoverMs)} ms`
    say(
      `${String(round).padStart(4)}  ${faultText(fault)}: ${outcome}, steady ${Math.round(backMs)} ms after it`,
    )
  }

  /** Resolves when the fault is over. */
  async #strike({ kind, target, other, ms }: Fault): Promise<void> {
    const { hosts, zookeeper } = this.#o
    const between = async (begin: () => unknown, end: () => unknown): Promise<void> => {
      await begin()
      try {
        await sleep(ms)
      } finally {
        await end()
      }
    }
    const masters = this.#masters
    const others = hosts.masters.flatMap((_, i) => (i === target ? [] : [i]))
    const path = (from: number, to: number | 'zookeeper', works: boolean): void =>
      hosts.links!.path(from, to, works)
    switch (kind) {
      case 'kill':
        return between(
          () => masters.kill(target),
          () => masters.start(target),
        )
      case 'pause':
        return between(
          () => masters.signal(target, 'SIGSTOP'),
          () => masters.signal(target, 'SIGCONT'),
        )
      case 'isolate':
        return between(
          () => hosts.links!.plug(target, false),
          () => hosts.links!.plug(target, true),
        )
      case 'mute':
        return between(
          () => others.forEach(to => path(target, to, false)),
          () => others.forEach(to => path(target, to, true)),
        )
      case 'cut':
        return between(
          () => (path(target, other, false), path(other, target, false)),
          () => (path(target, other, true), path(other, target, true)),
        )
      case 'cut one way':
        return between(
          () => path(target, other, false),
          () => path(target, other, true),
        )
      case 'zk lost':
        return between(
          () => path(target, 'zookeeper', false),
          () => path(target, 'zookeeper', true),
        )
      case 'zk pause':
        return between(
          () => zookeeper!.pause(),
          () => zookeeper!.resume(),
        )
      case 'zk kill':
        return between(
          () => zookeeper!.kill(),
          () => zookeeper!.start(),
        )
      default:
        kind satisfies never
    }
  }

  /** Resolves when all masters run and writes are acknowledged; a failure of the run if that does not come. */
  async #steady(after: string): Promise<void> {
    const endMs = performance.now() + BACK_LIMIT_MS
    while (this.#sinceHealed < STEADY || !this.#masters.allRun) {
      if (performance.now() > endMs) {
        this.#problems.push(`no writes were acknowledged within ${BACK_LIMIT_MS} ms: ${after}`)
        return
      }
      await sleep(POLL_MS)
    }
  }

  /** Asks one master again and again what only one that leads answers itself. */
  async #askForEver(address: string): Promise<void> {
    while (!this.#closed) {
      const askedMs = performance.now()
      const incarnation = this.#masters.incarnation(address)
      const answer = await fetch(`http://${address}/flags`, {
        redirect: 'manual',
        signal: AbortSignal.timeout(ASK_LIMIT_MS),
      }).catch(() => undefined)
      // After a restart in between it is unclear who answered.
      const isSame = this.#masters.incarnation(address) === incarnation
      if (answer?.status === 200 && isSame) this.#terms.claimed({ address, incarnation, askedMs })
      await answer?.body?.cancel().catch(() => {})
      await sleep(ASK_MS)
    }
  }

  async #verify(): Promise<void> {
    const { hosts } = this.#o
    const replicas = await Promise.all(
      hosts.masters.map((_, i) => readReplica(`master ${i}`, this.#masters.workDir(i))),
    )
    this.#problems.push(
      ...this.#terms.problems(),
      ...disagreements(replicas),
      ...interleavings(replicas),
      ...losses(replicas, this.#acknowledged),
    )
  }
}
