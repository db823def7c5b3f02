// What must hold in a cluster: at every moment, and when all that was broken is whole again.

import type { StateView } from './cluster.ts'
import { type Ledger, type LedgerTask, told } from './ledger.ts'
import { isTerminal, type TaskStatus } from '../messages/status.ts'
import type { TaskRuns } from './task-runs.ts'

const SMALLEST_AMOUNT = 1e-6

/** What `/state` contradicts itself in: one line each. */
export function momentaryProblems(state: StateView): string[] {
  const found: string[] = []
  for (const { id, resources, used_resources: used, offered_resources: offered } of state.slaves) {
    for (const name of ['cpus', 'mem'] as const) {
      const taken = used[name] + offered[name]
      if (taken > resources[name] + SMALLEST_AMOUNT) {
        found.push(`agent ${id}: ${taken} of ${resources[name]} ${name} are taken`)
      }
    }
  }
  const agents = new Set(state.slaves.map(({ id }) => id))
  for (const framework of state.frameworks) {
    const seen = new Set<string>()
    for (const { id, slave_id, state: at } of framework.tasks) {
      const what = `task ${id} (${at}) of ${framework.id}`
      if (seen.has(id)) found.push(`${what} is there twice`)
      if (!agents.has(slave_id)) found.push(`${what} is on ${slave_id}, which is not there`)
      seen.add(id)
    }
    for (const { id } of framework.unreachable_tasks) {
      if (seen.has(id)) found.push(`task ${id} of ${framework.id} is unreachable, and is not`)
    }
    for (const { id, slave_id } of framework.offers) {
      if (!agents.has(slave_id)) found.push(`offer ${id} is of ${slave_id}, which is not there`)
    }
  }
  return found
}

/** What is held although nothing runs and nobody wants anything. */
export function heldAtRest(state: StateView): string[] {
  const found: string[] = []
  for (const { id, used_resources: used, offered_resources: offered } of state.slaves) {
    if (used.cpus > 0 || used.mem > 0) found.push(`agent ${id}: ${used.cpus} cpus are still used`)
    if (offered.cpus > 0) found.push(`agent ${id}: ${offered.cpus} cpus are still offered`)
  }
  for (const { id, tasks } of state.frameworks) {
    for (const task of tasks) found.push(`task ${task.id} of ${id} is still ${task.state}`)
  }
  return found
}

export interface FinalWord {
  readonly ledger: Ledger
  readonly partitionAware: boolean
  /** The master removed the framework once: what its tasks came to need not be told. */
  readonly wasRemoved: boolean
}

/**
 * Holds what schedulers were told against what happened.
 *
 * A task that was launched ends in exactly one terminal state: all terminal statuses that its scheduler was ever told
 * name the same state, however often it was told; but for the master's answers to questions that were asked before the
 * end was heard of. For a framework that is not partition-aware TASK_LOST stands for
 * being out of reach, so only that there is an end is asked for. TASK_UNREACHABLE and TASK_UNKNOWN are no ends; they
 * may be the last word only about an agent that is not registered any more, for nobody can know the rest.
 *
 * No acknowledged update is lost: a task that ended of itself under an agent process that still lives ended, for its
 * scheduler, as it did in truth.
 */
export function finalProblems(word: FinalWord, state: StateView, runs: TaskRuns): string[] {
  const { ledger, partitionAware, wasRemoved } = word
  const agents = new Set(state.slaves.map(({ id }) => id))
  const frameworkId = ledger.frameworkId?.value ?? ''
  const found: string[] = []
  for (const task of ledger.tasks.values()) {
    const problem = problemOf(task)
    if (problem === undefined) continue
    const what = `task ${task.id} of ${frameworkId} on ${task.agentId}`
    found.push(`${what}: ${problem}; told: ${told(task)}`)
  }
  return found

  function problemOf({
    id,
    agentId,
    ends,
    statuses,
    killed,
    grouped,
  }: LedgerTask): string | undefined {
    if (runs.of(frameworkId, id)?.over === false) return 'it still runs'
    if (ends.size === 0) {
      const last = statuses.at(-1)?.state
      const unknowable = last === 'TASK_UNREACHABLE' || last === 'TASK_UNKNOWN'
      return unknowable && !agents.has(agentId) ? undefined : 'it never ended'
    }
    if (!partitionAware) return undefined
    if (ends.size > 1) return 'it ended in several ways'
    // What was on its way when its end was told may come after it, and then its end once more.
    const news = firstTold(statuses)
    if (news.some(isEnd) && !isEnd(news.at(-1)!)) return 'it went on after its end'
    const truth = runs.ownEnd(frameworkId, id)
    if (truth === undefined || wasRemoved || ends.has(truth)) return undefined
    // A kill that came while it was being started counts, though it may have left before it could be signalled.
    if ((killed || grouped) && ends.has('TASK_KILLED')) return undefined
    if (statuses.some(isByOperator)) return undefined
    return `it ended as ${truth} in truth`
  }
}

/** An operator ended what ran on its agent, whatever it came to by itself. */
const isByOperator = ({ state, reason, message = '' }: TaskStatus): boolean =>
  state === 'TASK_GONE_BY_OPERATOR' ||
  reason === 'REASON_AGENT_DRAINING' ||
  reason === 'REASON_AGENT_REMOVED_BY_OPERATOR' ||
  message.includes('Operator initiated')

const isEnd = ({ state }: TaskStatus): boolean => isTerminal(state)

/** Updates of agents, each where it was told first. */
function firstTold(statuses: readonly TaskStatus[]): TaskStatus[] {
  const uuids = new Set<string>()
  return statuses.filter(({ uuid }) => {
    if (uuid === undefined || uuids.has(uuid)) return false
    uuids.add(uuid)
    return true
  })
}
