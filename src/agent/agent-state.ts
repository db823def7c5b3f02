// What an agent knows, all of it: frameworks, their executors, and the tasks on them. Only the agent's own turns touch
// it. Records of what is over are kept for people to look at, a bounded number of them.

import type { Timer } from '../actors/clock.ts'
import type { Pid } from '../actors/pid.ts'
import { BoundedRing } from '../base/bounded-ring.ts'
import type { AgentInfo } from '../messages/agent.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { TaskID } from '../messages/ids.ts'
import type { TaskState, TaskStatus, TaskStatusReason } from '../messages/status.ts'
import type { ExecutorInfo, KillPolicy, Task, TaskInfo } from '../messages/task.ts'
import type { LaunchedProcess } from './processes.ts'

/** Numbers of Mesos. */
export const MAX_COMPLETED_FRAMEWORKS = 50
export const MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK = 150
export const MAX_COMPLETED_TASKS_PER_EXECUTOR = 200

/**
 * - `REGISTERING`: being started; its tasks are queued.
 * - `RUNNING`: it subscribed and gets its tasks.
 * - `TERMINATING`: asked to end, or being killed.
 * - `TERMINATED`: gone; the record stays until the last of its tasks' updates is acknowledged.
 */
export type ExecutorState = 'REGISTERING' | 'RUNNING' | 'TERMINATING' | 'TERMINATED'

/** Why an executor's tasks failed, when the agent itself ended it. */
export interface PendingTermination {
  readonly reason: TaskStatusReason
  readonly message: string
  /** TASK_FAILED, unless this says otherwise. */
  readonly state?: TaskState
  /** Of what it took too much. */
  readonly limitation?: TaskStatus['limitation']
}

/** As in the event KILL. */
export interface TaskKill {
  readonly task_id: TaskID
  readonly kill_policy?: KillPolicy | undefined
}

export interface AgentExecutor {
  readonly id: string
  readonly info: ExecutorInfo
  readonly framework: AgentFramework
  /**
   * `command`: an actor of this process, for one task. `default`: one for task groups. `custom`: a process that the
   * framework brought.
   */
  readonly kind: 'command' | 'default' | 'custom'
  /** The task with which the master counted it last. */
  launchedFor: string
  readonly containerId: string
  /** The sandbox. */
  readonly directory: string
  state: ExecutorState
  /** Where it can be told something; absent while it is not connected. */
  pid: Pid | undefined
  /** Of a custom executor, once started. */
  process: LaunchedProcess | undefined
  /** Its wait(2) status, when the process has ended but its last messages may still be on their way. */
  waitStatus: number | undefined
  /** Not given to the executor yet, in order of their launch. */
  readonly queued: Map<string, TaskInfo>
  /** Of these, those that have to be written down first. */
  readonly unsaved: Set<string>
  /** The tasks of the group that a task is of, until its end is acknowledged. */
  readonly groups: Map<string, readonly string[]>
  readonly tasks: Map<string, Task>
  /** Ended, but the scheduler has not acknowledged that. */
  readonly terminated: Map<string, Task>
  readonly completed: BoundedRing<Task>
  /** To be told to it when it is connected again. */
  readonly kills: TaskKill[]
  /** It was launched by an agent before this one, and has not subscribed since. */
  isRecovered: boolean
  /** Whether it ever was given a task. */
  wasUsed: boolean
  /** Runs while it has to register, resubscribe or end. */
  deadline: Timer | undefined
  pendingTermination: PendingTermination | undefined
}

/** What is left of an executor to look at. */
export interface CompletedExecutor {
  readonly id: string
  readonly info: ExecutorInfo
  readonly kind: AgentExecutor['kind']
  readonly containerId: string
  readonly directory: string
  readonly completed: readonly Task[]
}

export interface AgentFramework {
  readonly id: string
  info: FrameworkInfo
  state: 'RUNNING' | 'TERMINATING'
  readonly executors: Map<string, AgentExecutor>
  readonly completedExecutors: BoundedRing<CompletedExecutor>
  /** Tasks that were refused, by id: no executor has them, but their end must still be acknowledged. */
  readonly refused: Map<string, Task>
}

export class AgentState {
  /** Without `id` until the master has given one. */
  info: AgentInfo
  readonly frameworks = new Map<string, AgentFramework>()
  /** The oldest first. */
  readonly completedFrameworks = new Map<string, AgentFramework>()
  readonly executorsByPid = new Map<Pid, AgentExecutor>()

  constructor(info: AgentInfo) {
    this.info = info
  }

  get agentId(): string | undefined {
    return this.info.id?.value
  }

  framework(id: string): AgentFramework | undefined {
    return this.frameworks.get(id)
  }

  executor(frameworkId: string, executorId: string): AgentExecutor | undefined {
    return this.frameworks.get(frameworkId)?.executors.get(executorId)
  }

  /** The executor that has, had or will have this task. */
  executorOf(frameworkId: string, taskId: string): AgentExecutor | undefined {
    for (const executor of this.frameworks.get(frameworkId)?.executors.values() ?? []) {
      if (knowsTask(executor, taskId)) return executor
    }
    return undefined
  }

  *executors(): IterableIterator<AgentExecutor> {
    for (const framework of this.frameworks.values()) yield* framework.executors.values()
  }

  /** The framework of a task that comes; a completed one comes back with what it left. */
  addFramework(id: string, info: FrameworkInfo): AgentFramework {
    const before = this.completedFrameworks.get(id)
    this.completedFrameworks.delete(id)
    const framework: AgentFramework = {
      id,
      info,
      state: 'RUNNING',
      executors: new Map(),
      completedExecutors:
        before?.completedExecutors ?? new BoundedRing(MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK),
      refused: new Map(),
    }
    this.frameworks.set(id, framework)
    return framework
  }

  /** Moves an executor to the completed ones. Returns those that are forgotten for it. */
  completeExecutor(executor: AgentExecutor): readonly CompletedExecutor[] {
    const { id, info, kind, containerId, directory, framework } = executor
    framework.executors.delete(id)
    const completed = executor.completed.toArray()
    const dropped = framework.completedExecutors.push({
      id,
      info,
      kind,
      containerId,
      directory,
      completed,
    })
    return dropped ? [dropped] : []
  }

  /** Moves a framework to the completed ones. Returns the executors that are forgotten for it. */
  completeFramework(framework: AgentFramework): readonly CompletedExecutor[] {
    this.frameworks.delete(framework.id)
    this.completedFrameworks.set(framework.id, framework)
    if (this.completedFrameworks.size <= MAX_COMPLETED_FRAMEWORKS) return []
    const [oldest] = this.completedFrameworks.values()
    this.completedFrameworks.delete(oldest!.id)
    return oldest!.completedExecutors.toArray()
  }
}

function knowsTask(executor: AgentExecutor, taskId: string): boolean {
  return (
    executor.queued.has(taskId) || executor.tasks.has(taskId) || executor.terminated.has(taskId)
  )
}

/** Nothing of it is left to do here. */
export function isIdle(framework: AgentFramework): boolean {
  return framework.executors.size === 0 && framework.refused.size === 0
}

/** Whether a task of its has not ended, or its end is not acknowledged. */
export function hasIncompleteTasks(executor: AgentExecutor): boolean {
  return executor.queued.size > 0 || executor.tasks.size > 0 || executor.terminated.size > 0
}
