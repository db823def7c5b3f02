// An agent goes on where the one before it was: frameworks, executors, tasks and updates as they were written down, each
// joined with what is left of its container.
//
//   the container runs, or its end is on record   a command: its actor goes on; an executor: it has to subscribe again
//   there is none, and the task had not started   it never ran: TASK_DROPPED
//   there is none, and the task had started       it is gone with the machine's restart: TASK_GONE
//   all tasks have ended                          their last updates are sent until they are acknowledged
//
// Which of the four a task meets is decided here, before the agent speaks to anybody.

import type { Context } from '../actors/actor.ts'
import { formatDuration } from '../base/duration.ts'
import {
  type AgentExecutor,
  type AgentFramework,
  type AgentState,
  hasIncompleteTasks,
  type PendingTermination,
} from './agent-state.ts'
import type { Checkpoints } from './checkpoint/checkpoints.ts'
import type { KillRecord } from './checkpoint/forms.ts'
import type { RecoveredExecutor, RecoveredTask } from './checkpoint/recover.ts'
import type { AdoptedCommand } from './command-executor.ts'
import { type ExecutorEnds, NEVER_RAN } from './executor-ends.ts'
import type { ExecutorStarts } from './executor-starts.ts'
import { nestedId } from './nested.ts'
import type { LaunchedProcess } from './processes.ts'
import type { Recovered } from './recovered.ts'
import type { AgentSettings } from './settings.ts'
import { StatusUpdateStream } from './status-update-stream.ts'
import { applyStatus, taskRecord } from './task-record.ts'
import type { TaskStatusUpdateManager } from './task-status-update-manager.ts'
import type { Updates } from './updates.ts'
import { isTerminal } from '../messages/status.ts'

export interface RecoveryOptions {
  readonly context: Context
  readonly state: AgentState
  readonly settings: AgentSettings
  readonly checkpoints: Checkpoints
  readonly manager: TaskStatusUpdateManager
  readonly starts: ExecutorStarts
  readonly ends: ExecutorEnds
  readonly updates: Updates
}

const NEVER_LAUNCHED: PendingTermination = {
  state: 'TASK_DROPPED',
  reason: 'REASON_AGENT_RESTARTED',
  message: 'Task launched during agent restart',
}
const GONE: PendingTermination = {
  state: 'TASK_GONE',
  reason: 'REASON_AGENT_RESTARTED',
  message: 'The container of the task is gone: the machine was restarted',
}

export class Recovery {
  readonly #o: RecoveryOptions

  constructor(options: RecoveryOptions) {
    this.#o = options
  }

  /** Resolves when all that has to be said of tasks that are gone is kept. The state is complete at once. */
  async begin({ frameworks, containers }: Recovered): Promise<void> {
    const { context, state, ends } = this.#o
    const found: [AgentExecutor, RecoveredExecutor][] = []
    let tasks = 0
    for (const { info, executors } of frameworks) {
      const framework = state.addFramework(info.id!.value, info)
      for (const recovered of executors) {
        tasks += recovered.tasks.length
        found.push([this.#restore(framework, recovered), recovered])
      }
    }
    const fields = { frameworks: frameworks.length, executors: found.length, tasks }
    context.log.info({ ...fields, containers: containers.size }, 'recovered')
    const goingOn: Promise<void>[] = []
    for (const [executor, recovered] of found)
      goingOn.push(this.#goOn(executor, recovered, containers))
    // One that died before it wrote down a task leaves a framework without any.
    for (const framework of [...state.frameworks.values()]) ends.settled(framework, undefined)
    await Promise.all(goingOn)
  }

  #restore(framework: AgentFramework, recovered: RecoveredExecutor): AgentExecutor {
    const { info, kind, launched_for: launchedFor, containerId, tasks } = recovered
    const executor = this.#o.starts.create(framework, info, kind, launchedFor, containerId)
    executor.isRecovered = true
    executor.wasUsed = tasks.some(({ records }) => records.length > 0)
    for (const task of tasks) {
      if (task.group) executor.groups.set(task.info.task_id.value, task.group)
      this.#restoreTask(executor, task)
    }
    return executor
  }

  #restoreTask(executor: AgentExecutor, { info, records, updates }: RecoveredTask): void {
    const { checkpoints, manager } = this.#o
    const { framework } = executor
    const taskId = info.task_id.value
    const task = taskRecord(info, framework.info)
    const stream = new StatusUpdateStream(framework.id, taskId)
    let isClosed = false
    let terminal: string | undefined
    for (const record of records) {
      if (record.type === 'ACK') isClosed = stream.acknowledge(record.uuid) === 'closed'
      else if (stream.update(record.update) !== 'late') {
        applyStatus(task, record.update.status)
        if (isTerminal(task.state)) terminal = record.update.uuid
      }
    }
    if (isClosed) {
      executor.completed.push(task)
      return this.#o.ends.taskEnded(executor, taskId)
    }
    checkpoints.follow(framework.id, taskId, { ...updates, terminal })
    if (isTerminal(task.state)) executor.terminated.set(taskId, task)
    else executor.tasks.set(taskId, task)
    if (records.length > 0) manager.restore(stream)
  }

  async #goOn(
    executor: AgentExecutor,
    recovered: RecoveredExecutor,
    containers: Recovered['containers'],
  ): Promise<void> {
    const { context, ends, starts } = this.#o
    const process = containers.get(executor.containerId)
    if (executor.kind !== 'custom' && executor.tasks.size === 0) {
      // Its commands have ended, and their last updates are on disk.
      executor.state = 'TERMINATED'
      ends.forget(executor)
      return ends.settled(executor.framework, hasIncompleteTasks(executor) ? undefined : executor)
    }
    if (process && executor.kind === 'command') {
      return starts.adoptCommand(
        executor,
        adopted(executor, recovered.tasks[0]!, process, recovered.kill),
      )
    }
    if (process) {
      this.#expect(executor, recovered)
      // That ends when the process does.
      return context.dispatch(() => starts.adoptProcess(executor, process))
    }
    if (executor.kind === 'default') {
      const isThere = await this.#goOnWithGroups(executor, recovered, containers)
      if (isThere) return undefined
    }
    const hasStarted = [...executor.tasks.values()].some(({ state }) => state !== 'TASK_STAGING')
    executor.pendingTermination = hasStarted ? GONE : NEVER_LAUNCHED
    const fields = { executor: executor.id, framework: executor.framework.id }
    context.log.warn(
      fields,
      `nothing is left of an executor: ${executor.pendingTermination.message}`,
    )
    return ends.conclude(executor, NEVER_RAN)
  }

