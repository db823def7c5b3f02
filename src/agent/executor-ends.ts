// How executors end: asked to, made to, or by themselves; and what is cleared away after them.

import type { Context } from '../actors/actor.ts'
import { formatDuration } from '../base/duration.ts'
import {
  type AgentExecutor,
  type AgentFramework,
  type AgentState,
  type CompletedExecutor,
  hasIncompleteTasks,
  isIdle,
  type PendingTermination,
} from './agent-state.ts'
import { durationMs } from './command-executor.ts'
import type { ExecutorLinks } from './executor-links.ts'
import { containersOf, nestedId } from './nested.ts'
import type { FileAttachments } from './files.ts'
import type { AgentMetrics } from './metrics.ts'
import type { AgentOptions } from './options.ts'
import { virtualRunPath } from './paths.ts'
import type { Registration } from './registration.ts'
import type { TaskStatusUpdateManager } from './task-status-update-manager.ts'
import type { Updates } from './updates.ts'
import { describeWaitStatus } from './wait-status.ts'

/** What an executor said last may arrive after the news of its end; this long. */
const LAST_WORDS_MS = 1_000
/** Reported as wait status of an executor that never came to be. */
export const NEVER_RAN = -1

export interface ExecutorEndsOptions {
  readonly context: Context
  readonly metrics: AgentMetrics
  readonly options: AgentOptions
  readonly state: AgentState
  readonly registration: Registration
  readonly manager: TaskStatusUpdateManager
  readonly attachments: FileAttachments
  readonly links: ExecutorLinks
  readonly updates: Updates
  /** The last framework is gone from the agent. */
  readonly idle: () => void
}

export class ExecutorEnds {
  readonly #o: ExecutorEndsOptions

