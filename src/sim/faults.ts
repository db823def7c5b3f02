// What can go wrong, by kind. Each strike ends by itself, at once or after a time; `calm` ends all of them.

import type { Address } from '../actors/pid.ts'
import type { Random } from '../base/random.ts'
import { seconds } from '../base/duration.ts'
import type { Timer } from '../actors/clock.ts'
import { type Cluster, MASTER } from './cluster.ts'
import type { UnsyncedFate } from './memory-storage.ts'
import type { Rule } from './message-rules.ts'

export const FAULT_KINDS = [
  'master crash',
  'agent crash',
  'scheduler crash',
  'scheduler gone',
  'partition',
  'one-way partition',
  'latency',
  'lost messages',
  'reset',
  'slow sync',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** What a fault may hit, beside the cluster. */
export interface Frameworks {
  /** Where schedulers live now. */
  readonly addresses: readonly Address[]
  /** The scheduler there dies, and after a while another takes over; undefined: never. */
  crash(address: Address, successorAfterMs: number | undefined): void
}

export interface FaultsOptions {
  readonly cluster: Cluster
  readonly frameworks: Frameworks
  readonly random: Random
  readonly kinds: readonly FaultKind[]
  readonly note: (text: string) => void
}

const FATES: readonly UnsyncedFate[] = ['lost', 'torn', 'kept']

/** Messages whose passing is a good moment to strike, or which are good to lose. */
const MESSAGES = [
  'master.agent/register_agent',
  'master.agent/reregister_agent',
  'master.agent/status_update',
  'master.agent/pong',
  'agent.master/registered',
  'agent.master/reregistered',
  'agent.master/ping',
  'agent.master/run_task',
  'agent.master/kill_task',
  'agent.master/status_update_acknowledgement',
  'agent.master/shutdown_framework',
  'master.scheduler/call',
  'scheduler/event',
] as const

export class Faults {
  readonly #o: FaultsOptions
  readonly struck = new Map<FaultKind, number>()
  readonly #rules = new Set<Rule>()
  readonly #timers = new Set<Timer>()
  #calm = false

  constructor(options: FaultsOptions) {
    this.#o = options
  }

  /** Strikes now, or half of the time when some message is next on its way. */
  strike(): void {
    const { random, kinds, cluster } = this.#o
    if (kinds.length === 0) return
    const kind = this.#pick(kinds)
    if (random.next() < 0.5) return this.#hit(kind)
    const name = this.#pick(MESSAGES)
    const rule = cluster.world.network.drop(({ message }) => {
      if (message !== name || !this.#rules.has(rule)) return false
      this.#end(rule)
      // The sender's turn has to end first; then the message is on its way, or has just arrived.
      this.#later(random.next() * 2, () => {
        this.#o.note(`(when ${name} passed)`)
        this.#hit(kind)
      })
      return false
    })
    this.#rules.add(rule)
    this.#later(seconds(20), () => this.#end(rule))
  }

  /** Everything that was broken is whole again, and nothing breaks any more. Who has no scheduler stays so. */
  calm(): void {
    this.#calm = true
    const { cluster, note } = this.#o
    note('calm')
    for (const timer of this.#timers) timer.cancel()
    for (const rule of [...this.#rules]) this.#end(rule)
    cluster.world.network.heal()
    cluster.world.network.latencyMs = [0.1, 1]
    cluster.disk.syncMs = 1
    if (cluster.isDown(MASTER)) cluster.bootMaster()
    for (const agent of cluster.agents) {
      if (cluster.isDown(agent.address)) cluster.restartAgent(agent)
      // Connections that lost single messages while they stood are no more than a fault of ours.
      else cluster.world.network.cutOff(agent.address)
    }
    for (const address of this.#o.frameworks.addresses) cluster.world.network.cutOff(address)
  }

  #hit(kind: FaultKind): void {
    if (this.#calm) return
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1)
    const { random } = this.#o
    switch (kind) {
      case 'master crash':
        return this.#crashMaster()
      case 'agent crash':
        return this.#crashAgent()
      case 'scheduler crash':
        return this.#crashScheduler(random.next() ** 3 * seconds(120))
      case 'scheduler gone':
        // Not each time, or nobody would be left.
        return this.#crashScheduler(random.next() < 0.3 ? undefined : 0)
      case 'partition':
        return this.#cut(false)
      case 'one-way partition':
        return this.#cut(true)
      case 'latency':
        return this.#slowNetwork()
      case 'lost messages':
        return this.#lose()
      case 'reset':
        return this.#reset(this.#someone())
      case 'slow sync':
        return this.#slowDisk()
    }
  }

  #crashMaster(): void {
    const { cluster, random, note } = this.#o
    if (cluster.isDown(MASTER)) return
    const fate = this.#pick(FATES)
    const ms = random.next() ** 3 * seconds(60)
    note(`master crashes for ${ms.toFixed(0)} ms; unsynced writes ${fate}`)
    cluster.crashMaster(fate)
    this.#later(ms, () => {
      note('master starts')
      cluster.bootMaster()
    })
  }

  #crashAgent(): void {
    const { cluster, random, note } = this.#o
    const agent = this.#pick(cluster.agents)
    if (cluster.isDown(agent.address)) return
    const ms = random.next() ** 3 * seconds(180)
    note(`agent ${agent.address} crashes for ${ms.toFixed(0)} ms`)
    cluster.crashAgent(agent)
    this.#later(ms, () => {
      note(`agent ${agent.address} starts`)
      cluster.restartAgent(agent)
    })
  }

  #crashScheduler(successorAfterMs: number | undefined): void {
    const { frameworks, note } = this.#o
    if (frameworks.addresses.length === 0) return
    const address = this.#pick(frameworks.addresses)
    const then = successorAfterMs === undefined ? 'none follows' : `next in ${successorAfterMs} ms`
    note(`scheduler ${address} crashes; ${then}`)
    frameworks.crash(address, successorAfterMs)
  }

  #cut(oneWay: boolean): void {
    const { cluster, random, note } = this.#o
    const { network } = cluster.world
    // One, or some of them, or nearly all.
    const others = random.shuffle(this.#everyone())
    const some = others.slice(0, 1 + Math.floor(random.next() ** 3 * others.length))
    const ms = random.next() ** 3 * seconds(150)
    const [from, to] = random.next() < 0.5 ? [some, [MASTER]] : [[MASTER], some]
    const arrow = oneWay ? '→' : '↔'
    note(`cut ${from.join(', ')} ${arrow} ${to.join(', ')} for ${ms.toFixed(0)} ms`)
    network.partition(from, to, { oneWay })
    this.#later(ms, () => {
      note('all links mended')
      network.heal()
    })
  }

  #slowNetwork(): void {
    const { cluster, random, note } = this.#o
    const most = 10 ** (1 + random.next() * 2.5)
    note(`latency up to ${most.toFixed(0)} ms`)
    const { network } = cluster.world
    network.latencyMs = [0.1, most]
    this.#later(random.next() * seconds(20), () => {
      note('latency as before')
      network.latencyMs = [0.1, 1]
    })
  }

  /** As much as TCP ever loses: what was on its way when a connection broke, here of one name only. */
  #lose(): void {
    const { cluster, random, note } = this.#o
    const some = this.#someone()
    const name = this.#pick(MESSAGES)
    const part = random.next() < 0.5 ? 1 : random.next()
    note(`losing ${part.toFixed(2)} of ${name} of ${some}`)
    const rule = cluster.world.network.drop(
      ({ from, to, message }) =>
        message === name && (from === some || to === some) && random.next() < part,
    )
    this.#rules.add(rule)
    this.#later(random.next() ** 2 * seconds(20), () => {
      note(`lost ${rule.count} ${name}`)
      this.#end(rule)
      this.#reset(some)
    })
  }

  #reset(address: Address): void {
    this.#o.note(`${address} loses its connections`)
    this.#o.cluster.world.network.cutOff(address)
  }

  #slowDisk(): void {
    const { cluster, random, note } = this.#o
    cluster.disk.syncMs = 10 ** (1 + random.next() * 2.5)
    note(`a sync takes ${cluster.disk.syncMs.toFixed(0)} ms`)
    this.#later(random.next() * seconds(60), () => {
      note('a sync takes 1 ms')
      cluster.disk.syncMs = 1
    })
  }

  #everyone(): Address[] {
    const { cluster, frameworks } = this.#o
    return [...cluster.agents.map(agent => agent.address), ...frameworks.addresses]
  }

  #someone(): Address {
    return this.#pick(this.#everyone())
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#o.random.integer(list.length)]!
  }

  #end(rule: Rule): void {
    rule.stop()
    this.#rules.delete(rule)
  }

  #later(ms: number, run: () => void): void {
    const timer = this.#o.cluster.world.clock.delay(ms, () => {
      this.#timers.delete(timer)
      run()
    })
    this.#timers.add(timer)
  }
}
