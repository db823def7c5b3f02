// Runs one command for a task that brings no executor of its own. Mesos spends a process on it; here it is an actor
// inside the agent, which speaks to it exactly as to any other executor.

import { Actor } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import type { Pid } from '../actors/pid.ts'
import { type Ref, type Served, serve } from '../actors/protocol.ts'
import { messageOf } from '../base/errors.ts'
import { uuidToBase64 } from '../base/base64.ts'
import { AgentExecutor, type ExecutorEvent, ExecutorEvents } from '../messages/executor-api.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { TaskState, TaskStatus } from '../messages/status.ts'
import type { ExecutorInfo, KillPolicy, TaskInfo } from '../messages/task.ts'
import type { DurationInfo } from '../messages/values.ts'
import { amountsOf } from './containerizer/demands.ts'
import { commandEnvironment, commandLine, type Environment } from './environment.ts'
import type { LaunchedProcess, Processes } from './processes.ts'
import { hasCapability } from './refusals.ts'
import { describeWaitStatus, succeeded } from './wait-status.ts'

/** How long a killed command may take to end, unless the task or the kill says otherwise. */
export const DEFAULT_KILL_GRACE_MS = 3_000

export interface CommandExecutorOptions {
  readonly agent: Pid
  readonly framework: FrameworkInfo
  readonly executor: ExecutorInfo
  readonly containerId: string
  readonly sandbox: string
  readonly environment: Environment
  readonly processes: Processes
}

type Event<T extends ExecutorEvent['type']> = Extract<ExecutorEvent, { type: T }>

/** Milliseconds of a `DurationInfo`. */
export const durationMs = (duration: DurationInfo): number => duration.nanoseconds / 1e6

/** One task, one process. Ends when the agent has the task's last update, or has no task for it. */
export class CommandExecutor extends Actor {
  override readonly idPrefix = 'command-executor'
  override readonly serves: readonly Served[] = [
    serve(ExecutorEvents, { event: event => this.#event(event) }),
  ]

  readonly #options: CommandExecutorOptions
  #task: TaskInfo | undefined
  #process: LaunchedProcess | undefined
  /** Why it is being killed, from the first request on. */
  #killing: 'request' | 'completion time' | undefined
  #killedAtMs = 0
  #graceMs = DEFAULT_KILL_GRACE_MS
  #escalation: Timer | undefined
  #completion: Timer | undefined
  /** The update after whose acknowledgement there is nothing left to do. */
  #lastUuid: string | undefined

  constructor(options: CommandExecutorOptions) {
    super()
    this.#options = options
  }

  protected override initialize(): void {
    this.link(this.#options.agent)
    this.#agent.tell('call', { type: 'SUBSCRIBE', ...this.#sender, subscribe: {} })
  }

  /** Nothing may outlive its supervisor. */
  protected override finalize(): void {
    if (this.#process) this.#options.processes.killTree(this.#process.pid, 'SIGKILL')
  }

  protected override exited(): void {
    this.terminate()
  }

  get #agent(): Ref<(typeof AgentExecutor)['entries']> {
    return this.ref(AgentExecutor, this.#options.agent)
  }

  get #sender() {
    const { executor, framework } = this.#options
    return { executor_id: executor.executor_id, framework_id: framework.id ?? { value: '' } }
  }

  #event(event: ExecutorEvent): Promise<void> | void {
    switch (event.type) {
      case 'LAUNCH':
        return this.#launch(event)
      case 'KILL':
        return this.#kill(event.kill.kill_policy)
      case 'ACKNOWLEDGED':
        if (event.acknowledged.uuid === this.#lastUuid) this.terminate()
        return
      case 'SHUTDOWN':
        // With a task there is an update still to come, and with it the end.
        return this.#task ? this.#kill(undefined) : this.terminate()
      case 'ERROR':
        return this.terminate()
      case 'SUBSCRIBED':
      case 'LAUNCH_GROUP':
      case 'MESSAGE':
      case 'HEARTBEAT':
        return
    }
  }

  async #launch({ launch: { task } }: Event<'LAUNCH'>): Promise<void> {
    if (this.#task || !task.command) return
    this.#task = task
    const { containerId, sandbox, environment, processes } = this.#options
    const role = task.resources?.[0]?.allocation_info?.role
    const env = commandEnvironment(
      { ...environment, ...(role !== undefined && { MESOS_ALLOCATION_ROLE: role }) },
      task.command,
    )
    const launching = processes.launch({
      containerId,
      ...commandLine(task.command),
      env,
      cwd: sandbox,
      stdoutPath: `${sandbox}/stdout`,
      stderrPath: `${sandbox}/stderr`,
      // The task alone: there is no process beside it that would need something.
      ...amountsOf([task]),
      container: task.container,
    })
    try {
      this.#process = await this.resume(launching)
    } catch (error) {
      return this.#failedLaunch(messageOf(error))
    }
    this.#update('TASK_STARTING')
    this.#update('TASK_RUNNING')
    if (task.max_completion_time) {
      this.#completion = this.delay(durationMs(task.max_completion_time), () => {
        this.#completion = undefined
        this.#begin('completion time', 0)
      })
    }
    // Asked to end while it was being launched.
    if (this.#killing) this.#signal()
    const process = this.#process
    const waitStatus = await this.resume(process.exited)
    const whyNeverRan = process.whyNeverRan?.()
    if (whyNeverRan === undefined || this.#killing) return this.#reaped(waitStatus)
    this.#process = undefined
    this.#completion?.cancel()
    this.#failedLaunch(whyNeverRan)
  }

  #failedLaunch(why: string): void {
    this.#update('TASK_FAILED', {
      message: `Failed to launch container: ${why}`,
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    })
  }

