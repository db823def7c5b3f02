// The life of an executor on this agent: started for its first task, given tasks when it has subscribed, ended when its
// framework is, and cleared away when the last of its tasks' updates is acknowledged.

import type { Context } from '../actors/actor.ts'
import { addressOf, type Pid } from '../actors/pid.ts'
import { BoundedRing } from '../base/bounded-ring.ts'
import { formatDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import { type ExecutorCall, type ExecutorEvent, ExecutorEvents } from '../messages/executor-api.ts'
import type { ExecutorInfo } from '../messages/task.ts'
import {
  type AgentExecutor,
  type AgentFramework,
  type AgentState,
  type CompletedExecutor,
  hasIncompleteTasks,
  isIdle,
  MAX_COMPLETED_TASKS_PER_EXECUTOR,
  type PendingTermination,
  type TaskKill,
} from './agent-state.ts'
import { CommandExecutor, durationMs } from './command-executor.ts'
import { commandEnvironment, commandLine, executorEnvironment } from './environment.ts'
import { type AcknowledgeableStatus, whyInvalid } from './executor-call.ts'
import type { FileAttachments } from './files.ts'
import type { AgentOptions } from './options.ts'
import { latestRunLink, SANDBOX_MODE, sandboxDir, virtualRunPath } from './paths.ts'
import type { Registration } from './registration.ts'
import { taskRecord } from './task-record.ts'
import type { TaskStatusUpdateManager } from './task-status-update-manager.ts'
import type { Updates } from './updates.ts'
import { describeWaitStatus } from './wait-status.ts'

/** An executor whose connection broke, but not its process, has this long to subscribe again. */
const RESUBSCRIBE_MS = 15_000
/** What an executor said last may arrive after the news of its end; this long. */
const LAST_WORDS_MS = 1_000
/** Reported for an executor that never came to be. */
const NEVER_RAN = -1

type SubscribeCall = Extract<ExecutorCall, { type: 'SUBSCRIBE' }>

export interface ExecutorsOptions {
  readonly context: Context
  readonly options: AgentOptions
  readonly state: AgentState
  readonly registration: Registration
  readonly manager: TaskStatusUpdateManager
  readonly attachments: FileAttachments
  /** The last framework is gone from the agent. */
  readonly idle: () => void
}

export class Executors {
  readonly #o: ExecutorsOptions
  readonly #updates: Updates

  constructor(options: ExecutorsOptions, updates: Updates) {
    this.#o = options
    this.#updates = updates
  }

  /** The record of a new executor. Nothing runs yet. */
  create(
    framework: AgentFramework,
    info: ExecutorInfo,
    kind: AgentExecutor['kind'],
  ): AgentExecutor {
    const { context, options, state } = this.#o
    const id = info.executor_id.value
    const containerId = context.random.uuid()
    const place = { agentId: state.agentId!, frameworkId: framework.id, executorId: id }
    const executor: AgentExecutor = {
      id,
      info,
      framework,
      kind,
      containerId,
      directory: sandboxDir(options.workDir, place, containerId),
      state: 'REGISTERING',
      pid: undefined,
      process: undefined,
      waitStatus: undefined,
      queued: new Map(),
      tasks: new Map(),
      terminated: new Map(),
      completed: new BoundedRing(MAX_COMPLETED_TASKS_PER_EXECUTOR),
      kills: [],
      wasUsed: false,
      deadline: undefined,
      pendingTermination: undefined,
    }
    framework.executors.set(id, executor)
    return executor
  }

  /** Makes the sandbox and starts the executor in it. Resolves when it has subscribed to nothing more: at its end. */
  async start(executor: AgentExecutor): Promise<void> {
    const { context, options, state, attachments } = this.#o
    const { framework, containerId, directory, id } = executor
    const place = { agentId: state.agentId!, frameworkId: framework.id, executorId: id }
    try {
      await context.resume(options.files.makeDirectory(directory, SANDBOX_MODE))
      const latest = latestRunLink(options.workDir, place)
      await context.resume(options.files.linkLatest(latest, containerId))
    } catch (error) {
      return this.#launchFailed(executor, `the sandbox could not be made: ${messageOf(error)}`)
    }
    attachments.attach(directory, directory)
    attachments.attach(directory, virtualRunPath(framework.id, id, containerId))
    attachments.attach(directory, virtualRunPath(framework.id, id, 'latest'))
    if (executor.state !== 'REGISTERING') return this.#conclude(executor, NEVER_RAN)
    if (executor.kind === 'command') return this.#startActor(executor)
    return this.#startProcess(executor)
  }

  /** What an executor says. */
  call(call: ExecutorCall, from: Pid): Promise<void> | void {
    const { context, state } = this.#o
    const executor = state.executor(call.framework_id.value, call.executor_id.value)
    const fields = { executor: call.executor_id.value, framework: call.framework_id.value, from }
    if (!executor) {
      context.log.warn(fields, `${call.type} of an executor that this agent does not know`)
      const what = state.framework(call.framework_id.value) ? 'Executor' : 'Framework'
      const message = `${what} cannot be found`
      return context.ref(ExecutorEvents, from).tell('event', { type: 'ERROR', error: { message } })
    }
    if (call.type === 'SUBSCRIBE') return this.#subscribe(executor, call, from)
    if (executor.pid !== from) {
      return context.log.warn(fields, `${call.type} ignored: the executor is not subscribed`)
    }
    switch (call.type) {
      case 'UPDATE': {
        const why = whyInvalid(call)
        if (why !== undefined) return context.log.warn(fields, `update ignored: ${why}`)
        return this.#updates.fromExecutor(executor, call.update.status as AcknowledgeableStatus)
      }
      case 'MESSAGE': {
        const { registration } = this.#o
        if (!registration.connected) return
        registration.master.tell('executor_message', {
          agent_id: state.info.id!,
          framework_id: call.framework_id,
          executor_id: call.executor_id,
          data: call.message.data,
        })
        return
      }
      case 'HEARTBEAT':
        return
    }
  }

  /** Says something to an executor that is connected. */
  tell(executor: AgentExecutor, event: ExecutorEvent): void {
    if (executor.pid === undefined) return
    this.#o.context.ref(ExecutorEvents, executor.pid).tell('event', event)
  }

  /** Has an executor kill a task; one that lost its connection hears of it when it is back. */
  kill(executor: AgentExecutor, kill: TaskKill): void {
    if (executor.pid === undefined) executor.kills.push(kill)
    else this.tell(executor, { type: 'KILL', kill })
  }

  /** Gives a running executor all that waits for it. */
  deliver(executor: AgentExecutor): void {
    for (const [taskId, task] of executor.queued) {
      executor.tasks.set(taskId, taskRecord(task, executor.framework.info))
      executor.wasUsed = true
      this.tell(executor, { type: 'LAUNCH', launch: { task } })
    }
    executor.queued.clear()
  }

  /** Asks an executor to end, and ends it if it does not in time. */
  shutdown(executor: AgentExecutor): void {
    const { context, options } = this.#o
    if (executor.state === 'TERMINATING' || executor.state === 'TERMINATED') return
    const isConnected = executor.state === 'RUNNING' && executor.pid !== undefined
    executor.state = 'TERMINATING'
    executor.deadline?.cancel()
    if (!isConnected) return this.#destroy(executor)
    this.tell(executor, { type: 'SHUTDOWN' })
    const grace = executor.info.shutdown_grace_period
    const graceMs = grace ? durationMs(grace) : options.settings.executorShutdownGraceMs
    executor.deadline = context.delay(graceMs, () => {
      const fields = { executor: executor.id, framework: executor.framework.id }
      context.log.warn(fields, `executor did not end within ${formatDuration(graceMs)}; killing it`)
      this.#destroy(executor)
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

  /** A linked executor ended, or cannot be reached. */
  exited(pid: Pid): Promise<void> | void {
    const { context, state } = this.#o
    const executor = state.executorsByPid.get(pid)
    if (!executor) return
    state.executorsByPid.delete(pid)
    executor.pid = undefined
    if (executor.kind === 'command') return this.#conclude(executor, 0)
    if (executor.waitStatus !== undefined) return this.#conclude(executor, executor.waitStatus)
    if (executor.state !== 'RUNNING') return
    const fields = { executor: executor.id, framework: executor.framework.id }
    context.log.warn(
      fields,
      'the connection to an executor is lost; waiting for it to subscribe again',
    )
    this.#expect(executor, RESUBSCRIBE_MS, {
      reason: 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
      message: `Executor did not reregister within ${formatDuration(RESUBSCRIBE_MS)}`,
    })
  }

  /** Clears away what is over: an executor without tasks that has ended, a framework without executors. */
  settled(framework: AgentFramework, executor: AgentExecutor | undefined): void {
    if (executor?.state === 'TERMINATED' && !hasIncompleteTasks(executor)) this.#remove(executor)
    this.#removeFrameworkIfIdle(framework)
  }

  /** Tells the master that an executor is no more, which it counts the resources of. Command executors it never saw. */
  reportExit(frameworkId: string, executorId: string, waitStatus = NEVER_RAN): void {
    const { registration, state } = this.#o
    if (!registration.connected) return
    registration.master.tell('exited_executor', {
      agent_id: state.info.id!,
      framework_id: { value: frameworkId },
      executor_id: { value: executorId },
      status: waitStatus,
    })
  }

  #startActor(executor: AgentExecutor): void {
    const { context, options } = this.#o
    const actor = new CommandExecutor({
      agent: context.self,
      framework: executor.framework.info,
      executor: executor.info,
      containerId: executor.containerId,
      sandbox: executor.directory,
      environment: this.#environment(executor),
      processes: options.processes,
    })
    this.#connect(executor, context.spawn(actor))
  }

  async #startProcess(executor: AgentExecutor): Promise<void> {
    const { context, options } = this.#o
    const command = executor.info.command!
    const launching = options.processes.launch({
      containerId: executor.containerId,
      ...commandLine(command),
      env: commandEnvironment(this.#environment(executor), command),
      cwd: executor.directory,
      stdoutPath: `${executor.directory}/stdout`,
      stderrPath: `${executor.directory}/stderr`,
    })
    try {
      executor.process = await context.resume(launching)
    } catch (error) {
      return this.#launchFailed(executor, messageOf(error))
    }
    const { pid, exited } = executor.process
    context.log.info(
      { executor: executor.id, framework: executor.framework.id, pid, sandbox: executor.directory },
      'executor started',
    )
    if (executor.state === 'TERMINATING') this.#destroy(executor)
    // It may have subscribed before we were told that it runs.
    else if (executor.state === 'REGISTERING') {
      const limitMs = options.settings.executorRegistrationTimeoutMs
      this.#expect(executor, limitMs, {
        reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
        message: `Executor did not register within ${formatDuration(limitMs)}`,
      })
    }
    executor.waitStatus = await context.resume(exited)
    if (executor.state === 'TERMINATED') return
    executor.state = 'TERMINATING'
    executor.deadline?.cancel()
    if (executor.pid === undefined) return this.#conclude(executor, executor.waitStatus)
    executor.deadline = context.delay(LAST_WORDS_MS, () =>
      this.#conclude(executor, executor.waitStatus!),
    )
  }

  #environment(executor: AgentExecutor): Record<string, string> {
    const { context, options, state } = this.#o
    const grace = executor.info.shutdown_grace_period
    return executorEnvironment({
      base: options.environment,
      agentPid: context.self,
      agentEndpoint: addressOf(context.self),
      agentId: state.agentId!,
      ip: options.ip,
      framework: executor.framework.info,
      executor: executor.info,
      sandbox: executor.directory,
      shutdownGraceMs: grace ? durationMs(grace) : options.settings.executorShutdownGraceMs,
    })
  }

  async #subscribe(executor: AgentExecutor, call: SubscribeCall, from: Pid): Promise<void> {
    const { context, state } = this.#o
    const { framework } = executor
    if (executor.state === 'TERMINATING' || executor.state === 'TERMINATED') {
      return context.ref(ExecutorEvents, from).tell('event', { type: 'SHUTDOWN' })
    }
    const isAgain = executor.state === 'RUNNING'
    executor.deadline?.cancel()
    this.#connect(executor, from)
    executor.state = 'RUNNING'
    context.log.info(
      { executor: executor.id, framework: framework.id, pid: from },
      'executor subscribed',
    )
    // Entered into the books now; that they are kept, the executor hears after SUBSCRIBED.
    const kept: Promise<void>[] = []
    for (const { status } of call.subscribe.unacknowledged_updates ?? []) {
      const why = whyInvalid({ ...call, type: 'UPDATE', update: { status } })
      if (why !== undefined) continue
      kept.push(this.#updates.fromExecutor(executor, status as AcknowledgeableStatus))
    }
    const forgotten = isAgain ? this.#dropForgotten(executor, call) : []
    kept.push(...forgotten)
    if (forgotten.length > 0 && executor.tasks.size === 0 && executor.queued.size === 0) {
      this.shutdown(executor)
    } else {
      this.tell(executor, {
        type: 'SUBSCRIBED',
        subscribed: {
          executor_info: executor.info,
          framework_info: framework.info,
          agent_info: state.info,
          container_id: { value: executor.containerId },
        },
      })
      this.deliver(executor)
      for (const kill of executor.kills) this.tell(executor, { type: 'KILL', kill })
    }
    executor.kills.length = 0
    await Promise.all(kept)
  }

  /** Tasks that were sent but that the executor does not know got lost with the connection. */
  #dropForgotten(executor: AgentExecutor, call: SubscribeCall): Promise<void>[] {
    const known = new Set(call.subscribe.unacknowledged_tasks?.map(task => task.task_id.value))
    return [...executor.tasks]
      .filter(([taskId, task]) => task.state === 'TASK_STAGING' && !known.has(taskId))
      .map(([taskId]) =>
        this.#updates.fromAgent(executor, taskId, {
          state: 'TASK_DROPPED',
          reason: 'REASON_AGENT_RESTARTED',
          message: 'Task launched during agent restart',
        }),
      )
  }

  #connect(executor: AgentExecutor, pid: Pid): void {
    const { context, state } = this.#o
    if (executor.pid !== undefined && executor.pid !== pid) {
      state.executorsByPid.delete(executor.pid)
      context.unlink(executor.pid)
    }
    executor.pid = pid
    state.executorsByPid.set(pid, executor)
    context.link(pid)
  }

  /** Ends an executor that does not turn up in time. */
  #expect(executor: AgentExecutor, limitMs: number, otherwise: PendingTermination): void {
    const { context } = this.#o
    executor.deadline?.cancel()
    executor.deadline = context.delay(limitMs, () => {
      const fields = { executor: executor.id, framework: executor.framework.id }
      context.log.warn(fields, `${otherwise.message}; killing it`)
      executor.pendingTermination = otherwise
      executor.state = 'TERMINATING'
      this.#destroy(executor)
    })
  }

  /** Kills it. Its end is concluded when it is seen. */
  #destroy(executor: AgentExecutor): void {
    const { context, options } = this.#o
    if (executor.kind === 'command') {
      // The actor kills its process in its last turn; then its link tells us.
      if (executor.pid !== undefined) context.terminate(executor.pid)
    } else if (executor.process) options.processes.killTree(executor.process.pid, 'SIGKILL')
    // Else it is being started, and that will see the new state.
  }

  #launchFailed(executor: AgentExecutor, why: string): Promise<void> {
    executor.pendingTermination ??= {
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: `Failed to launch container: ${why}`,
    }
    return this.#conclude(executor, NEVER_RAN)
  }

  /** It has ended. What it left undone fails. */
  async #conclude(executor: AgentExecutor, waitStatus: number): Promise<void> {
    const { context, state } = this.#o
    if (executor.state === 'TERMINATED') return
    const { framework, id } = executor
    executor.state = 'TERMINATED'
    executor.deadline?.cancel()
    if (executor.pid !== undefined) {
      state.executorsByPid.delete(executor.pid)
      context.unlink(executor.pid)
      executor.pid = undefined
    }
    if (executor.kind === 'custom') {
      const how = waitStatus === NEVER_RAN ? 'was not started' : describeWaitStatus(waitStatus)
      context.log.info({ executor: id, framework: framework.id }, `executor ${how}`)
      this.reportExit(framework.id, id, waitStatus)
    }
    if (framework.state === 'RUNNING') {
      const { reason, message } = executor.pendingTermination ?? {
        reason: 'REASON_EXECUTOR_TERMINATED',
        message: 'Executor terminated',
      }
      for (const taskId of [...executor.tasks.keys(), ...executor.queued.keys()]) {
        await this.#updates.fromAgent(executor, taskId, { state: 'TASK_FAILED', reason, message })
      }
    }
    if (framework.state === 'TERMINATING') this.#remove(executor)
    this.settled(framework, executor)
  }

  #remove(executor: AgentExecutor): void {
    const { state } = this.#o
    const { framework, completed, tasks, terminated } = executor
    if (framework.executors.get(executor.id) !== executor) return
    for (const task of [...terminated.values(), ...tasks.values()]) completed.push(task)
    this.#detach(framework, state.completeExecutor(executor))
  }

  #removeFrameworkIfIdle(framework: AgentFramework): void {
    const { state, manager, idle } = this.#o
    if (!isIdle(framework) || state.framework(framework.id) !== framework) return
    if (framework.state === 'TERMINATING') manager.forget(framework.id)
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
