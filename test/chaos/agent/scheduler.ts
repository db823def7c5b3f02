// The framework whose tasks run while agents, executors and masters are killed. It launches a round's tasks by and by, kills some,
// and remembers every status, and in which order they came.

import type { Timer } from '../../../src/actors/clock.ts'
import { Scheduler } from '../../../src/framework/scheduler.ts'
import { fits } from '../../../src/framework/packing.ts'
import type { Offer } from '../../../src/messages/offer.ts'
import type { OfferOperation } from '../../../src/messages/operation.ts'
import type { Resource } from '../../../src/messages/resource.ts'
import { isTerminal, type TaskStatus } from '../../../src/messages/status.ts'
import type { ExecutorInfo, TaskInfo } from '../../../src/messages/task.ts'
import { type Round, scriptOf, type TaskPlan } from './plan.ts'

export interface ChaosSchedulerOptions {
  readonly master: string
  /** A directory that tasks write to. */
  readonly journal: string
  /** The program of the custom executors, as a shell runs it. */
  readonly executor: string
  readonly partitionAware: boolean
}

const AGAIN_MS = 1_000
const MAX_REFUSE_S = 0.05

export class ChaosScheduler extends Scheduler {
  readonly statuses = new Map<string, TaskStatus[]>()
  /** What came in an order in which it must not. */
  readonly disorders: string[] = []
  readonly #o: ChaosSchedulerOptions
  #waiting: (readonly TaskPlan[])[] = []
  #portions: Round['portions'] = []
  #portion = 0
  readonly #held = new Map<string, Timer>()
  #agents = new Set<string>()

  constructor(options: ChaosSchedulerOptions) {
    const { master, partitionAware } = options
    const capabilities = partitionAware ? [{ type: 'PARTITION_AWARE' }] : []
    super({
      master,
      framework: { name: 'chaos', checkpoint: true, failover_timeout: 3_600, capabilities },
    })
    this.#o = options
  }

  begin({ tasks, portions }: Round): void {
    this.dispatch(() => {
      const groups = new Map<string, TaskPlan[]>()
      for (const task of tasks) {
        const key = task.group ?? task.id
        groups.set(key, [...(groups.get(key) ?? []), task])
      }
      this.#waiting = [...groups.values()]
      this.#portions = portions
      this.#portion = 0
      this.revive()
    })
  }

  /** Asks executors to end; may be lost on its way. */
  shutDown(executors: Iterable<string>): void {
    this.dispatch(() => {
      for (const value of executors) {
        for (const agent of this.#agents) this.shutdownExecutor({ value }, { value: agent })
      }
    })
  }

  hasEnded(id: string): boolean {
    return this.statuses.get(id)?.some(({ state }) => isTerminal(state)) ?? false
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      this.#agents.add(offer.agent_id.value)
      const { count, ms } = this.#portions[this.#portion++ % this.#portions.length] ?? {
        count: 0,
        ms: 0,
      }
      if (this.#waiting.length === 0) this.decline(offer, { refuse_seconds: 3_600 })
      else {
        const key = offer.id.value
        const timer = this.delay(ms, () => {
          this.#held.delete(key)
          this.#use(offer, count)
        })
        this.#held.set(key, timer)
      }
    }
  }

  protected override rescinded({ value }: { readonly value: string }): void {
    this.#held.get(value)?.cancel()
    this.#held.delete(value)
  }

  /** They are void. */
  protected override disconnected(): void {
    for (const timer of this.#held.values()) timer.cancel()
    this.#held.clear()
  }

  protected override update(status: TaskStatus): void {
    const id = status.task_id.value
    const known = this.statuses.get(id) ?? []
    this.statuses.set(id, known)
    const last = known.at(-1)
    const { uuid, state } = status
    if (uuid !== undefined && known.some(other => other.uuid === uuid)) {
      if (known.findLast(other => other.uuid !== undefined)?.uuid !== uuid)
        this.disorders.push(`${id}: ${state} came again after what follows it`)
      return
    }
    // To a kill of a task that never was, the master says that it does not know it.
    const isUnknown = status.reason === 'REASON_RECONCILIATION' && last?.uuid === undefined
    if (isUnknown && last && isTerminal(last.state)) return
    if (uuid === undefined && known.some(other => other.state === state)) return
    known.push(status)
    if (last && rank(state) < rank(last.state))
      this.disorders.push(`${id}: ${state} after ${last.state}`)
  }

  #use(offer: Offer, count: number): void {
    const operations: OfferOperation[] = []
    let taken = 0
    // Far more is there than one round takes; when not, the rest waits for the next offer.
    if (fits(offer, { cpus: 0.1 * 4 * count, mem: 300 * count })) {
      for (const tasks of this.#waiting.slice(0, count)) {
        operations.push(this.#operation(offer, tasks))
        for (const { id, killAfterMs: ms } of tasks) if (ms !== undefined) this.#killLater(id, ms)
      }
      taken = operations.length
    }
    this.#waiting = this.#waiting.slice(taken)
    const filters = { refuse_seconds: this.#waiting.length > 0 ? MAX_REFUSE_S : 3_600 }
    if (operations.length === 0) this.decline(offer, filters)
    else this.accept(offer, operations, filters)
  }

  #operation(offer: Offer, tasks: readonly TaskPlan[]): OfferOperation {
    const infos = tasks.map(task => this.#taskInfo(offer, task))
    const [first] = tasks
    if (first!.kind !== 'group') return { type: 'LAUNCH', launch: { task_infos: infos } }
    const executor: ExecutorInfo = {
      type: 'DEFAULT',
      executor_id: { value: first!.executor! },
      framework_id: this.frameworkId!,
      resources: amounts(offer, 0.1, 32),
    }
    return { type: 'LAUNCH_GROUP', launch_group: { executor, task_group: { tasks: infos } } }
  }

  #taskInfo(offer: Offer, task: TaskPlan): TaskInfo {
    const { journal, executor } = this.#o
    const { id, ms, code } = task
    const common = {
      name: id,
      task_id: { value: id },
      agent_id: offer.agent_id,
      resources: amounts(offer, 0.1, 32),
      kill_policy: { grace_period: { nanoseconds: 300_000_000 } },
    }
    if (task.kind !== 'custom') return { ...common, command: { value: scriptOf(task, journal) } }
    return {
      ...common,
      data: Buffer.from(JSON.stringify({ ms, code })).toString('base64'),
      executor: {
        type: 'CUSTOM',
        executor_id: { value: task.executor! },
        framework_id: this.frameworkId!,
        command: {
          value: `exec ${executor}`,
          environment: { variables: [{ name: 'CHAOS_JOURNAL', value: journal }] },
        },
        resources: amounts(offer, 0.1, 256),
      },
    }
  }

  /** The first call may be lost. */
  #killLater(id: string, waitMs: number): void {
    this.delay(waitMs, () => {
      if (this.hasEnded(id)) return
      this.kill({ value: id })
      this.#killLater(id, AGAIN_MS)
    })
  }
}

const RANKS = ['TASK_STAGING', 'TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING']

/** Where in a task's life a state stands. */
function rank(state: TaskStatus['state']): number {
  return isTerminal(state) ? RANKS.length : Math.max(0, RANKS.indexOf(state))
}

function amounts({ allocation_info }: Offer, cpus: number, mem: number): Resource[] {
  return Object.entries({ cpus, mem, disk: 1 }).map(([name, value]) => ({
    name,
    type: 'SCALAR' as const,
    scalar: { value },
    ...(allocation_info && { allocation_info }),
  }))
}
