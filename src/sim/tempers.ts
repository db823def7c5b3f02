// Frameworks of different temper, for explorations: each does what some real framework does, and a little more of it.

import type { Timer } from '../actors/clock.ts'
import type { Random } from '../base/random.ts'
import { seconds } from '../base/duration.ts'
import { pack, type TaskRequest } from '../framework/packing.ts'
import { Scheduler } from '../framework/scheduler.ts'
import type { OfferID } from '../messages/ids.ts'
import type { Offer } from '../messages/offer.ts'
import { isTerminal, type TaskStatus } from '../messages/status.ts'
import type { TaskInfo } from '../messages/task.ts'
import { MASTER } from './cluster.ts'
import type { Ledger } from './ledger.ts'
import { EXECUTOR_COMMAND } from './staff.ts'
import { STUBBORN } from './task-runs.ts'

/**
 * - `greedy`: takes all it is offered. `decliner`: declines most of it, for no time or for long.
 * - `killer`: kills what it launched. `moody`: suppresses offers and revives. `hoarder`: keeps offers for seconds.
 * - `employer`: its tasks run in an executor of its own, one on each agent. `gatherer`: they run in groups.
 */
export const HABITS = [
  'greedy',
  'decliner',
  'killer',
  'moody',
  'hoarder',
  'employer',
  'gatherer',
] as const
/** `idle` keeps offers and does nothing with them. `batch` runs so many tasks and no more, as many at once as there is room. */
export type Habit = (typeof HABITS)[number] | 'idle' | 'batch'

export interface Temper {
  readonly habit: Habit
  readonly role: string
  readonly partitionAware: boolean
  /** Its tasks stay on the books while their agent is only disconnected. */
  readonly checkpoint: boolean
  readonly failoverTimeoutSeconds: number
  readonly explicitAcknowledgements: boolean
  /** How many tasks it launches in all; absent: it never has enough. */
  readonly tasks?: number
}

const MOST_TASKS_AT_ONCE = 8
const MOST_TASKS_AN_OFFER = 16
const RECONCILE_MS = seconds(60)

export function randomTemper(random: Random, habit: Habit): Temper {
  return {
    habit,
    role: ['*', 'a', 'b'][random.integer(3)]!,
    partitionAware: random.next() < 0.7,
    checkpoint: random.next() < 0.5,
    failoverTimeoutSeconds: [0, 5, 60, 600][random.integer(4)]!,
    explicitAcknowledgements: random.next() < 0.3,
  }
}

export class TemperedScheduler extends Scheduler {
  readonly ledger: Ledger
  readonly #temper: Temper
  readonly #kept = new Map<string, Offer>()
  #question: Timer | undefined

  constructor(temper: Temper, ledger: Ledger) {
    super({
      master: MASTER,
      explicitAcknowledgements: temper.explicitAcknowledgements,
      framework: {
        name: ledger.name,
        roles: [temper.role],
        checkpoint: temper.checkpoint,
        failover_timeout: temper.failoverTimeoutSeconds,
        capabilities: temper.partitionAware ? [{ type: 'PARTITION_AWARE' }] : [],
        ...(ledger.frameworkId && { id: ledger.frameworkId }),
      },
    })
    this.#temper = temper
    this.ledger = ledger
  }

  protected override subscribed(): void {
    this.ledger.frameworkId = this.frameworkId
    this.#kept.clear()
    this.#reconcile()
    if (this.ledger.over) this.suppress()
  }

  /** Asks about all that has not ended, now and for ever, as frameworks are told to. */
  #reconcile(): void {
    this.#question?.cancel()
    const asked = [...this.ledger.unfinished].map(({ id, agentId }) => ({
      task_id: { value: id },
      agent_id: { value: agentId },
    }))
    if (asked.length > 0) this.reconcile(asked)
    // What was called lost may be back, and the message that said so may be lost itself.
    if (!this.#temper.partitionAware) this.reconcile()
    // A kill may be lost with the connection that it went by, or with the master that had it.
    for (const { id, killed, endless } of this.ledger.running) {
      if (killed) this.kill({ value: id })
      // It was called lost when the others were told to end, and has come back.
      else if (endless && this.ledger.over) this.#killSoon(id)
    }
    this.#question = this.delay(RECONCILE_MS, () => this.#reconcile())
  }