  readonly #unreported: {
    readonly frameworkId: string
    readonly executorId: string
    readonly launchedFor: string
    readonly waitStatus: number
  }[] = []

  constructor(options: ExecutorEndsOptions) {
    this.#o = options
  }

  /** Asks an executor to end, and ends it if it does not in time. */
  shutdown(executor: AgentExecutor): void {
    const { context, options } = this.#o
    if (executor.state === 'TERMINATING' || executor.state === 'TERMINATED') return
    const isConnected = executor.state === 'RUNNING' && executor.pid !== undefined
    executor.state = 'TERMINATING'
    executor.deadline?.cancel()
    if (!isConnected) return this.destroy(executor)
    this.#o.links.tell(executor, { type: 'SHUTDOWN' })
    const grace = executor.info.shutdown_grace_period
    const graceMs = grace ? durationMs(grace) : options.settings.executorShutdownGraceMs
    executor.deadline = context.delay(graceMs, () => {
      const fields = { executor: executor.id, framework: executor.framework.id }
      context.log.warn(fields, `executor did not end within ${formatDuration(graceMs)}; killing it`)
      this.destroy(executor)
    })
  }

  /** Its executors end, and what is known of it is put aside. */
  shutdownFramework(framework: AgentFramework): void {
    framework.state = 'TERMINATING'
    framework.refused.clear()
    for (const executor of [...framework.executors.values()]) {
      if (executor.state === 'TERMINATED') this.#remove(executor)
      else this.shutdown(executor)
    }
    this.#removeFrameworkIfIdle(framework)
  }

  /** Clears away what is over: an executor without tasks that has ended, a framework without executors. */
  settled(framework: AgentFramework, executor: AgentExecutor | undefined): void {
    if (executor?.state === 'TERMINATED' && !hasIncompleteTasks(executor)) this.#remove(executor)
    this.#removeFrameworkIfIdle(framework)
  }

  /** The end of one of its tasks is acknowledged, and it goes on. */
  taskEnded({ framework, id, containerId, groups }: AgentExecutor, taskId: string): void {
    const { options, state } = this.#o
    groups.delete(taskId)
    if (!framework.info.checkpoint) return
    const place = { agentId: state.agentId!, frameworkId: framework.id, executorId: id }
    void options.checkpoints?.taskEnded({ ...place, containerId }, taskId)
  }

  /** Tells the master that an executor is no more, which it counts the resources of. Command executors it never saw. */
  reportExit(
    frameworkId: string,
    executorId: string,
    launchedFor: string,
    waitStatus = NEVER_RAN,
  ): void {
    this.#unreported.push({ frameworkId, executorId, launchedFor, waitStatus })
    this.reportExits()
  }

  /**
   * Tells the master of the ends that it has not heard of. To be called when it has the agent back: the list of executors
   * that it then goes by is older than its answer, and what ended in between would be on its books for ever.
   */
  reportExits(): void {
    const { registration, state } = this.#o
    if (!registration.connected) return
    for (const { frameworkId, executorId, launchedFor, waitStatus } of this.#unreported.splice(0)) {
      registration.master.tell('exited_executor', {
        agent_id: state.info.id!,
        framework_id: { value: frameworkId },
        executor_id: { value: executorId },
        status: waitStatus,
        launched_for: { value: launchedFor },
      })
    }
  }

  /** Ends an executor that does not turn up in time. */
  expect(executor: AgentExecutor, limitMs: number, otherwise: PendingTermination): void {
    const { context } = this.#o
    executor.deadline?.cancel()
    executor.deadline = context.delay(limitMs, () => {
      const fields = { executor: executor.id, framework: executor.framework.id }
      context.log.warn(fields, `${otherwise.message}; killing it`)
      executor.pendingTermination = otherwise
      executor.state = 'TERMINATING'
      this.destroy(executor)
    })
  }

  /** The process has ended. Its last messages are waited for as long as its connection is open. */
  processEnded(executor: AgentExecutor, waitStatus: number): Promise<void> | void {
    executor.waitStatus = waitStatus
    if (executor.state === 'TERMINATED') return
    executor.state = 'TERMINATING'
    executor.deadline?.cancel()
    if (executor.pid === undefined) return this.conclude(executor, waitStatus)
    executor.deadline = this.#o.context.delay(LAST_WORDS_MS, () =>
      this.conclude(executor, waitStatus),
    )
  }

  /** Kills it. Its end is concluded when it is seen. */
  destroy(executor: AgentExecutor): void {
    const { context, options } = this.#o
    if (executor.kind !== 'custom') {
      // The actor kills its process in its last turn; then its link tells us.
      if (executor.pid !== undefined) context.terminate(executor.pid)
    } else if (executor.process) options.processes.killTree(executor.process.pid, 'SIGKILL')
    // Else it is being started, and that will see the new state.
    else options.processes.abandon?.(executor.containerId)
  }

  launchFailed(executor: AgentExecutor, why: string): Promise<void> {
    this.#o.metrics.count('container_launch_errors')
    executor.pendingTermination ??= {
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: `Failed to launch container: ${why}`,
    }
    return this.conclude(executor, NEVER_RAN)
  }

  /** It has ended. What it left undone fails. */
  async conclude(executor: AgentExecutor, waitStatus: number): Promise<void> {
    const { context, links, updates } = this.#o
    if (executor.state === 'TERMINATED') return
    const { framework, id } = executor
    executor.state = 'TERMINATED'
    this.#o.metrics.count('executors_terminated')
    executor.deadline?.cancel()
    links.disconnect(executor)
    if (executor.kind !== 'command') {
      const how = waitStatus === NEVER_RAN ? 'was not started' : describeWaitStatus(waitStatus)
      context.log.info({ executor: id, framework: framework.id }, `executor ${how}`)
      this.reportExit(framework.id, id, executor.launchedFor, waitStatus)
    }
    if (framework.state === 'RUNNING') {
      const verdict = executor.pendingTermination ?? {
        reason: 'REASON_EXECUTOR_TERMINATED' as const,
        message: 'Executor terminated',
      }
      // All of them end in this turn: in a later one, a kill might have ended some already.
      const ended = [...executor.tasks.keys(), ...executor.queued.keys()].map(taskId =>
        updates.fromAgent(executor, taskId, { state: 'TASK_FAILED', ...verdict }),
      )
      await Promise.all(ended)
    }
    this.forget(executor)
    if (framework.state === 'TERMINATING') this.#remove(executor)
    this.settled(framework, executor)
  }

  /** What its end meant for its tasks is on disk: the container's record need not tell of it again. */
  forget(executor: AgentExecutor): void {
    if (!executor.framework.info.checkpoint) return
    for (const containerId of containersOf(executor)) {
      this.#o.options.processes.forget?.(containerId)
    }
  }

  /** The same of one task of a group, whose executor goes on. */
  forgetTask({ containerId }: AgentExecutor, taskId: string): void {
    this.#o.options.processes.forget?.(nestedId(containerId, taskId))
  }

  #remove(executor: AgentExecutor): void {
    const { state } = this.#o
    const { framework, completed, tasks, terminated } = executor
    if (framework.executors.get(executor.id) !== executor) return
    for (const task of [...terminated.values(), ...tasks.values()]) completed.push(task)
    const { checkpoints } = this.#o.options
    if (checkpoints && framework.info.checkpoint) {
      const place = { agentId: state.agentId!, frameworkId: framework.id, executorId: executor.id }
      void checkpoints.executorEnded(place)
    }
    this.#o.options.gc?.ended(executor.directory)
    this.#detach(framework, state.completeExecutor(executor))
  }

  #removeFrameworkIfIdle(framework: AgentFramework): void {
    const { state, manager, idle } = this.#o
    if (!isIdle(framework) || state.framework(framework.id) !== framework) return
    if (framework.state === 'TERMINATING') manager.forget(framework.id)
    const { checkpoints } = this.#o.options
    if (checkpoints && framework.info.checkpoint)
      void checkpoints.frameworkEnded(state.agentId!, framework.id)
    this.#detach(undefined, state.completeFramework(framework))
    if (state.frameworks.size === 0) idle()
  }

  /** Their files are not shown any more. */
  #detach(framework: AgentFramework | undefined, dropped: readonly CompletedExecutor[]): void {
    const { attachments } = this.#o
    for (const { info, id, containerId, directory } of dropped) {
      const frameworkId = info.framework_id?.value ?? framework?.id
      attachments.detach(directory)
      if (frameworkId === undefined) continue
      attachments.detach(virtualRunPath(frameworkId, id, containerId))
      const hasLater =
        framework?.executors.has(id) ||
        framework?.completedExecutors.findLast(other => other.id === id) !== undefined
      if (!hasLater) attachments.detach(virtualRunPath(frameworkId, id, 'latest'))
    }
  }
}