  /** False if nothing is left of any of its containers. */
  async #goOnWithGroups(
    executor: AgentExecutor,
    { tasks }: RecoveredExecutor,
    containers: Recovered['containers'],
  ): Promise<boolean> {
    const { starts, updates } = this.#o
    const groups = new Map<string, { tasks: AdoptedCommand[]; isBroken: boolean }>()
    const lost: RecoveredTask[] = []
    for (const task of tasks) {
      const taskId = task.info.task_id.value
      const [first = taskId] = task.group ?? []
      const group = groups.get(first) ?? { tasks: [], isBroken: false }
      groups.set(first, group)
      if (!executor.tasks.has(taskId)) {
        const end = executor.terminated.get(taskId)?.state ?? 'TASK_FINISHED'
        group.isBroken ||= end !== 'TASK_FINISHED'
        this.#o.ends.forgetTask(executor, taskId)
        continue
      }
      const process = containers.get(nestedId(executor.containerId, taskId))
      if (process) group.tasks.push(adopted(executor, task, process, task.kill))
      else {
        group.isBroken = true
        lost.push(task)
      }
    }
    if (lost.length === executor.tasks.size) return false
    starts.adoptGroups(executor, [...groups.values()])
    // In one turn, so that none of them is ended by anything else first.
    const told = lost.map(({ info }) => {
      const taskId = info.task_id.value
      const hasStarted = executor.tasks.get(taskId)?.state !== 'TASK_STAGING'
      return updates.fromAgent(executor, taskId, verdictOf(hasStarted ? GONE : NEVER_LAUNCHED))
    })
    await Promise.all(told)
    return true
  }

  /** One of which nothing was heard yet may be starting still, and has the time that it would have had. */
  #expect(executor: AgentExecutor, { tasks }: RecoveredExecutor): void {
    const { settings, ends } = this.#o
    if (tasks.length > 0 && !executor.wasUsed) {
      const limitMs = settings.executorRegistrationTimeoutMs
      return ends.expect(executor, limitMs, {
        reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
        message: `Executor did not register within ${formatDuration(limitMs)}`,
      })
    }
    const limitMs = settings.executorReregistrationTimeoutMs
    ends.expect(executor, limitMs, {
      reason: 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
      message: `Executor did not reregister within ${formatDuration(limitMs)}`,
    })
  }
}

/** A command of an agent before this one, and how far it had come. */
function adopted(
  executor: AgentExecutor,
  { info: task, records }: RecoveredTask,
  process: LaunchedProcess,
  kill: KillRecord | undefined,
): AdoptedCommand {
  const { statuses = [], state } = executor.tasks.get(task.task_id.value)!
  // The first of its updates that says so: what its checks found out later says it once more.
  const running = records.find(
    record => record.type === 'UPDATE' && record.update.status.state === 'TASK_RUNNING',
  )
  const since = running?.type === 'UPDATE' ? running.update.status.timestamp : undefined
  const startedAtMs = since && since * 1000
  return { task, process, state, startedAtMs, said: statuses.at(-1), kill }
}

const verdictOf = ({ state = 'TASK_FAILED', reason, message }: PendingTermination) => ({
  state,
  reason,
  message,
})
