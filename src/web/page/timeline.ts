// A task's life as steps: what it became, when, how long it stayed so, and why.

import type { Task } from './state.ts'
import { isTerminal } from './task-state.ts'

export interface Step {
  readonly state: string
  readonly atMs: number
  /** How long the task stayed in this state; undefined for the last one. */
  readonly lastedMs: number | undefined
  /** Still so: the time goes on. */
  readonly ongoing: boolean
  readonly message: string
  readonly reason: string
  readonly healthy: boolean | undefined
}

export function timelineOf(task: Task): Step[] {
  const statuses = task.statuses ?? []
  return statuses.map((status, index) => {
    const next = statuses[index + 1]
    return {
      state: status.state,
      atMs: status.timestamp * 1000,
      lastedMs: next ? Math.max(0, (next.timestamp - status.timestamp) * 1000) : undefined,
      ongoing: next === undefined && !isTerminal(status.state),
      message: status.message ?? '',
      reason: status.reason ?? '',
      healthy: status.healthy,
    }
  })
}

/** Where the agent keeps a task's files, as the master's `/files` routes name it. */
export function sandboxPath(task: Task, path: string): string {
  const executorId = task.executor_id || task.id
  const sandbox = `/frameworks/${task.framework_id}/executors/${executorId}/runs/latest`
  return path ? `${sandbox}/${path}` : sandbox
}
