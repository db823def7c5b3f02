// What a framework writes down and finds again after its scheduler died: its id, its tasks, and all it was told of them.

import type { FrameworkID } from '../messages/ids.ts'
import { isTerminal, type TaskState, type TaskStatus } from '../messages/status.ts'

export interface LedgerTask {
  readonly id: string
  readonly agentId: string
  /** Only a kill ends it. */
  readonly endless: boolean
  /** Its scheduler wants it ended. */
  killed: boolean
  readonly statuses: TaskStatus[]
  /** Terminal states that it was said to be in. A task that ended twice in the same way ended once, and was told again. */
  readonly ends: Set<TaskState>
}

export class Ledger {
  readonly name: string
  frameworkId: FrameworkID | undefined
  readonly tasks = new Map<string, LedgerTask>()
  /** The master ended the framework; what it was told after that counts no more. */
  removed = false
  /** It launches nothing any more. */
  over = false
  #next = 0

  constructor(name: string) {
    this.name = name
  }

  /** An id that this framework never used. */
  nextTaskId(): string {
    return `${this.name}.${this.#next++}`
  }

  /** Written before the launch is sent. */
  launched(id: string, agentId: string, endless: boolean): void {
    this.tasks.set(id, { id, agentId, endless, killed: false, statuses: [], ends: new Set() })
  }

  /** Written before the kill is sent. */
  killed(id: string): void {
    const task = this.tasks.get(id)
    if (task) task.killed = true
  }

  heard(status: TaskStatus): void {
    const task = this.tasks.get(status.task_id.value)
    if (!task) return
    task.statuses.push(status)
    // The answer to a question that was asked before the end was heard of: the master says what it knows of a task that
    // is off its books, which is no second end.
    const repeats = status.source === 'SOURCE_MASTER' && status.reason === 'REASON_RECONCILIATION'
    if (isTerminal(status.state) && !(repeats && task.ends.size > 0)) task.ends.add(status.state)
  }

  /** What may run as far as its framework knows: a task that was called lost can come back. */
  get running(): LedgerTask[] {
    return [...this.tasks.values()].filter(({ statuses }) => {
      const last = statuses.at(-1)
      return last === undefined || !isTerminal(last.state)
    })
  }

  get unfinished(): LedgerTask[] {
    return [...this.tasks.values()].filter(task => task.ends.size === 0)
  }
}