  /** No more tasks. Those that run go on to their end. */
  finish(): void {
    this.ledger.over = true
    this.dispatch(() => {
      // Those whose killer died before it came to that.
      for (const { id, endless } of this.ledger.running) if (endless) this.#killSoon(id)
      this.suppress()
      for (const offer of this.#kept.values()) this.decline(offer)
      this.#kept.clear()
    })
  }

  protected override disconnected(): void {
    this.#kept.clear()
  }

  protected override rescinded({ value }: OfferID): void {
    this.#kept.delete(value)
  }

  protected override offers(offers: readonly Offer[]): void {
    if (this.#temper.habit === 'idle') return
    for (const offer of offers) {
      if (this.#temper.habit !== 'hoarder' || this.ledger.over) {
        this.#answer(offer)
        continue
      }
      this.#kept.set(offer.id.value, offer)
      this.delay(this.random.next() * seconds(10), () => {
        // One that was rescinded is answered all the same now and then: the rescission may be on its way.
        if (this.#kept.delete(offer.id.value) || this.random.next() < 0.2) this.#answer(offer)
      })
    }
  }

  #answer(offer: Offer): void {
    const { habit } = this.#temper
    const chance = this.random.next()
    const refuse_seconds = [0, 1, 5, 30][this.random.integer(4)]!
    const room = this.#room()
    if (habit === 'batch' && room <= 0) {
      this.suppress()
      return this.decline(offer, { refuse_seconds: 3_600 })
    }
    if (this.ledger.over || room <= 0 || (habit === 'decliner' && chance < 0.7)) {
      return this.decline(offer, { refuse_seconds: this.ledger.over ? 3_600 : refuse_seconds })
    }
    const most =
      habit === 'greedy' || habit === 'batch' ? room : Math.min(room, 1 + this.random.integer(3))
    const endless = habit === 'killer' && chance < 0.5
    // More than would fit on any machine need not be thought of.
    const requests = Array.from({ length: Math.min(most, MOST_TASKS_AN_OFFER) }, () =>
      this.#request(endless),
    )
    const { tasks } = pack(offer, requests)
    const isGroup = habit === 'gatherer'
    for (const { task_id, agent_id } of tasks) {
      this.ledger.launched(task_id.value, agent_id.value, endless, isGroup)
    }
    if (isGroup && tasks.length > 0) this.#launchGroup(offer, tasks, refuse_seconds)
    else this.launch(offer, tasks, { refuse_seconds })
    if (isGroup && chance < 0.2)
      for (const task of tasks.slice(0, 1)) this.#killSoon(task.task_id.value)
    if (habit === 'killer') for (const task of tasks) this.#killSoon(task.task_id.value)
    if (habit === 'moody' && chance < 0.3) {
      this.suppress()
      this.delay(this.random.next() * seconds(20), () => {
        if (!this.ledger.over) this.revive()
      })
    }
  }

  #launchGroup(offer: Offer, tasks: readonly TaskInfo[], refuse_seconds: number): void {
    const { command: _, ...described } = tasks[0]!.executor!
    const executor = { ...described, type: 'DEFAULT' as const }
    const task_group = { tasks: tasks.map(({ executor: _own, ...task }) => task) }
    this.accept(offer, [{ type: 'LAUNCH_GROUP', launch_group: { executor, task_group } }], {
      refuse_seconds,
    })
  }

  /** How many tasks it would launch now. */
  #room(): number {
    const { tasks: all } = this.#temper
    if (all !== undefined) return all - this.ledger.tasks.size
    return MOST_TASKS_AT_ONCE - this.ledger.unfinished.size
  }

  #request(endless: boolean): TaskRequest {
    const { habit } = this.#temper
    const task_id = { value: this.ledger.nextTaskId() }
    const needs = { cpus: [0.5, 1, 2][this.random.integer(3)]!, mem: 64 }
    const value = endless ? 'sleep 1000000' : this.#command()
    const isGroup = habit === 'gatherer'
    if (habit !== 'employer' && !isGroup) return { name: habit, task_id, command: { value }, needs }
    const executor = {
      executor_id: { value: `staff${this.ledger.staff}` },
      ...(this.frameworkId && { framework_id: this.frameworkId }),
      command: { value: EXECUTOR_COMMAND },
      needs: { cpus: 0.1, mem: 32, ...(isGroup && { disk: 1 }) },
    }
    return { name: value, task_id, executor, needs, ...(isGroup && { command: { value } }) }
  }

  #command(): string {
    const length = this.random.next() < 0.3 ? 0.2 : 20
    const status = this.random.next() < 0.2 ? 3 : 0
    const prefix = this.random.next() < 0.1 ? STUBBORN : ''
    return `${prefix}sleep ${(this.random.next() * length).toFixed(3)}; exit ${status}`
  }

  #killSoon(id: string): void {
    this.delay(this.random.next() ** 2 * seconds(10), () => {
      this.ledger.killed(id)
      this.kill({ value: id })
    })
  }

  protected override update(status: TaskStatus): void {
    this.ledger.heard(status)
    // An executor that has ended takes nothing for as long as its last updates are not acknowledged: better hire anew.
    if (status.reason === 'REASON_EXECUTOR_TERMINATED') this.ledger.staff++
    if (!this.#temper.explicitAcknowledgements) return
    // Some take their time, and some statuses are never acknowledged the first time.
    const told = this.ledger.tasks.get(status.task_id.value)?.statuses ?? []
    const again = told.filter(({ uuid }) => uuid === status.uuid).length > 1
    if (this.random.next() < 0.2 && !again && !isTerminal(status.state)) return
    this.delay(this.random.next() * seconds(2), () => this.acknowledge(status))
  }

  protected override error(): void {
    this.ledger.removed = true
  }
}
