// What a framework writes down and finds again after its scheduler died: its id, its tasks, and all it was told of them.

import type { FrameworkID } from '../messages/ids.ts'
import { isTerminal, type TaskState, type TaskStatus } from '../messages/status.ts'

export interface LedgerTask {
  readonly id: string
  readonly agentId: string
  /** Only a kill ends it. */
  readonly endless: boolean
  /** It is one of a group, which ends together. */
  readonly grouped: boolean
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
  /** Those that were never said to have ended. */
  readonly unfinished = new Set<LedgerTask>()
  /** The master ended the framework; what it was told after that counts no more. */
  removed = false
  /** It launches nothing any more. */
  over = false
  /** Tells executors that are hired later from those before. */
  staff = 0
  #next = 0
  readonly #conflict: ((text: string) => void) | undefined

  /** `conflict` hears of a task as soon as it was said to have ended in a second way. */
  constructor(name: string, conflict?: (text: string) => void) {
    this.name = name
    this.#conflict = conflict
  }

  /** An id that this framework never used. */
  nextTaskId(): string {
    return `${this.name}.${this.#next++}`
  }

  /** Written before the launch is sent. */
  launched(id: string, agentId: string, endless: boolean, grouped = false): void {
    const ends = new Set<TaskState>()
    const task = { id, agentId, endless, grouped, killed: false, statuses: [], ends }
    this.tasks.set(id, task)
    this.unfinished.add(task)
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
    if (!isTerminal(status.state)) return
    // The answer to a question that was asked before the end was heard of: the master says what it knows of a task that
    // is off its books, which is no second end.
    if (isAnswer(status) && task.ends.size > 0) return
    // An agent's word, late, of a launch that never reached it and whose framework it does not know: it forgets that
    // with its connection, so that a master which was elected meanwhile knew of no such task, and has said so when asked.
    const { source, reason, state } = status
    const disowned = source === 'SOURCE_AGENT' && reason === 'REASON_RECONCILIATION'
    if (
      disowned &&
      state === 'TASK_LOST' &&
      task.statuses.every(it => it === status || isHearsay(it))
    ) {
      task.ends.clear()
    }
    task.ends.add(status.state)
    this.unfinished.delete(task)
    if (task.ends.size > 1) this.#conflict?.(`task ${task.id} ended in several ways: ${told(task)}`)
  }

  /** What may run as far as its framework knows: a task that was called lost can come back. */
  get running(): LedgerTask[] {
    return [...this.tasks.values()].filter(({ statuses }) => {
      const last = statuses.at(-1)
      return last === undefined || !isTerminal(last.state)
    })
  }
}

const isAnswer = ({ source, reason }: TaskStatus): boolean =>
  source === 'SOURCE_MASTER' && reason === 'REASON_RECONCILIATION'

const isHearsay = (status: TaskStatus): boolean => !isTerminal(status.state) || isAnswer(status)

/** What its scheduler was told of a task, in order. */
export function told({ statuses }: LedgerTask): string {
  return statuses.map(s => `${s.state} (${s.source}, ${s.reason})`).join(', ')
}
