// What the master asks about tasks: run this one, kill that one; and what became of one that nobody here knows.

import type { Context } from '../actors/actor.ts'
import type { KillTask, Reconciliation, RunTask } from '../messages/agent-registration.ts'
import type { AgentExecutor, AgentFramework, AgentState } from './agent-state.ts'
import type { Isolation } from './containerizer/isolation.ts'
import type { ExecutorEnds } from './executor-ends.ts'
import type { ExecutorStarts } from './executor-starts.ts'
import type { Executors } from './executors.ts'
import { whyRefused } from './refusals.ts'
import { commandExecutorInfo } from './task-record.ts'
import type { AgentVerdict, Updates } from './updates.ts'

export interface TasksOptions {
  readonly context: Context
  readonly state: AgentState
  readonly starts: ExecutorStarts
  readonly executors: Executors
  readonly ends: ExecutorEnds
  readonly updates: Updates
  readonly user: string
  readonly isolation: Isolation
  /** Whether the master has this agent. */
  readonly registered: () => boolean
}

export class Tasks {
  readonly #o: TasksOptions

  constructor(options: TasksOptions) {
    this.#o = options
  }

  async run(message: RunTask): Promise<void> {
    const { context, state, starts, user, isolation } = this.#o
    const { framework: info, task, launch_executor: isNew = true } = message
    const frameworkId = info.id?.value
    const taskId = task.task_id.value
    if (frameworkId === undefined) {
      return context.log.warn({ task: taskId }, 'task ignored: its framework has no id')
    }
    const framework = state.framework(frameworkId) ?? state.addFramework(frameworkId, info)
    if (framework.state === 'TERMINATING') {
      return context.log.warn(
        { framework: frameworkId, task: taskId },
        'task ignored: its framework ends',
      )
    }
    framework.info = info
    const refusal = whyRefused(task, { framework: info, user, isolation })
    if (refusal) return this.#refuse(framework, message, refusal)
    const kind = task.executor ? 'custom' : 'command'
    const executorId = task.executor?.executor_id.value ?? taskId
    const existing = framework.executors.get(executorId)
    if (existing) return this.#add(existing, message)
    if (!isNew) {
      return this.#refuse(framework, message, {
        state: 'TASK_DROPPED',
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: 'Executor terminated',
      })
    }
    const executor = starts.create(
      framework,
      task.executor
        ? { ...task.executor, framework_id: { value: frameworkId } }
        : commandExecutorInfo(task, info),
      kind,
      taskId,
    )
    executor.queued.set(taskId, task)
    const fields = { framework: frameworkId, task: taskId, container: executor.containerId }
    context.log.info(fields, kind === 'command' ? 'running a command' : 'starting an executor')
    return starts.start(executor)
  }

  kill({ framework_id, task_id, kill_policy }: KillTask): Promise<void> | void {
    const { context, state, executors, updates } = this.#o
    const taskId = task_id.value
    const framework = state.framework(framework_id.value)
    const fields = { framework: framework_id.value, task: taskId }
    if (!framework) return context.log.warn(fields, 'kill ignored: its framework has nothing here')
    const executor = state.executorOf(framework.id, taskId)
    if (!executor) {
      // Refused before, and the scheduler does not know it yet: that answer is on its way.
      if (framework.refused.has(taskId)) return
      // Sent before its silence was noticed, as its launch may have been, which is ignored for the same reason. What became
      // of the task the master says, when it has the agent back.
      if (!this.#o.registered()) {
        return context.log.warn(fields, 'kill ignored: the agent is not registered at present')
      }
      return updates.refuse(framework, taskId, {
        state: 'TASK_DROPPED',
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: 'Unable to find executor',
      })
    }
    context.log.info(fields, 'killing a task')
    if (executor.queued.has(taskId)) return this.#killQueued(executor, taskId)
    if (!executor.tasks.has(taskId)) return
    // One of before the agent's restart has not subscribed yet, and hears of it then.
    if (executor.state !== 'RUNNING' && executor.state !== 'REGISTERING') return
    executors.kill(executor, { task_id, kill_policy })
  }

  /** The master believes these tasks here. Those that are not, are reported lost. */
  async reconcile({ framework_id, statuses }: Reconciliation): Promise<void> {
    const { state, updates } = this.#o
    const framework = state.framework(framework_id.value)
    for (const { task_id } of statuses) {
      const taskId = task_id.value
      if (state.executorOf(framework_id.value, taskId) || framework?.refused.has(taskId)) continue
      const verdict: AgentVerdict = {
        state: 'TASK_DROPPED',
        reason: 'REASON_RECONCILIATION',
        message: 'Reconciliation: task unknown to the agent',
      }
      if (framework) await updates.refuse(framework, taskId, verdict)
      else await updates.disown(framework_id.value, taskId, verdict)
    }
  }

  async #add(executor: AgentExecutor, message: RunTask): Promise<void> {
    const { context, executors, ends, starts } = this.#o
    const { task, launch_executor: isNew = true } = message
    const taskId = task.task_id.value
    const { framework } = executor
    if (executor.queued.has(taskId) || executor.tasks.has(taskId)) {
      return context.log.warn(
        { framework: framework.id, task: taskId },
        'task ignored: it is here already',
      )
    }
    if (executor.kind === 'command' || !task.executor) {
      return this.#refuse(framework, message, {
        state: 'TASK_DROPPED',
        reason: 'REASON_TASK_INVALID',
        message: 'Cannot reuse an already existing executor for a command task',
      })
    }
    if (executor.state === 'TERMINATING' || executor.state === 'TERMINATED') {
      // The end of this one was reported; what the master has counted since would never be given back.
      if (isNew && executor.state === 'TERMINATED')
        ends.reportExit(framework.id, executor.id, taskId)
      return this.#refuse(framework, message, {
        state: 'TASK_DROPPED',
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: `Executor ${executor.state.toLowerCase()}`,
      })
    }
    if (isNew) executor.launchedFor = taskId
    executor.queued.set(taskId, task)
    starts.resize(executor)
    const why = await context.resume(starts.save(executor, task))
    // It may have been killed meanwhile, or its executor have ended; others may have waited behind it.
    if (why === undefined || !executor.queued.has(taskId)) return executors.saved(executor)
    await this.#o.updates.fromAgent(executor, taskId, {
      state: 'TASK_FAILED',
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: `Failed to launch container: ${why}`,
    })
    executors.saved(executor)
  }

  #refuse(
    framework: AgentFramework,
    { task, launch_executor: isNew = true, launched_for }: RunTask,
    verdict: AgentVerdict,
  ): Promise<void> {
    const { ends, updates } = this.#o
    const executorId = task.executor?.executor_id.value
    // The master counts the resources of one that is not here, nor will be: what was sent before this has come.
    const counted = isNew ? task.task_id : launched_for
    if (counted && executorId !== undefined && !framework.executors.has(executorId)) {
      ends.reportExit(framework.id, executorId, counted.value)
    }
    return updates.refuse(framework, task.task_id.value, verdict)
  }

  async #killQueued(executor: AgentExecutor, taskId: string): Promise<void> {
    const { ends, updates } = this.#o
    await updates.fromAgent(executor, taskId, {
      state: 'TASK_KILLED',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
      message: 'Killed before delivery to the executor',
    })
    // Executors end themselves after their last task, but not before their first.
    if (!executor.wasUsed && executor.queued.size === 0) ends.shutdown(executor)
  }
}
