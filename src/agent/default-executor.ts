// The default executor: runs task groups, each task in a container of its own. An actor inside the agent, as the command
// executor is; and to command-executor.ts, of which it has one for each task, it is the agent:
//
//   agent ──LAUNCH_GROUP, KILL, ACKNOWLEDGED──▶ default executor ──LAUNCH, KILL, ACKNOWLEDGED──▶ command executors
//   agent ◀──────────────UPDATE─────────────── default executor ◀────────────UPDATE───────────── command executors
//
// A group lives and dies together: when one of its tasks fails or is killed, the others are killed. One that finishes leaves the
// others alone. The executor ends when the agent has the last update of its last task.

import { Actor } from '../actors/actor.ts'
import type { Pid } from '../actors/pid.ts'
import { type Ref, type Served, serve } from '../actors/protocol.ts'
import { uuidToBase64 } from '../base/base64.ts'
import { messageOf } from '../base/errors.ts'
import {
  AgentExecutor,
  type ExecutorCall,
  type ExecutorEvent,
  ExecutorEvents,
} from '../messages/executor-api.ts'
import type { FrameworkInfo } from '../messages/framework.ts'
import {
  isTerminal,
  type TaskState,
  type TaskStatus,
  type TaskStatusReason,
} from '../messages/status.ts'
import type { ExecutorInfo, KillPolicy, TaskInfo } from '../messages/task.ts'
import type { KillRecord } from './checkpoint/forms.ts'
import type { Probes } from './checks/probes.ts'
import { type AdoptedCommand, CommandExecutor } from './command-executor.ts'
import type { Environment } from './environment.ts'
import { type NestedContainer, nestedContainer } from './nested.ts'
import { SANDBOX_MODE } from './paths.ts'
import type { Switching } from './run-as.ts'
import type { Processes } from './processes.ts'
import type { SandboxFiles } from './sandbox-files.ts'

export interface DefaultExecutorOptions {
  readonly agent: Pid
  readonly framework: FrameworkInfo
  readonly executor: ExecutorInfo
  readonly containerId: string
  readonly sandbox: string
  readonly environment: Environment
  readonly processes: Processes
  readonly files: SandboxFiles
  readonly switching: Switching
  readonly probes: Probes
  /** Its framework checkpoints: the tasks outlive the agent. */
  readonly survives: boolean
  /** Called when a task is asked to end. */
  readonly noteKill: (taskId: string, kill: KillRecord) => Promise<void>
  /** What an agent before this one launched, group by group. */
  readonly adopted?: readonly AdoptedGroup[]
}

export interface AdoptedGroup {
  /** Those that have not ended. */
  readonly tasks: readonly AdoptedCommand[]
  /** One of the group failed or was killed, or is gone. */
  readonly isBroken: boolean
}

interface Group {
  readonly tasks: Set<string>
  isEnding: boolean
}

interface Child {
  readonly task: TaskInfo
  readonly group: Group
  readonly container: NestedContainer
  pid: Pid | undefined
  /** Asked to end before it was there. */
  kill: { readonly policy: KillPolicy | undefined } | undefined
  /** The update after whose acknowledgement nothing is left of it. */
  lastUuid: string | undefined
}

