// What can go wrong, by kind. Each strike ends by itself, at once or after a time; `calm` ends all of them.

import type { Timer } from '../actors/clock.ts'
import { seconds } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { type AgentHost, type Cluster, MASTER } from './cluster.ts'
import { type FaultContext, type Frameworks, MESSAGES, type Strike } from './fault.ts'
import { MACHINE_FAULTS } from './machine-faults.ts'
import type { Rule } from './message-rules.ts'
import { NETWORK_FAULTS } from './network-faults.ts'
import { makeWhole, OPERATOR_FAULTS, replacedByOperator } from './operator-faults.ts'

const STRIKES = { ...MACHINE_FAULTS, ...NETWORK_FAULTS, ...OPERATOR_FAULTS }
export type FaultKind = keyof typeof STRIKES
export const FAULT_KINDS = Object.keys(STRIKES) as readonly FaultKind[]

const AT_MASTER: ReadonlySet<FaultKind> = new Set(['master crash', 'slow sync', 'full disk'])

/** Of these a master may end by itself, for it cannot write; nothing of it is lost, and it is started again. */
const ENDS_MASTERS: readonly FaultKind[] = ['full disk', 'slow sync', 'pause', 'wrong clock']
const MASTER_ENDS: readonly string[] = ['store_failed', 'timeout']
const SUPERVISOR_MS = seconds(2)

export interface FaultsOptions {
  readonly cluster: Cluster
  readonly frameworks: Frameworks
  readonly random: Random
  readonly kinds: readonly FaultKind[]
  readonly note: (text: string) => void
}

export class Faults {
  readonly #o: FaultsOptions
  readonly #context: FaultContext
  readonly struck = new Map<FaultKind, number>()
  readonly #rules = new Set<Rule>()
  readonly #timers = new Set<Timer>()
  #calm = false

  constructor(options: FaultsOptions) {
    this.#o = options
    const { cluster, frameworks, random, note } = options
    this.#context = {
      cluster,
      frameworks,
      random,
      note,
      later: (ms, run) => this.#later(ms, run),
      hold: rule => this.#rules.add(rule),
      end: rule => this.#end(rule),
      pick: list => list[random.integer(list.length)]!,
      everyone: () => [...cluster.agents.map(agent => agent.address), ...frameworks.addresses],
    }
  }

  /**
   * Strikes now, or half of the time when some message is next on its way. `one`: not at the master, of which there is
   * only one, however many others there are.
   */
  strike(at: 'any' | 'one' = 'any'): void {
    const { random, cluster } = this.#o
    const { pick } = this.#context
    const kinds = at === 'any' ? this.#o.kinds : this.#o.kinds.filter(kind => !AT_MASTER.has(kind))
    if (kinds.length === 0) return
    const kind = pick(kinds)
    if (random.next() < 0.5) return this.hit(kind)
    const name = pick(MESSAGES)
    const rule = cluster.world.network.drop(({ message }) => {
      if (message !== name || !this.#rules.has(rule)) return false
      this.#end(rule)
      // The sender's turn has to end first; then the message is on its way, or has just arrived.
      this.#later(random.next() * 2, () => {
        this.#o.note(`(when ${name} passed)`)
        this.hit(kind)
      })
      return false
    })
    this.#rules.add(rule)
    this.#later(seconds(20), () => this.#end(rule))
  }

  hit(kind: FaultKind): void {
    if (this.#calm) return
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1)
    const strike: Strike = STRIKES[kind]
    strike(this.#context)
  }

  /** Whether a process' end is what some fault leads to; the process is then started again. */
  explains({ actor, error }: { readonly actor: string; readonly error: unknown }): boolean {
    if (!actor.endsWith(`@${MASTER}`) || !(error instanceof UserError)) return false
    if (!MASTER_ENDS.includes(error.code)) return false
    if (!ENDS_MASTERS.some(kind => this.struck.has(kind))) return false
    this.#o.note(`master ended by itself: ${error.message}`)
    const { cluster } = this.#o
    cluster.world.clock.delay(SUPERVISOR_MS, () => {
      if (!cluster.isDown(MASTER)) return
      this.#o.note('master starts')
      cluster.bootMaster()
    })
    return true
  }

  /** Whether an agent that was told to end was so by an operator; another one is started in its place. */
  explainsShutdown(host: AgentHost, reason: string): boolean {
    if (!replacedByOperator(this.#o.cluster, host, reason)) return false
    this.#o.note(`agent ${host.address} ends: ${reason}`)
    return true
  }

  /** Everything that was broken is whole again, and nothing breaks any more. Who has no scheduler stays so. */
  calm(): void {
    this.#calm = true
    const { cluster, note } = this.#o
    const { world, disk } = cluster
    note('calm')
    for (const timer of this.#timers) timer.cancel()
    for (const rule of [...this.#rules]) this.#end(rule)
    world.network.forgetDuplicates()
    world.network.heal()
    world.network.lossRate = 0
    world.network.latencyMs = [0.1, 1]
    disk.syncMs = 1
    disk.full = false
    for (const address of [MASTER, ...this.#context.everyone()]) {
      world.skew(address, { rate: 1 })
      world.unpause(address)
    }
    if (cluster.isDown(MASTER)) cluster.bootMaster()
    for (const agent of cluster.agents) {
      agent.files.failure = undefined
      agent.processes.failure = undefined
      if (cluster.isDown(agent.address)) cluster.restartAgent(agent)
      // Connections that lost single messages while they stood are no more than a fault of ours.
      else world.network.cutOff(agent.address)
    }
    for (const address of this.#o.frameworks.addresses) world.network.cutOff(address)
    void makeWhole(cluster)
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
