// The way of a status update through the agent: from an executor, or from the agent itself, into the task's record,
// to the one that keeps it until it is acknowledged, and back to the executor.

import type { Context } from '../actors/actor.ts'
import { uuidToBase64 } from '../base/base64.ts'
import { seconds } from '../base/duration.ts'
import { onceAWhile } from '../base/log.ts'
import type { StatusUpdateAcknowledgement } from '../messages/agent-registration.ts'
import { ExecutorEvents } from '../messages/executor-api.ts'
import {
  isTerminal,
  type TaskState,
  type TaskStatus,
  type TaskStatusReason,
} from '../messages/status.ts'
import { withinSize } from '../messages/status-size.ts'
import type { Task } from '../messages/task.ts'
import type { AgentExecutor, AgentFramework, AgentState } from './agent-state.ts'
import type { Draining } from './draining.ts'
import type { AgentMetrics } from './metrics.ts'
import type { Registration } from './registration.ts'
import { stateFor } from './refusals.ts'
import type { AcknowledgeableUpdate } from './status-update-stream.ts'
import { applyStatus, refusedRecord, taskRecord } from './task-record.ts'
import type { TaskStatusUpdateManager, UpdateResult } from './task-status-update-manager.ts'

/** Updates that are none of an executor's are complained of this often, however many there are. */
const COMPLAINT_MS = seconds(10)

/** A status that the agent gives a task itself. */
export interface AgentVerdict {
  /** TASK_DROPPED becomes TASK_LOST for a framework that is not partition-aware. */
  readonly state: TaskState
  readonly reason: TaskStatusReason
  readonly message: string
  readonly limitation?: TaskStatus['limitation']
}

export interface UpdatesOptions {
  readonly context: Context
  readonly metrics: AgentMetrics
  readonly state: AgentState
  readonly registration: Registration
  readonly manager: TaskStatusUpdateManager
  readonly draining: Draining
  /** The address that tasks are reached at. */
  readonly ip: string
  /** The last of an executor's updates was acknowledged, or a refused task's: there may be something to clear away. */
  readonly settled: (framework: AgentFramework, executor: AgentExecutor | undefined) => void
  /** A scheduler has acknowledged a task's end, and its executor goes on. */
  readonly taskEnded: (executor: AgentExecutor, taskId: string) => void
  /** A task of this executor has ended: its container needs less. */
  readonly shrunk: (executor: AgentExecutor) => void
}

export class Updates {
  readonly #o: UpdatesOptions
  readonly #complain: ReturnType<typeof onceAWhile>

  constructor(options: UpdatesOptions) {
    this.#o = options
    this.#complain = onceAWhile(() => options.context.clock.now(), COMPLAINT_MS)
  }

  /** A well-formed update that an executor sent. The executor is told when it is kept, or will never be. */
  async fromExecutor(
    executor: AgentExecutor,
    given: TaskStatus & { readonly uuid: string },
  ): Promise<void> {
    if (!wasGiven(executor, given.task_id.value)) return this.#disregard(executor, given)
    this.#o.metrics.count('valid_status_updates')
    const kept = withinSize(given)
    const status: TaskStatus = {
      ...kept,
      executor_id: given.executor_id ?? executor.info.executor_id,
      container_status: this.#containerStatus(executor, kept),
    }
    await this.#take(executor.framework, executor, status, given.uuid)
  }

  /** An update of the agent's own, about a task of an executor. */
  async fromAgent(executor: AgentExecutor, taskId: string, verdict: AgentVerdict): Promise<void> {
    const status = this.#verdict(executor.framework, taskId, verdict, executor)
    await this.#take(executor.framework, executor, status, status.uuid)
  }

