// Whether what the scheduler was told of a task is what became of it. Pure: what was told, against what the task wrote down itself.

import { isTerminal, type TaskStatus } from '../../../src/messages/status.ts'
import type { TaskPlan } from './plan.ts'

export interface Evidence {
  /** What the task wrote down, or its executor. */
  readonly journal: readonly string[]
  /** In the order in which they came. */
  readonly statuses: readonly TaskStatus[]
  /** Its executor, of which it is a custom task, was killed in this round. */
  readonly executorKilled: boolean
  /** An agent or a master was killed in this round: what was on its way may be lost. */
  readonly messagesLost: boolean
  /** The group that it belongs to had a task that did not finish. */
  readonly groupBroken: boolean
}

const SIGNAL_TEXTS = { SEGV: 'Segmentation fault', ABRT: 'Aborted' }
const LOST = ['TASK_DROPPED', 'TASK_LOST', 'TASK_GONE', 'TASK_ERROR', 'TASK_UNREACHABLE']

/** The one that counts: the last that is terminal. */
export function endOf(statuses: readonly TaskStatus[]): TaskStatus | undefined {
  return statuses.findLast(({ state }) => isTerminal(state))
}

/** What is wrong; undefined if nothing. */
export function whyUntrue(task: TaskPlan, evidence: Evidence): string | undefined {
  const { statuses } = evidence
  const ends = statuses.filter(({ state }) => isTerminal(state))
  const [end] = ends
  if (!end) return 'it has not ended'
  // The master's own have no uuid; one of them may come before the agent's, and say the same.
  const said = new Set(ends.map(({ uuid }) => uuid ?? ''))
  if (said.size > 2 || (said.size === 2 && !said.has(''))) return 'it ended more than once'
  const states = new Set(ends.map(({ state }) => state))
  if (states.size > 1) return `it ended as ${[...states].join(' and as ')}`
  if (LOST.includes(end.state)) return whyNotLost(end, evidence)
  // A group may come to an executor that ends with its last task just then.
  const isLate = task.kind === 'group' && end.reason === 'REASON_EXECUTOR_TERMINATED'
  if (isLate && evidence.journal.length === 0) return undefined
  if (end.state === 'TASK_KILLED') return whyNotKilled(task, evidence)
  return task.kind === 'custom'
    ? whyNotSaid(task, end, evidence)
    : whyNotExited(task, end, evidence.journal)
}

function whyNotLost({ state, reason }: TaskStatus, e: Evidence): string | undefined {
  if (e.journal.length > 0) return `it ran, and is ${state}`
  // On its way to an executor that ended it was in nobody's hands.
  if (!e.messagesLost && reason !== 'REASON_EXECUTOR_TERMINATED')
    return `${state}, though neither an agent nor a master was killed`
  return undefined
}

function whyNotKilled(task: TaskPlan, e: Evidence): string | undefined {
  if (task.killAfterMs === undefined && !e.groupBroken) return 'nobody had asked to kill it'
  if (task.kind !== 'custom' || e.journal.length === 0) return undefined
  if (e.journal.at(-1) === 'TASK_KILLED' || e.executorKilled) return undefined
  return 'its executor did not say TASK_KILLED'
}

/** A command. */
function whyNotExited(
  { code, signal }: TaskPlan,
  { state, message = '' }: TaskStatus,
  journal: readonly string[],
): string | undefined {
  if (journal.at(-1) !== 'ends') return `${state}, though it had not come to its end`
  const how = signal
    ? `terminated with signal ${SIGNAL_TEXTS[signal]}`
    : `exited with status ${code}`
  const isSuccess = !signal && code === 0
  if (state !== (isSuccess ? 'TASK_FINISHED' : 'TASK_FAILED')) return `${state}, but it ${how}`
  // What ends as it should is not explained.
  if (isSuccess || message.includes(how)) return undefined
  return `'${message}', but it ${how}`
}

const KILLED_REASONS = ['REASON_EXECUTOR_TERMINATED', 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT']

function whyNotSaid(task: TaskPlan, end: TaskStatus, e: Evidence): string | undefined {
  const { state, source, reason = '', message = '' } = end
  const said = e.journal.find(word => word.startsWith('TASK_'))
  if (source === 'SOURCE_EXECUTOR') {
    if (said !== state) return `${state}, but its executor said ${said ?? 'nothing'}`
    const code = `code ${task.code}`
    return message === code ? undefined : `'${message}', but its executor said '${code}'`
  }
  if (state !== 'TASK_FAILED' || !KILLED_REASONS.includes(reason))
    return `${state} by ${source}, ${reason}: '${message}'`
  if (!e.executorKilled) return `${reason}, but its executor was not killed`
  return undefined
}