export class DefaultExecutor extends Actor {
  override readonly idPrefix = 'default-executor'
  override readonly serves: readonly Served[] = [
    serve(ExecutorEvents, { event: event => this.#event(event) }),
    serve(AgentExecutor, { call: (call, from) => this.#call(call, from) }),
  ]

  readonly #options: DefaultExecutorOptions
  readonly #children = new Map<string, Child>()
  /** What its tasks share does not go between one group and the next. */
  #release: (() => void) | undefined

  constructor(options: DefaultExecutorOptions) {
    super()
    this.#options = options
  }

  protected override initialize(): void {
    this.link(this.#options.agent)
    this.#agent.tell('call', { type: 'SUBSCRIBE', ...this.#sender, subscribe: {} })
    const { adopted = [], containerId, processes } = this.#options
    this.#release = processes.hold?.(containerId)
    for (const group of adopted) this.#adopt(group)
  }

  /** Nothing may outlive its supervisor: the actors end their processes in their last turn. */
  protected override finalize(): void {
    for (const { pid } of this.#children.values()) if (pid !== undefined) this.terminate(pid)
    this.#release?.()
  }

  protected override exited(pid: Pid): void {
    if (pid === this.#options.agent) this.terminate()
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
        return this.#launch([event.launch.task])
      case 'LAUNCH_GROUP':
        return this.#launch(event.launch_group.task_group.tasks ?? [])
      case 'KILL': {
        const child = this.#children.get(event.kill.task_id.value)
        return child && this.#kill(child, event.kill.kill_policy)
      }
      case 'ACKNOWLEDGED':
        return this.#acknowledged(event.acknowledged.task_id.value, event)
      case 'SHUTDOWN':
        for (const { group } of this.#children.values()) this.#endGroup(group)
        return this.#endIfIdle()
      case 'ERROR':
        return this.terminate()
      case 'SUBSCRIBED':
      case 'MESSAGE':
      case 'HEARTBEAT':
        return
    }
  }

  async #launch(tasks: readonly TaskInfo[]): Promise<void> {
    const group: Group = { tasks: new Set(tasks.map(task => task.task_id.value)), isEnding: false }
    const children = tasks.map(task => this.#add(task, group))
    for (const child of children) {
      try {
        await this.resume(this.#makeSandbox(child.container))
      } catch (error) {
        const why = `the sandbox could not be made: ${messageOf(error)}`
        this.#ended(
          child,
          'TASK_FAILED',
          `Failed to launch container: ${why}`,
          'REASON_CONTAINER_LAUNCH_FAILED',
        )
        continue
      }
      if (child.kill) {
        this.#ended(child, 'TASK_KILLED', 'Killed before its launch')
        continue
      }
      this.#start(child)
      this.#tell(child, { type: 'LAUNCH', launch: { task: child.task } })
    }
  }

  #add(task: TaskInfo, group: Group): Child {
    const { containerId, sandbox } = this.#options
    const taskId = task.task_id.value
    const container = nestedContainer(containerId, sandbox, taskId)
    const child: Child = {
      task,
      group,
      container,
      pid: undefined,
      kill: undefined,
      lastUuid: undefined,
    }
    this.#children.set(taskId, child)
    return child
  }

  #adopt({ tasks, isBroken }: AdoptedGroup): void {
    const group: Group = {
      tasks: new Set(tasks.map(({ task }) => task.task_id.value)),
      isEnding: false,
    }
    for (const adopted of tasks) this.#start(this.#add(adopted.task, group), adopted)
    if (isBroken) this.#endGroup(group)
  }

  async #makeSandbox({ sandbox, link, target }: NestedContainer): Promise<void> {
    const { files } = this.#options
    await files.makeDirectory(sandbox, SANDBOX_MODE)
    await files.makeDirectory(link.slice(0, link.lastIndexOf('/')), SANDBOX_MODE)
    await files.linkLatest(link, target)
  }

  #start(child: Child, adopted?: AdoptedCommand): void {
    const { container, task } = child
    const {
      containerId,
      environment,
      executor,
      framework,
      processes,
      sandbox,
      survives,
      switching,
      probes,
      noteKill,
    } = this.#options
    const taskId = task.task_id.value
    child.pid = this.spawn(
      new CommandExecutor({
        agent: this.self,
        framework,
        executor,
        containerId: container.containerId,
        sandbox: container.sandbox,
        parentSandbox: sandbox,
        parent: { id: containerId, info: executor.container },
        environment: {
          ...environment,
          MESOS_DIRECTORY: container.sandbox,
          MESOS_SANDBOX: container.sandbox,
          MESOS_TASK_ID: taskId,
        },
        processes,
        switching,
        probes,
        ...(survives && { survives, noteKill: kill => noteKill(taskId, kill) }),
        ...(adopted && { adopted }),
      }),
    )
  }

  /** What the command executors say. */
  #call(call: ExecutorCall, from: Pid): void {
    if (call.type !== 'UPDATE') return
    const { status } = call.update
    const child = this.#children.get(status.task_id.value)
    if (child?.pid !== from) return
    const { named } = child.container
    this.#update(child, {
      ...status,
      container_status: { ...status.container_status, container_id: named },
    })
  }

  #update(child: Child, status: TaskStatus): void {
    if (isTerminal(status.state)) child.lastUuid = status.uuid
    this.#agent.tell('call', { type: 'UPDATE', ...this.#sender, update: { status } })
    if (isTerminal(status.state) && status.state !== 'TASK_FINISHED') this.#endGroup(child.group)
  }

  /** Of one that was never started. */
  #ended(child: Child, state: TaskState, message: string, reason?: TaskStatusReason): void {
    this.#update(child, {
      task_id: child.task.task_id,
      state,
      message,
      ...(reason && { reason }),
      source: 'SOURCE_EXECUTOR',
      timestamp: this.clock.now() / 1000,
      uuid: uuidToBase64(this.random.uuid()),
      container_status: { container_id: child.container.named },
    })
  }

  #endGroup(group: Group): void {
    if (group.isEnding) return
    group.isEnding = true
    for (const taskId of group.tasks) {
      const child = this.#children.get(taskId)
      if (child) this.#kill(child, undefined)
    }
  }

  #kill(child: Child, policy: KillPolicy | undefined): void {
    if (child.lastUuid !== undefined) return
    child.kill = { policy }
    if (child.pid !== undefined) this.#tellKill(child)
  }

  #tellKill(child: Child): void {
    const { policy } = child.kill!
    const { task_id } = child.task
    this.#tell(child, { type: 'KILL', kill: { task_id, ...(policy && { kill_policy: policy }) } })
  }

  #tell({ pid }: Child, event: ExecutorEvent): void {
    if (pid !== undefined) this.ref(ExecutorEvents, pid).tell('event', event)
  }

  #acknowledged(taskId: string, event: Extract<ExecutorEvent, { type: 'ACKNOWLEDGED' }>): void {
    const child = this.#children.get(taskId)
    if (!child) return
    this.#tell(child, event)
    if (event.acknowledged.uuid !== child.lastUuid) return
    this.#children.delete(taskId)
    child.group.tasks.delete(taskId)
    // Its end is written down: the container's record need not tell of it again.
    if (this.#options.survives) this.#options.processes.forget?.(child.container.containerId)
    this.#endIfIdle()
  }

  #endIfIdle(): void {
    if (this.#children.size === 0) this.terminate()
  }
}