  #reaped(waitStatus: number): void {
    const limitation = this.#process?.limitation?.()
    this.#process = undefined
    this.#escalation?.cancel()
    this.#completion?.cancel()
    const message = `Command ${describeWaitStatus(waitStatus)}`
    if (this.#killing === 'completion time') {
      return this.#update('TASK_FAILED', { message, reason: 'REASON_MAX_COMPLETION_TIME_REACHED' })
    }
    if (limitation && !this.#killing) {
      const { message: why, reason, resources } = limitation
      const limited = { resources: [...resources] }
      return this.#update('TASK_FAILED', { message: why, reason, limitation: limited })
    }
    // Also if the command took the signal as a request and exited with 0: it was killed nevertheless.
    if (this.#killing) return this.#update('TASK_KILLED', { message })
    this.#update(succeeded(waitStatus) ? 'TASK_FINISHED' : 'TASK_FAILED', { message })
  }

  #kill(policy: KillPolicy | undefined): void {
    if (!this.#task || this.#lastUuid !== undefined) return
    this.#completion?.cancel()
    const grace = policy?.grace_period ?? this.#task.kill_policy?.grace_period
    const graceMs = grace ? durationMs(grace) : DEFAULT_KILL_GRACE_MS
    if (!this.#killing) this.#begin('request', graceMs)
    else if (policy?.grace_period && graceMs < this.#graceMs) this.#shorten(graceMs)
  }

  #begin(why: 'request' | 'completion time', graceMs: number): void {
    if (this.#killing) return
    this.#killing = why
    this.#killedAtMs = this.clock.now()
    this.#graceMs = graceMs
    if (hasCapability(this.#options.framework, 'TASK_KILLING_STATE')) this.#update('TASK_KILLING')
    if (this.#process) this.#signal()
  }

  #signal(): void {
    this.#options.processes.killTree(this.#process!.pid, 'SIGTERM')
    this.#escalateIn(this.#graceMs)
  }

  /** A second kill may leave less time, never more. */
  #shorten(graceMs: number): void {
    this.#graceMs = graceMs
    if (!this.#process) return
    this.#escalation?.cancel()
    this.#escalateIn(Math.max(0, this.#killedAtMs + graceMs - this.clock.now()))
  }

  #escalateIn(ms: number): void {
    this.#escalation = this.delay(ms, () => this.#escalate())
  }

  #escalate(): void {
    if (!this.#process) return
    this.log.info({ pid: this.#process.pid }, 'the grace period is over; killing the task for good')
    this.#options.processes.killTree(this.#process.pid, 'SIGKILL')
  }

  #update(
    state: TaskState,
    more: Pick<TaskStatus, 'message' | 'reason' | 'limitation'> = {},
  ): void {
    const uuid = uuidToBase64(this.random.uuid())
    if (state !== 'TASK_STARTING' && state !== 'TASK_RUNNING' && state !== 'TASK_KILLING') {
      this.#lastUuid = uuid
    }
    const status: TaskStatus = {
      task_id: this.#task!.task_id,
      state,
      ...more,
      source: 'SOURCE_EXECUTOR',
      timestamp: this.clock.now() / 1000,
      uuid,
      ...(this.#process && { container_status: { executor_pid: this.#process.pid } }),
    }
    this.#agent.tell('call', { type: 'UPDATE', ...this.#sender, update: { status } })
  }
}
