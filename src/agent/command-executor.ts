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
import type { KillRecord } from './checkpoint/forms.ts'
import { amountsOf } from './containerizer/demands.ts'
import type { Probes } from './checks/probes.ts'
import { TaskChecks } from './checks/task-checks.ts'
import { commandEnvironment, commandLine, type Environment } from './environment.ts'
import type { LaunchedProcess, LaunchSpec, Presence, Processes } from './processes.ts'
import { otherUser, type Switching } from './run-as.ts'
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
  /** That of the container that its own is nested in. */
  readonly parentSandbox?: string
  readonly parent?: LaunchSpec['parent']
  readonly environment: Environment
  readonly processes: Processes
  readonly switching: Switching
  readonly probes: Probes
  /** Its framework checkpoints: the command outlives the agent. */
  readonly survives?: boolean
  /** How long a killed command may take to end, if neither it nor the kill says so. */
  readonly killGraceMs?: number
  /** Called when it is asked to end. Resolves when that is on disk, or cannot be. */
  readonly noteKill?: (kill: KillRecord) => Promise<void>
  readonly adopted?: AdoptedCommand
}

/** A command that an agent before this one launched, and how far it had come. */
export interface AdoptedCommand {
  readonly task: TaskInfo
  readonly process: LaunchedProcess
  /** What was said of it last. */
  readonly state: TaskState
  readonly said: Pick<TaskStatus, 'healthy' | 'check_status'> | undefined
  /** When it was said to run. */
  readonly startedAtMs: number | undefined
  readonly kill: KillRecord | undefined
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
  #launching: Promise<LaunchedProcess> | undefined
  /** Why it is being killed, from the first request on. */
  #killing: 'request' | 'completion time' | undefined
  #killedAtMs = 0
  #graceMs = DEFAULT_KILL_GRACE_MS
  #escalation: Timer | undefined
  #completion: Timer | undefined
  /** The update after whose acknowledgement there is nothing left to do. */
  #lastUuid: string | undefined
  #checks: TaskChecks | undefined
  /** It had, when it has ended. */
  #networks: Presence['networks']

  constructor(options: CommandExecutorOptions) {
    super()
    this.#options = options
  }

  protected override initialize(): void {
    this.link(this.#options.agent)
    this.#agent.tell('call', { type: 'SUBSCRIBE', ...this.#sender, subscribe: {} })
    const { adopted } = this.#options
    if (!adopted) return
    this.#task = adopted.task
    this.dispatch(() => this.#adopt(adopted))
  }

  /** Nothing may outlive its supervisor. */
  protected override finalize(): void {
    this.#checks?.stop()
    const { containerId, processes } = this.#options
    if (this.#process) return processes.killTree(this.#process.pid, 'SIGKILL')
    processes.abandon?.(containerId)
    this.#launching?.then(
      ({ pid }) => processes.killTree(pid, 'SIGKILL'),
      () => {},
    )
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
    const env = this.#environmentOf(task)
    this.#checks = this.#checksOf(task, env)
    const { containerId, framework, sandbox, processes, switching } = this.#options
    const { parentSandbox, parent } = this.#options
    const user = otherUser(task.command, framework, switching)
    const launching = processes.launch({
      containerId,
      ...commandLine(task.command),
      env,
      cwd: sandbox,
      ...(user !== undefined && { user }),
      ...(parentSandbox !== undefined && { parentSandbox }),
      ...(parent && { parent }),
      stdoutPath: `${sandbox}/stdout`,
      stderrPath: `${sandbox}/stderr`,
      // The task alone: there is no process beside it that would need something.
      ...amountsOf([task]),
      container: task.container,
      command: task.command,
      taskId: task.task_id.value,
      survives: this.#options.survives ?? false,
    })
    this.#launching = launching
    try {
      this.#process = await this.resume(launching)
      this.#launching = undefined
    } catch (error) {
      this.#launching = undefined
      if (this.#killing === 'request') {
        return this.#update('TASK_KILLED', {
          message: `Killed during its launch: ${messageOf(error)}`,
        })
      }
      return this.#failedLaunch(messageOf(error))
    }
    this.#update('TASK_STARTING')
    this.#runs()
    this.#limitCompletion(task, this.clock.now())
    // Asked to end while it was being launched.
    if (this.#killing) this.#signal()
    else this.#checks?.start(this.clock.now())
    return this.#watch(this.#process)
  }

  #environmentOf(task: TaskInfo): Record<string, string> {
    const role = task.resources?.[0]?.allocation_info?.role
    const { environment } = this.#options
    return commandEnvironment(
      { ...environment, ...(role !== undefined && { MESOS_ALLOCATION_ROLE: role }) },
      task.command,
    )
  }

