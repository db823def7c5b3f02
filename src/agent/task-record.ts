// The record an agent keeps of a task, and how a status changes it.

import { withoutSecrets } from '../messages/redacted.ts'
import { addStatus, isTerminal, type TaskStatus } from '../messages/status.ts'
import type { ExecutorInfo, Task, TaskInfo } from '../messages/task.ts'
import type { FrameworkInfo } from '../messages/framework.ts'

/** A task as it is known before anything was heard of it: TASK_STAGING. */
export function taskRecord(task: TaskInfo, framework: FrameworkInfo): Task {
  const user = task.command?.user ?? task.executor?.command?.user
  return {
    name: task.name,
    task_id: task.task_id,
    framework_id: framework.id ?? { value: '' },
    ...(task.executor && { executor_id: task.executor.executor_id }),
    agent_id: task.agent_id,
    state: 'TASK_STAGING',
    resources: task.resources ?? [],
    statuses: [],
    ...(task.labels && { labels: task.labels }),
    ...(task.discovery && { discovery: task.discovery }),
    ...(task.container && { container: withoutSecrets(task.container) }),
    ...(task.health_check && { health_check: task.health_check }),
    ...(task.kill_policy && { kill_policy: task.kill_policy }),
    ...(user !== undefined && { user }),
    ...(task.limits && { limits: task.limits }),
    ...(task.max_completion_time && { max_completion_time: task.max_completion_time }),
  }
}

/**
 * What a master that is elected later needs of a task that was never taken on: its end. It holds nothing, and whoever
 * asks for it must not be told that there was no such task, while the update of its end is still to come.
 */
export function refusedRecord(frameworkId: string, status: TaskStatus): Task {
  return {
    name: '',
    task_id: status.task_id,
    framework_id: { value: frameworkId },
    agent_id: status.agent_id ?? { value: '' },
    state: status.state,
    resources: [],
    statuses: [status],
  }
}

/**
 * Enters a status: the latest state, and the history. False, and nothing changed, if the task had ended already: its end is final.
 */
export function applyStatus(task: Task, status: TaskStatus): boolean {
  if (isTerminal(task.state)) return false
  task.state = status.state
  // A record may be on its way to the master: its history is another list, not a longer one.
  const history = [...(task.statuses ?? [])]
  addStatus(history, status)
  task.statuses = history
  return true
}

/** Most characters of a command that the name of its executor shows. */
const SHOWN_COMMAND_LENGTH = 15

/** An executor may take this much longer to end than its command: it has to report the end. */
const REPORT_MS = 2_000

/** The executor that the agent makes for a task without one. Its name is Mesos' and shows in lists. */
export function commandExecutorInfo(task: TaskInfo, framework: FrameworkInfo): ExecutorInfo {
  const grace = task.kill_policy?.grace_period
  return {
    executor_id: { value: task.task_id.value },
    ...(framework.id && { framework_id: framework.id }),
    name: `Command Executor (Task: ${task.task_id.value}) (Command: ${shortCommand(task)})`,
    source: task.task_id.value,
    resources: [],
    ...(task.command && { command: task.command }),
    ...(task.labels && { labels: task.labels }),
    ...(task.discovery && { discovery: task.discovery }),
    ...(grace && { shutdown_grace_period: { nanoseconds: grace.nanoseconds + REPORT_MS * 1e6 } }),
  }
}

function shortCommand({ command }: TaskInfo): string {
  const value = command?.value ?? ''
  if (command?.shell !== false) return `sh -c '${cut(value)}'`
  return `[${cut([value, ...(command.arguments ?? [])].join(', '))}]`
}

function cut(text: string): string {
  return text.length > SHOWN_COMMAND_LENGTH ? `${text.slice(0, SHOWN_COMMAND_LENGTH - 3)}...` : text
}
