// Launches that may never have reached a master: those without any status yet when the connection was lost.
//
// An ACCEPT that was on its way to a master which died is lost without a word, and its framework would wait for ever.
// So after a new subscription the scheduler asks about such tasks, again and again: while the master still waits for
// agents from before its election it gives no answer, since one of them may bring the task.

import { UserError } from '../base/errors.ts'
import type { AgentID, TaskID } from '../messages/ids.ts'
import type { OfferOperation } from '../messages/operation.ts'
import { whyTooLarge } from '../messages/size.ts'
import type { TaskStatus } from '../messages/status.ts'
import type { TaskInfo } from '../messages/task.ts'

/** The status of a task whose launch was not sent, since there was no master. */
export function unsent({ task_id, agent_id }: Launched, aware: boolean, nowMs: number): TaskStatus {
  return {
    task_id,
    agent_id,
    state: aware ? 'TASK_DROPPED' : 'TASK_LOST',
    source: 'SOURCE_MASTER',
    reason: 'REASON_MASTER_DISCONNECTED',
    message: 'Master disconnected',
    timestamp: nowMs / 1_000,
  }
}

export interface Launched {
  readonly task_id: TaskID
  readonly agent_id: AgentID
}

/** The tasks that operations would launch. */
export function tasksOf(operations: readonly OfferOperation[]): readonly TaskInfo[] {
  return operations.flatMap(operation => {
    if (operation.type === 'LAUNCH') return operation.launch.task_infos ?? []
    return operation.type === 'LAUNCH_GROUP' ? (operation.launch_group.task_group.tasks ?? []) : []
  })
}

export class UnansweredLaunches {
  readonly #tasks = new Map<string, Launched>()

  /** Called before they are sent. Throws a `UserError` if they are more than one call can say. */
  launched(operations: readonly OfferOperation[]): void {
    const tooLarge = whyTooLarge('call', operations)
    if (tooLarge !== undefined) {
      throw new UserError('invalid_value', `What these offers are accepted for ${tooLarge}.`, {
        hint: 'Launch fewer tasks with one call, or say less of each: TaskInfo.data is no place for files.',
      })
    }
    for (const { task_id, agent_id } of tasksOf(operations)) {
      this.#tasks.set(task_id.value, { task_id, agent_id })
    }
  }

  /** Any status will do: whoever sent it knows the task. But one kind says only that nobody knows where to ask, and we do. */
  heard({ task_id, state, agent_id }: TaskStatus): void {
    if (state === 'TASK_UNKNOWN' && agent_id === undefined) return
    this.#tasks.delete(task_id.value)
  }

  /** Those that have not been heard of. */
  all(): readonly Launched[] {
    return [...this.#tasks.values()]
  }

  /** Which of these have still not been heard of. */
  still(launched: readonly Launched[]): readonly Launched[] {
    return launched.filter(task => this.#tasks.get(task.task_id.value) === task)
  }
}
