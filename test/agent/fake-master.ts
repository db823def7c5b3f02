// A master for tests of the agent: it registers whoever asks, notes what it hears, and says what a test tells it to.

import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { serve } from '../../src/actors/protocol.ts'
import {
  AgentMaster,
  type ExitedExecutor,
  MasterAgent,
  type ReregisterAgent,
  type ReregisterPart,
  type StatusUpdate,
} from '../../src/messages/agent-registration.ts'
import { type BrowseResponse, Files, type ReadResponse } from '../../src/messages/files.ts'
import type { FrameworkInfo } from '../../src/messages/framework.ts'
import type { ExecutorInfo, TaskInfo } from '../../src/messages/task.ts'

export const TOTAL_PING_TIMEOUT_S = 75
const PING_MS = 15_000

export class FakeMaster extends Actor {
  /** `silent`: hears registrations and does not answer them. */
  mode: 'answer' | 'silent' = 'answer'
  /** Pings its agent every 15 seconds. */
  pings = true
  /** Acknowledges every update at once. */
  acknowledges = true
  agentId = 'S0'
  agent: Pid | undefined
  readonly registrations: { readonly at: number; readonly from: Pid }[] = []
  readonly reregistrations: ReregisterAgent[] = []
  readonly parts: ReregisterPart[] = []
  takesParts = true
  readonly unregistered: string[] = []
  readonly updates: StatusUpdate[] = []
  readonly updateTimes: number[] = []
  readonly exits: ExitedExecutor[] = []
  readonly messages: string[] = []
  pongs = 0
  reconciliations: readonly { framework: string; tasks: readonly string[] }[] = []

  override readonly serves = [
    serve(MasterAgent, {
      register_agent: (_message, from) => {
        this.registrations.push({ at: this.clock.now(), from })
        this.agent = from
        if (this.mode === 'silent') return
        this.#to(from).tell('registered', {
          agent_id: { value: this.agentId },
          connection: { total_ping_timeout_seconds: TOTAL_PING_TIMEOUT_S },
          registration: 'R0',
        })
      },
      reregister_part: part => {
        this.parts.push(part)
        return { taken: this.takesParts }
      },
      reregister_agent: (message, from) => {
        this.reregistrations.push(message)
        this.agent = from
        if (this.mode === 'silent') return
        this.#to(from).tell('reregistered', {
          agent_id: message.agent.id!,
          connection: { total_ping_timeout_seconds: TOTAL_PING_TIMEOUT_S },
          registration: `R${this.reregistrations.length}`,
          reconciliations: this.reconciliations.map(({ framework, tasks }) => ({
            framework_id: { value: framework },
            statuses: tasks.map(task => ({
              task_id: { value: task },
              state: 'TASK_RUNNING' as const,
            })),
          })),
        })
      },
      unregister_agent: ({ agent_id }) => {
        this.unregistered.push(agent_id.value)
      },
      status_update: ({ update }) => {
        this.updates.push(update)
        this.updateTimes.push(this.clock.now())
        if (this.acknowledges && update.uuid !== undefined) this.#acknowledge(update)
      },
      exited_executor: message => {
        this.exits.push(message)
      },
      executor_message: ({ data }) => {
        this.messages.push(data)
      },
      pong: () => {
        this.pongs++
      },
    }),
  ]

  protected override initialize(): void {
    this.delay(PING_MS, () => {
      if (this.pings && this.agent) this.say.tell('ping', { connected: true })
      this.initialize()
    })
  }

  /** Says something to the agent. */
  get say() {
    return this.#to(this.agent!)
  }

  run(framework: FrameworkInfo, ...tasks: readonly TaskInfo[]): void {
    for (const task of tasks) this.say.tell('run_task', { framework, task })
  }

  /** A group on the executor that is so called. `isNew`: the master has counted it. */
  runGroup(
    framework: FrameworkInfo,
    executor: ExecutorInfo,
    tasks: readonly TaskInfo[],
    isNew = true,
  ): void {
    this.say.tell('run_task_group', {
      framework,
      executor,
      task_group: { tasks: [...tasks] },
      launch_executor: isNew,
    })
  }

  kill(framework: FrameworkInfo, taskId: string, graceMs?: number): void {
    this.say.tell('kill_task', {
      framework_id: framework.id!,
      task_id: { value: taskId },
      ...(graceMs !== undefined && {
        kill_policy: { grace_period: { nanoseconds: graceMs * 1e6 } },
      }),
    })
  }

  acknowledge(update: StatusUpdate | undefined): void {
    this.#acknowledge(update!)
  }

  /** States of a task, in the order in which they came. */
  states(taskId: string): string[] {
    return this.of(taskId).map(({ status }) => status.state)
  }

  of(taskId: string): StatusUpdate[] {
    return this.updates.filter(({ status }) => status.task_id.value === taskId)
  }

  /** The last update of a task. */
  last(taskId: string): StatusUpdate['status'] | undefined {
    return this.of(taskId).at(-1)?.status
  }

  browse(path: string): Promise<BrowseResponse> {
    return this.ref(Files, this.#files).ask('browse', { path })
  }

  read(path: string, offset = 0, length?: number): Promise<ReadResponse> {
    return this.ref(Files, this.#files).ask('read', { path, offset, ...(length && { length }) })
  }

  get #files(): Pid {
    return this.agent!.replace(/^[^@]*/, 'files') as Pid
  }

  #to(agent: Pid) {
    return this.ref(AgentMaster, agent)
  }

  #acknowledge(update: StatusUpdate): void {
    this.say.tell('status_update_acknowledgement', {
      agent_id: update.agent_id,
      framework_id: update.framework_id,
      task_id: update.status.task_id,
      uuid: update.uuid!,
    })
  }
}