  #checksOf(
    task: TaskInfo,
    env: Readonly<Record<string, string>>,
    before?: AdoptedCommand['said'],
  ): TaskChecks | undefined {
    if (!task.check && !task.health_check) return undefined
    const { containerId, framework, probes } = this.#options
    return new TaskChecks({
      task,
      probed: { containerId, framework: framework.id?.value ?? '', env },
      probes,
      clock: { now: () => this.clock.now(), delay: (ms, act) => this.delay(ms, act) },
      resume: promise => this.resume(promise),
      onHealth: kills => {
        this.#update('TASK_RUNNING', { reason: 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED' })
        if (kills) this.#kill(undefined)
      },
      onCheck: () => this.#update('TASK_RUNNING', { reason: 'REASON_TASK_CHECK_STATUS_UPDATED' }),
      before,
    })
  }

  /** Goes on with a command that runs, or has ended meanwhile. */
  #adopt(adopted: AdoptedCommand): Promise<void> {
    const { task, process, state, startedAtMs = this.clock.now(), said, kill } = adopted
    this.#checks = this.#checksOf(task, this.#environmentOf(task), said)
    this.#process = process
    if (state === 'TASK_STAGING') this.#update('TASK_STARTING')
    if (state === 'TASK_STAGING' || state === 'TASK_STARTING') this.#runs()
    if (kill) {
      this.#killing = kill.why
      this.#killedAtMs = kill.time_ms
      this.#graceMs = kill.grace_ms
      // The signal may have been sent, or not.
      this.#signal()
    } else if (this.#killing) this.#signal()
    else {
      this.#limitCompletion(task, startedAtMs)
      this.#checks?.start(startedAtMs)
    }
    return this.#watch(process)
  }

  /** What is told of its container belongs to this word, and is not repeated. */
  #runs(): void {
    const { data, labels } = this.#process!.presence ?? {}
    this.#update('TASK_RUNNING', { ...(data && { data }), ...(labels && { labels }) })
  }

  #limitCompletion({ max_completion_time: limit }: TaskInfo, startedAtMs: number): void {
    if (!limit) return
    const leftMs = Math.max(0, startedAtMs + durationMs(limit) - this.clock.now())
    this.#completion = this.delay(leftMs, () => {
      this.#completion = undefined
      this.#begin('completion time', 0)
    })
  }

  async #watch(process: LaunchedProcess): Promise<void> {
    const waitStatus = await this.resume(process.exited)
    this.#checks?.stop()
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
    this.#networks = this.#process?.presence?.networks
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
    const graceMs = grace ? durationMs(grace) : (this.#options.killGraceMs ?? DEFAULT_KILL_GRACE_MS)
    if (!this.#killing) this.#begin('request', graceMs)
    else if (policy?.grace_period && graceMs < this.#graceMs) this.#shorten(graceMs)
  }

  #begin(why: 'request' | 'completion time', graceMs: number): void {
    if (this.#killing) return
    this.#checks?.stop()
    this.#killing = why
    this.#killedAtMs = this.clock.now()
    this.#graceMs = graceMs
    const noted = this.#noteKill()
    if (hasCapability(this.#options.framework, 'TASK_KILLING_STATE')) this.#update('TASK_KILLING')
    if (!this.#process) this.#options.processes.abandon?.(this.#options.containerId)
    else if (noted) void this.#signalAfter(noted)
    else this.#signal()
  }

  #noteKill(): Promise<void> | undefined {
    const { noteKill } = this.#options
    return noteKill?.({ why: this.#killing!, time_ms: this.#killedAtMs, grace_ms: this.#graceMs })
  }

  /** If the agent dies between the two, the next one knows why the command ended; the other way round it would not. */
  async #signalAfter(noted: Promise<void>): Promise<void> {
    await this.resume(noted)
    if (this.#process) this.#signal()
  }

  #signal(): void {
    this.#options.processes.killTree(this.#process!.pid, 'SIGTERM')
    this.#escalation?.cancel()
    this.#escalateIn(this.#leftMs())
  }

  /** Of the grace period: all of it, unless it began under an agent before this one, or while the command was being launched. */
  #leftMs(): number {
    return Math.max(0, this.#killedAtMs + this.#graceMs - this.clock.now())
  }

  /** A second kill may leave less time, never more. */
  #shorten(graceMs: number): void {
    this.#graceMs = graceMs
    void this.#noteKill()
    if (!this.#process) return
    this.#escalation?.cancel()
    this.#escalateIn(this.#leftMs())
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
    more: Pick<TaskStatus, 'message' | 'reason' | 'limitation' | 'data' | 'labels'> = {},
  ): void {
    const uuid = uuidToBase64(this.random.uuid())
    if (state !== 'TASK_STARTING' && state !== 'TASK_RUNNING' && state !== 'TASK_KILLING') {
      this.#lastUuid = uuid
    }
    const status: TaskStatus = {
      task_id: this.#task!.task_id,
      state,
      ...this.#checks?.said,
      ...more,
      source: 'SOURCE_EXECUTOR',
      timestamp: this.clock.now() / 1000,
      uuid,
      ...this.#containerStatus,
    }
    this.#agent.tell('call', { type: 'UPDATE', ...this.#sender, update: { status } })
  }
  get #containerStatus(): Pick<TaskStatus, 'container_status'> {
    const { pid, presence } = this.#process ?? {}
    const networks = presence?.networks ?? this.#networks
    const known = {
      // 0: it has ended.
      ...(pid && { executor_pid: pid }),
      ...(networks && { network_infos: [...networks] }),
    }
    return Object.keys(known).length === 0 ? {} : { container_status: known }
  }
}
