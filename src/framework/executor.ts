// An executor of a framework: what authors of custom executors subclass. It runs tasks on an agent, in a process of
// its own that the agent starts.

import { type Pid, parsePid } from '../actors/pid.ts'
import { serve } from '../actors/protocol.ts'
import { fromBase64, uuidToBase64 } from '../base/base64.ts'
import { parseDuration, seconds } from '../base/duration.ts'
import { UserError } from '../base/errors.ts'
import type { AgentInfo } from '../messages/agent.ts'
import { AgentExecutor, type ExecutorEvent, ExecutorEvents } from '../messages/executor-api.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import type { AgentID, ExecutorID, FrameworkID, TaskID } from '../messages/ids.ts'
import type { TaskStatus } from '../messages/status.ts'
import { withinSize } from '../messages/status-size.ts'
import type { ExecutorInfo, KillPolicy, TaskInfo } from '../messages/task.ts'
import { encodeData } from './data.ts'
import { Subscriber } from './subscriber.ts'

/** What an agent tells an executor by environment variables (MESOS_…). */
export interface ExecutorEnvironment {
  readonly agent: Pid
  readonly agentId: AgentID
  readonly frameworkId: FrameworkID
  readonly executorId: ExecutorID
  /** The executor outlives its agent and waits this long for it to come back; undefined: it does not. */
  readonly recoveryTimeoutMs: number | undefined
  /** The longest wait between two tries to reach an agent that is away; undefined: it does not say. */
  readonly maxRetryMs: number | undefined
  /** How long it has between SHUTDOWN and SIGKILL. */
  readonly shutdownGraceMs: number
}

/** Reads the variables; throws a `UserError` if they are not those of an agent. */
export function executorEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
): ExecutorEnvironment {
  const need = (name: string): string => {
    const value = variables[name]
    if (value) return value
    throw new UserError('invalid_value', `The environment variable ${name} is not set.`, {
      hint: 'This program is an executor: name it as the command of an ExecutorInfo, and an agent will start it.',
    })
  }
  const agent = parsePid(need('MESOS_SLAVE_PID'))
  if (!agent) {
    throw new UserError(
      'invalid_value',
      'MESOS_SLAVE_PID is no address such as slave(1)@10.0.0.7:5051.',
    )
  }
  // Both are set for frameworks that asked for checkpoints, by agents that recover.
  const recovery = variables['MESOS_CHECKPOINT'] === '1' && variables['MESOS_RECOVERY_TIMEOUT']
  // As long as an agent that is back waits for its executors: half of it is in time for sure.
  const backoff = variables['MESOS_SUBSCRIPTION_BACKOFF_MAX']
  return {
    agent,
    agentId: { value: need('MESOS_SLAVE_ID') },
    frameworkId: { value: need('MESOS_FRAMEWORK_ID') },
    executorId: { value: need('MESOS_EXECUTOR_ID') },
    recoveryTimeoutMs: recovery ? parseDuration(recovery) : undefined,
    maxRetryMs: backoff ? parseDuration(backoff) / 2 : undefined,
    shutdownGraceMs: parseDuration(variables['MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD'] ?? '5secs'),
  }
}

/** What an executor says of a task; the rest of the TaskStatus is filled in. */
export type StatusUpdate = Pick<TaskStatus, 'task_id' | 'state'> &
  Partial<Pick<TaskStatus, 'message' | 'reason' | 'healthy' | 'check_status' | 'labels'>> & {
    /** For the scheduler; of a string its UTF-8. */
    readonly data?: Uint8Array | string
  }

/**
 * Without checkpoints an agent that ended knows nothing of its executors when it is back: they end with it. But a connection
 * may break while the agent lives.
 */
const BROKEN_CONNECTION_MS = seconds(2)

/** How long the last updates may take to be acknowledged before the process ends without that. */
const LAST_WORDS_MS = seconds(1)

/**
 * Subclass it, override `launch` and `kill`, and hand an instance to `runExecutor` (run.ts). Say what becomes of tasks by
 * `update`: STARTING or RUNNING, later one terminal state. Updates are kept until the agent has stored them.
 */
