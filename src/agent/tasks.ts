// What the master asks about tasks: run this one, kill that one; and what became of one that nobody here knows.

import type { Context } from '../actors/actor.ts'
import type {
  KillTask,
  Reconciliation,
  RunTask,
  RunTaskGroup,
} from '../messages/agent-registration.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import type { AgentExecutor, AgentFramework, AgentState } from './agent-state.ts'
import type { Isolation } from './containerizer/isolation.ts'
import type { ContainerizerName } from './docker/flags.ts'
import { DRAINING, type Draining } from './draining.ts'
import type { ExecutorEnds } from './executor-ends.ts'
import type { ExecutorStarts } from './executor-starts.ts'
import type { Executors } from './executors.ts'
import type { Switching } from './run-as.ts'
import { whyGroupRefused, whyRefused } from './refusals.ts'
import { commandExecutorInfo } from './task-record.ts'
import type { AgentVerdict, Updates } from './updates.ts'

export interface TasksOptions {
  readonly context: Context
  readonly state: AgentState
  readonly starts: ExecutorStarts
  readonly executors: Executors
  readonly ends: ExecutorEnds
  readonly updates: Updates
  readonly draining: Draining
  readonly switching: Switching
  readonly isolation: Isolation
  readonly containerizers: ReadonlySet<ContainerizerName>
  /** Whether the master has this agent. */
  readonly registered: () => boolean
}

export class Tasks {
  readonly #o: TasksOptions

  constructor(options: TasksOptions) {
    this.#o = options
  }

  async run(message: RunTask): Promise<void> {
    const { context, draining, starts, switching, isolation, containerizers } = this.#o
    const { framework: info, task, launch_executor: isNew = true } = message
    const frameworkId = info.id?.value
    const taskId = task.task_id.value
    const framework = this.#frameworkOf(message, taskId, task.executor)
    if (!framework || frameworkId === undefined) return
    if (draining.record) return this.#refuse(framework, message, DRAINING)
    const refusal = whyRefused(task, { framework: info, switching, isolation, containerizers })
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

  /** All of its tasks run, or none. */
  async runGroup(message: RunTaskGroup): Promise<void> {
    const { context, draining, starts, switching, isolation, containerizers } = this.#o
    const { framework: info, executor: described, launch_executor: isNew = true } = message
    // Each is known with its executor from here on.
    const tasks = (message.task_group.tasks ?? []).map(task => ({ ...task, executor: described }))
    const [first] = tasks
    if (!first) return
    const framework = this.#frameworkOf(message, first.task_id.value, described)
    if (!framework) return
    const ids = tasks.map(task => task.task_id.value)
    const each = tasks.map(task => ({ ...message, task }))
    const refuse = async (verdict: AgentVerdict): Promise<void> => {
      await Promise.all(
        each.map((one, index) => this.#refuse(framework, one, verdict, index === 0)),
      )
    }
    if (draining.record) return refuse(DRAINING)
    const existing = framework.executors.get(described.executor_id.value)
    const refusal = whyGroupRefused(described, tasks, {
      framework: info,
      switching,
      isolation,
      containerizers,
      ...(existing && { others: [...existing.tasks.values(), ...existing.queued.values()] }),
    })
    if (refusal) return refuse(refusal)
    if (existing) return this.#addGroup(existing, each, refuse)
    if (!isNew) {
      return refuse({
        state: 'TASK_DROPPED',
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: 'Executor terminated',
      })
    }
    const kind = described.type === 'DEFAULT' ? 'default' : 'custom'
    const executor = starts.create(
      framework,
      { ...described, framework_id: { value: framework.id } },
      kind,
      ids[0]!,
    )
    queue(executor, tasks)
    const fields = { framework: framework.id, tasks: ids, container: executor.containerId }
    context.log.info(fields, 'running a task group')
    return starts.start(executor)
  }

  /**
   * Undefined if what came for it is not to be run. What comes while the agent asks to be registered was sent before its silence
   * was noticed, maybe long ago: its scheduler may have been told otherwise meanwhile. The master finds it missing when it has the
   * agent back, and says so.
   */
  #frameworkOf(
    { framework: info, launch_executor: isNew }: Pick<RunTask, 'framework' | 'launch_executor'>,
    task: string,
    executor: ExecutorInfo | undefined,
  ): AgentFramework | undefined {
    const { context, ends, registered, state } = this.#o
    const id = info.id?.value
    if (!registered()) {
      context.log.warn({ task }, 'task ignored: the agent is not registered at present')
      // A master that never noticed the silence has counted it, and takes it for running from then on.
      if (isNew !== false && executor && id !== undefined)
        ends.reportExit(id, executor.executor_id.value, task)
      return undefined
    }
    if (id === undefined) {
      context.log.warn({ task }, 'task ignored: its framework has no id')
      return undefined
    }
    const framework = state.framework(id) ?? state.addFramework(id, info)
    if (framework.state === 'TERMINATING') {
      context.log.warn({ framework: id, task }, 'task ignored: its framework ends')
      return undefined
    }
    framework.info = info
    return framework
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
    const verdict: AgentVerdict = {
      state: 'TASK_DROPPED',
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: task unknown to the agent',
    }
    // All are looked at in this turn: in a later one, the acknowledgement of a task's end may have made it unknown.
    const unknown = statuses
      .map(({ task_id: { value } }) => value)
      .filter(id => !state.executorOf(framework_id.value, id) && !framework?.refused.has(id))
    await Promise.all(
      unknown.map(id =>
        framework
          ? updates.refuse(framework, id, verdict)
          : updates.disown(framework_id.value, id, verdict),
      ),
    )
  }

  async #add(executor: AgentExecutor, message: RunTask): Promise<void> {
    const { context, executors, starts } = this.#o
    const { task } = message
    const taskId = task.task_id.value
    const { framework } = executor
    if (executor.queued.has(taskId) || executor.tasks.has(taskId)) {
      return context.log.warn(
        { framework: framework.id, task: taskId },
        'task ignored: it is here already',
      )
    }
    const verdict = this.#whyNotAdded(executor, message)
    if (verdict) return this.#refuse(framework, message, verdict)
    executor.queued.set(taskId, task)
    starts.resize(executor)
    const why = await context.resume(starts.save(executor, task))
    // It may have been killed meanwhile, or its executor have ended; others may have waited behind it.
    if (why !== undefined && executor.queued.has(taskId)) {
      await this.#o.updates.fromAgent(executor, taskId, notWritten(why))
    }
    executor.unsaved.delete(taskId)
    executors.saved(executor)
  }

