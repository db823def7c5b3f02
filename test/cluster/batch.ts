// A framework for tests of the whole cluster, simulated or real.

import type { Address } from '../../src/actors/pid.ts'
import { pack, type TaskRequest } from '../../src/framework/packing.ts'
import { Scheduler, type SchedulerOptions } from '../../src/framework/scheduler.ts'
import type { Offer } from '../../src/messages/offer.ts'
import { MASTER } from '../../src/sim/cluster.ts'
import { isTerminal, type TaskState, type TaskStatus } from '../../src/messages/status.ts'

/** Runs commands, as many at a time as offers hold, and remembers every status. */
export class Batch extends Scheduler {
  waiting: readonly TaskRequest[]
  readonly statuses = new Map<string, TaskStatus[]>()
  readonly errors: string[] = []
  /** Tasks that could not be reached are launched again under another name. */
  readonly #again: boolean

  constructor(
    commands: readonly string[],
    more: Partial<SchedulerOptions['framework']> = {},
    options: {
      readonly again?: boolean
      readonly cpus?: number
      readonly master?: Address
    } = {},
  ) {
    super({ master: options.master ?? MASTER, framework: { name: 'batch', ...more } })
    this.#again = options.again ?? false
    this.waiting = commands.map((value, i) => ({
      name: value,
      task_id: { value: `t${i}` },
      command: { value },
      needs: { cpus: options.cpus ?? 1, mem: 64 },
    }))
  }

  last(id: string): TaskState | undefined {
    return this.statuses.get(id)?.at(-1)?.state
  }

  count(state: TaskState): number {
    return [...this.statuses.keys()].filter(id => this.last(id) === state).length
  }

  /** In how many ways a task was said to have ended. An update comes again until its acknowledgement has arrived. */
  ends(id: string): number {
    const ends = this.statuses.get(id)?.filter(s => isTerminal(s.state)) ?? []
    return new Set(ends.map(s => s.uuid ?? s.state)).size
  }

  /** What was said of a task, for who looks for the reason. */
  told(id: string): string {
    const statuses = this.statuses.get(id) ?? []
    return statuses.map(s => `${s.state} (${s.source}, ${s.reason}, ${s.uuid})`).join(', ')
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      const { tasks, rest } = pack(offer, this.waiting)
      this.waiting = rest
      this.launch(offer, tasks, { refuse_seconds: 1 })
    }
  }

  protected override update(status: TaskStatus): void {
    const id = status.task_id.value
    const known = this.statuses.get(id)
    if (known?.some(s => s.uuid !== undefined && s.uuid === status.uuid)) return
    if (known) known.push(status)
    else this.statuses.set(id, [status])
    const gone = status.state === 'TASK_LOST' || status.state === 'TASK_UNREACHABLE'
    if (!gone || !this.#again) return
    this.waiting = [
      ...this.waiting,
      {
        name: 'again',
        task_id: { value: `${id}-again` },
        command: { value: 'sleep 1' },
        needs: { cpus: 1, mem: 64 },
      },
    ]
    this.revive()
  }

  protected override error(message: string): void {
    this.errors.push(message)
  }
}
