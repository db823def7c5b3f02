// How executors start: a sandbox is made, and in it an actor for a command, or the process that a framework brought.

import type { Context } from '../actors/actor.ts'
import { addressOf } from '../actors/pid.ts'
import { BoundedRing } from '../base/bounded-ring.ts'
import { formatDuration } from '../base/duration.ts'
import { messageOf } from '../base/errors.ts'
import type { UpdateFramework } from '../messages/agent-registration.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import {
  type AgentExecutor,
  type AgentFramework,
  type AgentState,
  MAX_COMPLETED_TASKS_PER_EXECUTOR,
} from './agent-state.ts'
import type { Run } from './checkpoint/checkpoints.ts'
import { type AdoptedCommand, CommandExecutor, durationMs } from './command-executor.ts'
import {
  commandEnvironment,
  commandLine,
  EXECUTOR_TOKEN,
  executorEnvironment,
} from './environment.ts'
import { type ExecutorEnds, NEVER_RAN } from './executor-ends.ts'
import { type AdoptedGroup, DefaultExecutor } from './default-executor.ts'
import type { ExecutorLinks } from './executor-links.ts'
import type { FileAttachments } from './files.ts'
import { amountsOf } from './containerizer/demands.ts'
import type { AgentOptions } from './options.ts'
import { otherUser } from './run-as.ts'
import type { LaunchedProcess } from './processes.ts'
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
    containerId: string = this.#o.context.random.uuid(),
  ): AgentExecutor {
    const { options, state } = this.#o
    const id = info.executor_id.value
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
      unsaved: new Set(),
      groups: new Map(),
      tasks: new Map(),
      terminated: new Map(),
      completed: new BoundedRing(MAX_COMPLETED_TASKS_PER_EXECUTOR),
      kills: [],
      isRecovered: false,
      wasUsed: false,
      deadline: undefined,
      pendingTermination: undefined,
    }
    framework.executors.set(id, executor)
    return executor
  }

  /** Makes the sandbox and starts the executor in it. Resolves when all that is to be done for it is done; for a process, at its end. */
  async start(executor: AgentExecutor): Promise<void> {
    const { context, options, state } = this.#o
    const { framework, containerId, directory, id } = executor
    const saved = Promise.all([...executor.queued.values()].map(task => this.save(executor, task)))
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
    this.#attach(executor)
    const unsaved = (await context.resume(saved)).find(why => why !== undefined)
    if (unsaved !== undefined) return this.#o.ends.launchFailed(executor, unsaved)
    if (executor.state !== 'REGISTERING') return this.#o.ends.conclude(executor, NEVER_RAN)
    if (executor.kind === 'command') return this.#startActor(executor)
    if (executor.kind === 'default') return this.#startDefault(executor)
    return this.#startProcess(executor)
  }

  /** Writes a task down, if its framework asked for that. Resolves with why that failed. */
  async save(executor: AgentExecutor, task: TaskInfo): Promise<string | undefined> {
    const { checkpoints } = this.#o.options
    const { framework, info, kind, launchedFor, unsaved } = executor
    if (!checkpoints || !framework.info.checkpoint) return undefined
    const record = kind === 'command' ? undefined : { kind, info, launched_for: launchedFor }
    const taskId = task.task_id.value
    unsaved.add(taskId)
    try {
      const group = executor.groups.get(taskId)
      await checkpoints.task(this.#runOf(executor), framework.info, record, task, group)
      unsaved.delete(taskId)
      return undefined
    } catch (error) {
      // It stays among the unsaved, so that nobody is given it before it is said to have failed.
      return `what the next agent has to know could not be written down: ${messageOf(error)}`
    }
  }

  /** What a framework says of itself from now on is written down, if it was once. */
  updateFramework({ framework: info }: UpdateFramework): void {
    const { options, state } = this.#o
    const framework = info.id && state.framework(info.id.value)
    if (!framework) return
    framework.info = info
    const { executors } = framework
    if (!info.checkpoint || executors.size === 0) return
    options.checkpoints?.framework(state.agentId!, info).catch((error: unknown) => {
      const fields = { framework: info.id?.value, error: messageOf(error) }
      this.#o.context.log.warn(fields, 'what a framework says of itself could not be written down')
    })
  }

  /** The command of an agent before this one: it runs, or has ended. */
  adoptCommand(executor: AgentExecutor, command: AdoptedCommand): void {
    this.#attach(executor)
    this.#startActor(executor, command)
  }

  /** What a default executor of an agent before this one launched. */
  adoptGroups(executor: AgentExecutor, groups: readonly AdoptedGroup[]): void {
    this.#attach(executor)
    this.#startDefault(executor, groups)
  }

  /** The process of an executor that an agent before this one started. Resolves at its end. */
  adoptProcess(executor: AgentExecutor, process: LaunchedProcess): Promise<void> {
    this.#attach(executor)
    executor.process = process
    return this.#watch(executor, process)
  }

  #attach({ framework, id, containerId, directory }: AgentExecutor): void {
    const { attachments } = this.#o
    attachments.attach(directory, directory)
    attachments.attach(directory, virtualRunPath(framework.id, id, containerId))
    attachments.attach(directory, virtualRunPath(framework.id, id, 'latest'))
  }

  #runOf({ framework, id, containerId }: AgentExecutor): Run {
    const agentId = this.#o.state.agentId!
    return { agentId, frameworkId: framework.id, executorId: id, containerId }
  }

  #startActor(executor: AgentExecutor, adopted?: AdoptedCommand): void {
    const { context, options } = this.#o
    const { checkpoints } = options
    const survives = this.#survives(executor)
    const stopMs = options.settings.dockerStopTimeoutMs ?? 0
    const isDocker = executor.info.container?.type === 'DOCKER'
    const actor = new CommandExecutor({
      ...(isDocker && stopMs > 0 && { killGraceMs: stopMs }),
      ...(adopted && { adopted }),
      ...(survives && {
        survives,
        noteKill: kill => checkpoints!.kill(this.#runOf(executor), kill),
      }),
      agent: context.self,
      framework: executor.framework.info,
      executor: executor.info,
      containerId: executor.containerId,
      sandbox: executor.directory,
      environment: this.environment(executor),
      processes: options.processes,
      switching: options,
      probes: options.probes,
    })
    this.#o.links.connect(executor, context.spawn(actor))
  }

  #startDefault(executor: AgentExecutor, adopted?: readonly AdoptedGroup[]): void {
    const { context, options } = this.#o
    const { checkpoints, files, processes } = options
    const actor = new DefaultExecutor({
      ...(adopted && { adopted }),
      survives: this.#survives(executor),
      noteKill: async (taskId, kill) => checkpoints?.kill(this.#runOf(executor), kill, { taskId }),
      agent: context.self,
      framework: executor.framework.info,
      executor: executor.info,
      containerId: executor.containerId,
      sandbox: executor.directory,
      environment: this.environment(executor),
      processes,
      files,
      switching: options,
      probes: options.probes,
    })
    this.#o.links.connect(executor, context.spawn(actor))
  }

  async #startProcess(executor: AgentExecutor): Promise<void> {
    const { context, options } = this.#o
    const command = executor.info.command!
    const user = otherUser(command, executor.framework.info, options)
    const launching = options.processes.launch({
      containerId: executor.containerId,
      ...commandLine(command),
      env: commandEnvironment(this.#processEnvironment(executor), command),
      cwd: executor.directory,
      ...(user !== undefined && { user }),
      stdoutPath: `${executor.directory}/stdout`,
      stderrPath: `${executor.directory}/stderr`,
      ...amountsOf(tasksOf(executor), executor.info.resources),
      container: executor.info.container,
      command,
      survives: this.#survives(executor),
    })
    try {
      executor.process = await context.resume(launching)
    } catch (error) {
      return this.#o.ends.launchFailed(executor, messageOf(error))
    }
    const { process } = executor
    const { pid } = process
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
    return this.#watch(executor, process)
  }

  /** Resolves when its process has ended, and that is reported. */
  async #watch(executor: AgentExecutor, process: LaunchedProcess): Promise<void> {
    const waitStatus = await this.#o.context.resume(process.exited)
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

  #survives({ framework }: AgentExecutor): boolean {
    return this.#o.options.checkpoints !== undefined && (framework.info.checkpoint ?? false)
  }

  /** A command task gets no token: it has nobody to prove anything to. */
  #processEnvironment(executor: AgentExecutor): Record<string, string> {
    const token = this.#o.options.executorToken?.(executor.framework.id, executor.id)
    const environment = this.environment(executor)
    return token === undefined ? environment : { ...environment, [EXECUTOR_TOKEN]: token }
  }

  /** What all programs of an executor have in their environment. */
  environment(executor: AgentExecutor): Record<string, string> {
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
      recoveryTimeoutMs: options.settings.recoveryTimeoutMs,
      executorReregistrationTimeoutMs: options.settings.executorReregistrationTimeoutMs,
    })
  }
}

/** All that a container has to do: what it was given, and what waits for it. */
function tasksOf({ tasks, queued }: AgentExecutor) {
  return [...tasks.values(), ...queued.values()]
}
