// How executors start: a sandbox is made, and in it an actor for a command, or the process that a framework brought.

import type { Context } from '../actors/actor.ts'
import { addressOf } from '../actors/pid.ts'
import { BoundedRing } from '../base/bounded-ring.ts'
import { formatDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import type { ExecutorInfo } from '../messages/task.ts'
import {
  type AgentExecutor,
  type AgentFramework,
  type AgentState,
  MAX_COMPLETED_TASKS_PER_EXECUTOR,
} from './agent-state.ts'
import { CommandExecutor, durationMs } from './command-executor.ts'
import {
  commandEnvironment,
  commandLine,
  EXECUTOR_TOKEN,
  executorEnvironment,
} from './environment.ts'
import { type ExecutorEnds, NEVER_RAN } from './executor-ends.ts'
import type { ExecutorLinks } from './executor-links.ts'
import type { FileAttachments } from './files.ts'
import { amountsOf } from './containerizer/demands.ts'
import type { AgentOptions } from './options.ts'
import { latestRunLink, SANDBOX_MODE, sandboxDir, virtualRunPath } from './paths.ts'

export interface ExecutorStartsOptions {
  readonly context: Context
  readonly options: AgentOptions
  readonly state: AgentState
  readonly attachments: FileAttachments
  readonly links: ExecutorLinks
  readonly ends: ExecutorEnds
}

export class ExecutorStarts {
  readonly #o: ExecutorStartsOptions

  constructor(options: ExecutorStartsOptions) {
    this.#o = options
  }

  /** The record of a new executor. Nothing runs yet. */
  create(
    framework: AgentFramework,
    info: ExecutorInfo,
    kind: AgentExecutor['kind'],
    launchedFor: string,
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
      launchedFor,
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

  /** Makes the sandbox and starts the executor in it. Resolves when all that is to be done for it is done; for a process, at its end. */
  async start(executor: AgentExecutor): Promise<void> {
    const { context, options, state, attachments } = this.#o
    const { framework, containerId, directory, id } = executor
    const place = { agentId: state.agentId!, frameworkId: framework.id, executorId: id }
    try {
      await context.resume(options.files.makeDirectory(directory, SANDBOX_MODE))
      const latest = latestRunLink(options.workDir, place)
      await context.resume(options.files.linkLatest(latest, containerId))
    } catch (error) {
      return this.#o.ends.launchFailed(
        executor,
        `the sandbox could not be made: ${messageOf(error)}`,
      )
    }
    attachments.attach(directory, directory)
    attachments.attach(directory, virtualRunPath(framework.id, id, containerId))
    attachments.attach(directory, virtualRunPath(framework.id, id, 'latest'))
    if (executor.state !== 'REGISTERING') return this.#o.ends.conclude(executor, NEVER_RAN)
    if (executor.kind === 'command') return this.#startActor(executor)
    return this.#startProcess(executor)
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
    this.#o.links.connect(executor, context.spawn(actor))
  }

  async #startProcess(executor: AgentExecutor): Promise<void> {
    const { context, options } = this.#o
    const command = executor.info.command!
    const launching = options.processes.launch({
      containerId: executor.containerId,
      ...commandLine(command),
      env: commandEnvironment(this.#processEnvironment(executor), command),
      cwd: executor.directory,
      stdoutPath: `${executor.directory}/stdout`,
      stderrPath: `${executor.directory}/stderr`,
      ...amountsOf(tasksOf(executor), executor.info.resources),
      container: executor.info.container,
    })
    try {
      executor.process = await context.resume(launching)
    } catch (error) {
      return this.#o.ends.launchFailed(executor, messageOf(error))
    }
    const { process } = executor
    const { pid, exited } = process
    context.log.info(
      { executor: executor.id, framework: executor.framework.id, pid, sandbox: executor.directory },
      'executor started',
    )
    if (executor.state === 'TERMINATING') this.#o.ends.destroy(executor)
    // It may have subscribed before we were told that it runs.
    else if (executor.state === 'REGISTERING') {
      const limitMs = options.settings.executorRegistrationTimeoutMs
      this.#o.ends.expect(executor, limitMs, {
        reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
        message: `Executor did not register within ${formatDuration(limitMs)}`,
      })
    }
    const waitStatus = await context.resume(exited)
    const why = process.whyNeverRan?.()
    if (why !== undefined) return this.#o.ends.launchFailed(executor, why)
    const limitation = process.limitation?.()
    if (limitation) {
      const { reason, message, resources } = limitation
      executor.pendingTermination ??= { reason, message, limitation: { resources: [...resources] } }
    }
    return this.#o.ends.processEnded(executor, waitStatus)
  }

  /** Its tasks are others than before, and so is what its container may use. */
  resize(executor: AgentExecutor): void {
    const { context, options, ends } = this.#o
    if (executor.process === undefined || executor.state === 'TERMINATED') return
    const { resources, limits } = amountsOf(tasksOf(executor), executor.info.resources)
    try {
      options.processes.update?.(executor.containerId, resources, limits)
    } catch (error) {
      const fields = { executor: executor.id, framework: executor.framework.id }
      context.log.error({ ...fields, error: messageOf(error) }, 'a container could not be resized')
      executor.pendingTermination ??= {
        reason: 'REASON_CONTAINER_UPDATE_FAILED',
        message: `Failed to update the resources of the container: ${messageOf(error)}`,
      }
      executor.state = 'TERMINATING'
      ends.destroy(executor)
    }
  }

  /** A command task gets no token: it has nobody to prove anything to. */
  #processEnvironment(executor: AgentExecutor): Record<string, string> {
    const token = this.#o.options.executorToken?.(executor.framework.id, executor.id)
    const environment = this.#environment(executor)
    return token === undefined ? environment : { ...environment, [EXECUTOR_TOKEN]: token }
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
}

/** All that a container has to do: what it was given, and what waits for it. */
function tasksOf({ tasks, queued }: AgentExecutor) {
  return [...tasks.values(), ...queued.values()]
}