export abstract class Executor extends Subscriber {
  override readonly idPrefix: string = 'executor'
  readonly serves = [serve(ExecutorEvents, { event: (event, from) => this.#event(event, from) })]

  readonly #environment: ExecutorEnvironment
  /** Tasks of which the agent has stored no update yet: it may have forgotten them. */
  readonly #unknownTasks = new Map<string, TaskInfo>()
  /** Updates by uuid, in the order they were made. */
  readonly #unacknowledged = new Map<string, TaskStatus>()
  /** Those that the last SUBSCRIBE told of. */
  #brought: ReadonlySet<string> = new Set()
  #lostAtMs: number | undefined
  #stopping = false
  #failed = true

  constructor(environment: ExecutorEnvironment) {
    super(environment.agent, environment.maxRetryMs)
    this.#environment = environment
  }

  /** Whether it ended as it should; false while it runs. */
  get succeeded(): boolean {
    return !this.#failed
  }

  // What happens: to be overridden.

  /** After every subscription, before the first `launch`. */
  protected registered(
    _executor: ExecutorInfo,
    _framework: FrameworkInfo,
    _agent: AgentInfo,
  ): void | Promise<void> {}

  /** Run this task. */
  protected abstract launch(task: TaskInfo): void | Promise<void>

  /** Tasks of a group are launched one by one, unless this is overridden. */
  protected launchGroup(tasks: readonly TaskInfo[]): void | Promise<void> {
    for (const task of tasks) this.dispatch(() => this.launch(task))
  }

  /** Kill this task and say TASK_KILLED. */
  protected kill(_taskId: TaskID, _policy: KillPolicy | undefined): void | Promise<void> {}

  /** Bytes from the scheduler, on a way that may lose them. */
  protected message(_data: Uint8Array): void | Promise<void> {}

  /** End all tasks, within the grace period. The executor ends after this. */
  protected shutdown(): void | Promise<void> {}

  /** The agent refuses this executor, which ends after this. */
  protected error(message: string): void | Promise<void> {
    this.log.error({ reason: message }, 'the agent refuses this executor')
  }

  // What an executor can do.

  /** Tells the state of a task; sent again after a reconnection until the agent has stored it. */
  update({ data, ...update }: StatusUpdate): void {
    // The state must arrive: what is more than the agent keeps does not travel.
    const status: TaskStatus = withinSize({
      ...update,
      ...(data !== undefined && { data: encodeData(data) }),
      uuid: uuidToBase64(this.random.uuid()),
      timestamp: this.clock.now() / 1_000,
      source: 'SOURCE_EXECUTOR',
      executor_id: this.#environment.executorId,
      agent_id: this.#environment.agentId,
    })
    this.#unacknowledged.set(status.uuid!, status)
    if (this.isSubscribed) this.#tellUpdate(status)
  }

  #tellUpdate(status: TaskStatus): void {
    this.#agent.tell('call', { type: 'UPDATE', ...this.#sender, update: { status } })
  }

  /** Sends bytes (of a string: its UTF-8) to the scheduler, on a way that may lose them. */
  sendMessage(data: Uint8Array | string): void {
    if (!this.isSubscribed) return
    const message = { data: encodeData(data) }
    this.#agent.tell('call', { type: 'MESSAGE', ...this.#sender, message })
  }

  /** Ends the executor once the agent has stored all updates, or a little later without that. */
  stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#failed = false
    this.delay(Math.min(LAST_WORDS_MS, this.#environment.shutdownGraceMs), () => this.terminate())
    this.#endIfDone()
  }

  /** The agent wants the process to end and has no other way to say so (SIGTERM). */
  interrupted(): void {
    this.dispatch(() => this.#shutDown())
  }

  get #agent() {
    return this.ref(AgentExecutor, this.server)
  }

  get #sender() {
    const { executorId, frameworkId } = this.#environment
    return { executor_id: executorId, framework_id: frameworkId }
  }

  // Subscribing

  protected override sendSubscribe(): void {
    this.#brought = new Set(this.#unacknowledged.keys())
    this.#agent.tell('call', {
      type: 'SUBSCRIBE',
      ...this.#sender,
      subscribe: {
        agent_id: this.#environment.agentId,
        // By their names: the agent has the rest, and many of them may be more than one message holds.
        unacknowledged_tasks: [...this.#unknownTasks.values()].map(
          ({ name, task_id, agent_id }) => ({ name, task_id, agent_id }),
        ),
        unacknowledged_updates: [...this.#unacknowledged.values()].map(status => ({ status })),
      },
    })
  }

  protected override connectionLost(): void | Promise<void> {
    const { recoveryTimeoutMs = BROKEN_CONNECTION_MS } = this.#environment
    this.#lostAtMs ??= this.clock.now()
    if (this.clock.now() - this.#lostAtMs < recoveryTimeoutMs) return
    this.log.warn({ agent: this.server }, 'the agent is gone: this executor ends')
    return this.#endAfter(this.shutdown())
  }

  // Events

  #event(event: ExecutorEvent, from: Pid): void | Promise<void> {
    if (event.type === 'SUBSCRIBED') {
      if (!this.confirmSubscription(from)) return
      this.#lostAtMs = undefined
      // What happened while the answer was on its way.
      for (const [uuid, status] of this.#unacknowledged) {
        if (!this.#brought.has(uuid)) this.#tellUpdate(status)
      }
      const { executor_info, framework_info, agent_info } = event.subscribed
      return this.registered(executor_info, framework_info, agent_info)
    }
    // A SUBSCRIBE may be answered by a refusal, or by the wish that the executor ends.
    const isAnswer = event.type === 'ERROR' || event.type === 'SHUTDOWN'
    if (!this.believes(from) && (!isAnswer || this.isSubscribed)) return
    switch (event.type) {
      case 'LAUNCH': {
        const { task } = event.launch
        this.#unknownTasks.set(task.task_id.value, task)
        return this.launch(task)
      }
      case 'LAUNCH_GROUP': {
        const tasks = event.launch_group.task_group.tasks ?? []
        for (const task of tasks) this.#unknownTasks.set(task.task_id.value, task)
        return this.launchGroup(tasks)
      }
      case 'KILL':
        return this.kill(event.kill.task_id, event.kill.kill_policy)
      case 'ACKNOWLEDGED': {
        const { task_id, uuid } = event.acknowledged
        this.#unknownTasks.delete(task_id.value)
        this.#unacknowledged.delete(uuid)
        return this.#endIfDone()
      }
      case 'MESSAGE':
        return this.message(fromBase64(event.message.data) ?? new Uint8Array())
      case 'SHUTDOWN':
        return this.#shutDown()
      case 'ERROR':
        return this.#endAfter(this.error(event.error.message))
      case 'HEARTBEAT':
        return
    }
  }

  async #shutDown(): Promise<void> {
    if (this.#stopping) return
    const result = this.shutdown()
    if (result) await this.resume(result)
    this.stop()
  }

  async #endAfter(result: void | Promise<void>): Promise<void> {
    if (result) await this.resume(result)
    this.terminate()
  }

  #endIfDone(): void {
    if (this.#stopping && this.#unacknowledged.size === 0) this.terminate()
  }
}