  async #addGroup(
    executor: AgentExecutor,
    each: readonly RunTask[],
    refuse: (verdict: AgentVerdict) => Promise<void>,
  ): Promise<void> {
    const { context, executors, starts, updates } = this.#o
    const tasks = each.map(({ task }) => task)
    const [first] = each
    const known = tasks.find(
      ({ task_id: { value } }) => executor.queued.has(value) || executor.tasks.has(value),
    )
    if (known) {
      const fields = { framework: executor.framework.id, task: known.task_id.value }
      return context.log.warn(fields, 'task group ignored: a task of it is here already')
    }
    const verdict = this.#whyNotAdded(executor, first!)
    if (verdict) return refuse(verdict)
    queue(executor, tasks)
    starts.resize(executor)
    const saved = await context.resume(Promise.all(tasks.map(task => starts.save(executor, task))))
    const why = saved.find(each => each !== undefined)
    if (why !== undefined) {
      const queued = tasks.filter(({ task_id }) => executor.queued.has(task_id.value))
      // All of them leave the queue in this turn.
      await Promise.all(
        queued.map(({ task_id }) => updates.fromAgent(executor, task_id.value, notWritten(why))),
      )
      for (const { task_id } of tasks) executor.unsaved.delete(task_id.value)
    }
    return executors.saved(executor)
  }

  /** Why an executor that is here takes no more tasks, or not this one. */
  #whyNotAdded(
    executor: AgentExecutor,
    { task, launch_executor: isNew = true }: RunTask,
  ): AgentVerdict | undefined {
    const { framework } = executor
    if (executor.kind === 'command' || !task.executor) {
      return {
        state: 'TASK_DROPPED',
        reason: 'REASON_TASK_INVALID',
        message: 'Cannot reuse an already existing executor for a command task',
      }
    }
    if (executor.state === 'TERMINATING' || executor.state === 'TERMINATED') {
      const taskId = task.task_id.value
      // The end of this one was reported; what the master has counted since would never be given back.
      if (isNew && executor.state === 'TERMINATED')
        this.#o.ends.reportExit(framework.id, executor.id, taskId)
      return {
        state: 'TASK_DROPPED',
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: `Executor ${executor.state.toLowerCase()}`,
      }
    }
    if (isNew) executor.launchedFor = task.task_id.value
    return undefined
  }

  #refuse(
    framework: AgentFramework,
    { task, launch_executor: isNew = true, launched_for }: RunTask,
    verdict: AgentVerdict,
    /** Its executor is given back with the first task of a group. */
    isFirst = true,
  ): Promise<void> {
    const { ends, updates } = this.#o
    const executorId = task.executor?.executor_id.value
    // The master counts the resources of one that is not here, nor will be: what was sent before this has come.
    const counted = isNew ? task.task_id : launched_for
    if (isFirst && counted && executorId !== undefined && !framework.executors.has(executorId)) {
      ends.reportExit(framework.id, executorId, counted.value)
    }
    return updates.refuse(framework, task.task_id.value, verdict)
  }

  async #killQueued(executor: AgentExecutor, taskId: string): Promise<void> {
    const { ends, updates } = this.#o
    // A group that has not begun goes whole, and from the queue in this turn: what is left in it may be delivered in the next.
    const ids = executor.groups.get(taskId) ?? [taskId]
    const killed = ids.filter(id => executor.queued.has(id))
    await Promise.all(
      killed.map(id =>
        updates.fromAgent(executor, id, {
          state: 'TASK_KILLED',
          reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
          message: 'Killed before delivery to the executor',
        }),
      ),
    )
    // Executors end themselves after their last task, but not before their first.
    if (!executor.wasUsed && executor.queued.size === 0) ends.shutdown(executor)
  }
}

/** The tasks of a group wait for their executor together. */
function queue(executor: AgentExecutor, tasks: readonly TaskInfo[]): void {
  const ids = tasks.map(task => task.task_id.value)
  for (const task of tasks) {
    executor.queued.set(task.task_id.value, task)
    executor.groups.set(task.task_id.value, ids)
  }
}

const notWritten = (why: string): AgentVerdict => ({
  state: 'TASK_FAILED',
  reason: 'REASON_CONTAINER_LAUNCH_FAILED',
  message: `Failed to launch container: ${why}`,
})