  /** An update about a task that no executor has. Its framework is kept until it is acknowledged. */
  async refuse(framework: AgentFramework, taskId: string, verdict: AgentVerdict): Promise<void> {
    const status = this.#verdict(framework, taskId, verdict, undefined)
    framework.refused.set(taskId, refusedRecord(framework.id, status))
    this.#o.context.log.warn(
      { framework: framework.id, task: taskId, state: status.state, reason: verdict.reason },
      `task refused: ${verdict.message}`,
    )
    const result = await this.#take(framework, undefined, status, status.uuid)
    if (result === 'kept') return this.#o.metrics.ended(status.state)
    // The task has a stream that ended already: nothing will be acknowledged.
    framework.refused.delete(taskId)
    this.#o.settled(framework, undefined)
  }

  /** An update about a task of a framework that this agent does not know. */
  async disown(frameworkId: string, taskId: string, verdict: AgentVerdict): Promise<void> {
    const { context, manager, state } = this.#o
    const status = this.#verdict(state.framework(frameworkId), taskId, verdict, undefined)
    await context.resume(manager.update(this.#message(frameworkId, undefined, status, status.uuid)))
  }

  /** The manager's wish: this update goes to the master now. */
  forward(update: AcknowledgeableUpdate): void {
    const { registration, state } = this.#o
    if (!registration.connected) return
    const frameworkId = update.framework_id.value
    const taskId = update.status.task_id.value
    const task =
      findTask(state.executorOf(frameworkId, taskId), taskId) ??
      state.framework(frameworkId)?.refused.get(taskId)
    let latest: TaskState = update.status.state
    if (task) {
      latest = task.state
      task.status_update_state = update.status.state
      task.status_update_uuid = update.uuid
    }
    registration.master.tell('status_update', { update: { ...update, latest_state: latest } })
  }

  /** The scheduler has an update. */
  async acknowledged(message: StatusUpdateAcknowledgement): Promise<void> {
    const { context, manager, state } = this.#o
    const frameworkId = message.framework_id.value
    const taskId = message.task_id.value
    const result = await context.resume(manager.acknowledge(frameworkId, taskId, message.uuid))
    if (result === 'unknown' || result === 'unexpected') {
      context.log.debug({ framework: frameworkId, task: taskId, result }, 'acknowledgement ignored')
      return
    }
    if (result !== 'closed') return
    const framework = state.framework(frameworkId)
    if (!framework) return
    const executor = state.executorOf(frameworkId, taskId)
    const task = executor?.terminated.get(taskId)
    if (executor && task) {
      executor.terminated.delete(taskId)
      executor.completed.push(task)
      if (executor.kind !== 'command') this.#o.taskEnded(executor, taskId)
    } else framework.refused.delete(taskId)
    this.#o.settled(framework, executor)
  }

  async #take(
    framework: AgentFramework,
    executor: AgentExecutor | undefined,
    status: TaskStatus,
    uuid: string,
  ): Promise<UpdateResult> {
    const { context, draining, manager, state } = this.#o
    const taskId = status.task_id.value
    const complete: TaskStatus = {
      ...draining.told(framework, status),
      timestamp: status.timestamp ?? context.clock.now() / 1000,
      uuid,
      ...(state.info.id && { agent_id: state.info.id }),
    }
    if (executor) this.#record(executor, complete)
    const { message, reason } = complete
    context.log.info(
      {
        framework: framework.id,
        task: taskId,
        ...(reason && { reason }),
        ...(message && { message }),
      },
      complete.state,
    )
    // Nobody waits for what becomes of a framework's tasks when it is gone.
    const result =
      framework.state === 'TERMINATING'
        ? 'ignored'
        : await context.resume(
            manager.update(this.#message(framework.id, executor, complete, uuid)),
          )
    if (executor && complete.source === 'SOURCE_EXECUTOR') this.#confirm(executor, complete, uuid)
    return result
  }

  /** The executor need not keep this update any longer. */
  #confirm(executor: AgentExecutor, { task_id }: TaskStatus, uuid: string): void {
    if (executor.pid === undefined) return
    this.#o.context.ref(ExecutorEvents, executor.pid).tell('event', {
      type: 'ACKNOWLEDGED',
      acknowledged: { task_id, uuid },
    })
  }

  /**
   * An update of a task that the executor does not have: another executor's, one that never was, or one whose end its
   * scheduler has acknowledged already. Passing it on would end what runs, or end something twice; keeping it until it
   * is acknowledged would fill the memory with what nobody waits for.
   */
  #disregard(executor: AgentExecutor, status: TaskStatus & { readonly uuid: string }): void {
    const { context, metrics } = this.#o
    metrics.count('invalid_status_updates')
    const task = status.task_id.value
    this.#complain(repeats =>
      context.log.warn(
        {
          executor: executor.id,
          framework: executor.framework.id,
          task,
          state: status.state,
          ...repeats,
        },
        'update ignored: the executor does not have this task, or its end is acknowledged',
      ),
    )
    this.#confirm(executor, status, status.uuid)
  }

  /** Enters the status into the executor's books. */
  #record(executor: AgentExecutor, status: TaskStatus): void {
    const taskId = status.task_id.value
    const queued = executor.queued.get(taskId)
    if (queued) {
      // Ended before it was given to its executor: it has no record yet.
      executor.queued.delete(taskId)
      executor.tasks.set(taskId, taskRecord(queued, executor.framework.info))
    }
    const task = executor.tasks.get(taskId)
    if (!task) return
    applyStatus(task, status)
    if (!isTerminal(task.state)) return
    this.#o.metrics.ended(task.state)
    executor.tasks.delete(taskId)
    executor.terminated.set(taskId, task)
    this.#o.shrunk(executor)
  }

  #message(
    frameworkId: string,
    executor: AgentExecutor | undefined,
    status: TaskStatus,
    uuid: string,
  ): AcknowledgeableUpdate {
    const { state } = this.#o
    return {
      framework_id: { value: frameworkId },
      ...(executor && { executor_id: executor.info.executor_id }),
      agent_id: state.info.id ?? { value: '' },
      status,
      timestamp: status.timestamp ?? 0,
      uuid,
    }
  }

  #verdict(
    framework: AgentFramework | undefined,
    taskId: string,
    { state, reason, message, limitation }: AgentVerdict,
    executor: AgentExecutor | undefined,
  ): TaskStatus & { readonly uuid: string } {
    const { context } = this.#o
    return {
      task_id: { value: taskId },
      // Of an unknown framework we cannot know what it understands; TASK_LOST every framework does.
      state: framework ? stateFor(state, framework.info) : stateFor(state, undefined),
      message,
      source: 'SOURCE_AGENT',
      reason,
      ...(limitation && { limitation }),
      ...(executor && { executor_id: executor.info.executor_id }),
      ...(this.#o.state.info.id && { agent_id: this.#o.state.info.id }),
      timestamp: context.clock.now() / 1000,
      uuid: uuidToBase64(context.random.uuid()),
    }
  }

  /** What the executor did not say about its container. */
  #containerStatus(executor: AgentExecutor, given: TaskStatus): TaskStatus['container_status'] {
    const known = given.container_status
    // 0: it has ended.
    const pid = known?.executor_pid ?? (executor.process?.pid || undefined)
    const networks = executor.process?.presence?.networks
    return {
      container_id: known?.container_id ?? { value: executor.containerId },
      network_infos: known?.network_infos ?? [
        ...(networks ?? [{ ip_addresses: [{ protocol: 'IPv4', ip_address: this.#o.ip }] }]),
      ],
      ...(known?.cgroup_info && { cgroup_info: known.cgroup_info }),
      ...(pid !== undefined && { executor_pid: pid }),
    }
  }
}

/** Whether the task is with this executor, or was and its end is not acknowledged. Queued ones it has not seen yet. */
function wasGiven(executor: AgentExecutor, taskId: string): boolean {
  return executor.tasks.has(taskId) || executor.terminated.has(taskId)
}

function findTask(executor: AgentExecutor | undefined, taskId: string): Task | undefined {
  return executor?.tasks.get(taskId) ?? executor?.terminated.get(taskId)
}
