// What executors say and are told while they live: subscription, updates, tasks to launch and to kill.

import type { Context } from '../actors/actor.ts'
import type { Pid } from '../actors/pid.ts'
import { formatDuration } from '../base/duration.ts'
import type { ExecutorMessage, ShutdownExecutor } from '../messages/agent-registration.ts'
import type { ExecutorCall, ExecutorEvent } from '../messages/executor-api.ts'
import type { TaskInfo } from '../messages/task.ts'
import type { AgentExecutor, AgentState, TaskKill } from './agent-state.ts'
import { type AcknowledgeableStatus, whyInvalid } from './executor-call.ts'
import type { ExecutorEnds } from './executor-ends.ts'
import type { ExecutorLinks } from './executor-links.ts'
import type { AgentMetrics } from './metrics.ts'
import type { Registration } from './registration.ts'
import { taskRecord } from './task-record.ts'
import type { Updates } from './updates.ts'

/** An executor whose connection broke, but not its process, has this long to subscribe again. */
const RESUBSCRIBE_MS = 15_000

type SubscribeCall = Extract<ExecutorCall, { type: 'SUBSCRIBE' }>

export interface ExecutorsOptions {
  readonly context: Context
  readonly metrics: AgentMetrics
  readonly state: AgentState
  readonly registration: Registration
  readonly links: ExecutorLinks
  readonly ends: ExecutorEnds
  readonly updates: Updates
}

export class Executors {
  readonly #o: ExecutorsOptions

  constructor(options: ExecutorsOptions) {
    this.#o = options
  }

  /** What an executor says. */
  call(call: ExecutorCall, from: Pid): Promise<void> | void {
    const { context, state, links, metrics } = this.#o
    const executor = state.executor(call.framework_id.value, call.executor_id.value)
    const fields = { executor: call.executor_id.value, framework: call.framework_id.value, from }
    if (!executor) {
      context.log.warn(fields, `${call.type} of an executor that this agent does not know`)
      const what = state.framework(call.framework_id.value) ? 'Executor' : 'Framework'
      const message = `${what} cannot be found`
      return links.tellTo(from, { type: 'ERROR', error: { message } })
    }
    if (call.type === 'SUBSCRIBE') return this.#subscribe(executor, call, from)
    if (executor.pid !== from) {
      return context.log.warn(fields, `${call.type} ignored: the executor is not subscribed`)
    }
    switch (call.type) {
      case 'UPDATE': {
        const why = whyInvalid(call)
        if (why !== undefined) {
          metrics.count('invalid_status_updates')
          return context.log.warn(fields, `update ignored: ${why}`)
        }
        return this.#o.updates.fromExecutor(executor, call.update.status as AcknowledgeableStatus)
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

  /** What a scheduler says to one. */
  message({ framework_id, executor_id, data }: ExecutorMessage): void {
    const { metrics, state } = this.#o
    const executor = state.executor(framework_id.value, executor_id.value)
    if (executor?.state !== 'RUNNING') return metrics.count('invalid_framework_messages')
    metrics.count('valid_framework_messages')
    this.tell(executor, { type: 'MESSAGE', message: { data } })
  }

  /** The scheduler wants one ended. */
  shutdown({ framework_id, executor_id }: ShutdownExecutor): void {
    const { context, ends, state } = this.#o
    const executor = state.executor(framework_id.value, executor_id.value)
    if (!executor) return
    const fields = { framework: framework_id.value, executor: executor.id }
    context.log.info(fields, 'asked to end an executor')
    ends.shutdown(executor)
  }

  /** Says something to an executor, if it is connected. */
  tell(executor: AgentExecutor, event: ExecutorEvent): void {
    this.#o.links.tell(executor, event)
  }

  /** Has an executor kill a task; one that lost its connection hears of it when it is back. */
  kill(executor: AgentExecutor, kill: TaskKill): void {
    if (executor.pid === undefined) executor.kills.push(kill)
    else this.tell(executor, { type: 'KILL', kill })
  }

  /** Gives a running executor all that waits for it. */
  deliver(executor: AgentExecutor): void {
    for (const taskId of executor.queued.keys()) {
      const group = executor.groups.get(taskId)
      const ids = group ?? [taskId]
      // Those behind it wait, too: tasks come to an executor in the order of their launch.
      if (ids.some(id => executor.unsaved.has(id))) break
      // A group is taken from the queue whole, by its first.
      const tasks = ids.flatMap(id => this.#take(executor, id))
      if (!group) this.tell(executor, { type: 'LAUNCH', launch: { task: tasks[0]! } })
      else if (tasks.length > 0) {
        const members = tasks.map(withoutExecutor)
        this.tell(executor, {
          type: 'LAUNCH_GROUP',
          launch_group: { task_group: { tasks: members } },
        })
      }
    }
  }

  #take(executor: AgentExecutor, taskId: string): TaskInfo | [] {
    const task = executor.queued.get(taskId)
    if (!task) return []
    executor.queued.delete(taskId)
    executor.tasks.set(taskId, taskRecord(task, executor.framework.info))
    executor.wasUsed = true
    return task
  }

  /** A linked executor ended, or cannot be reached. */
  exited(pid: Pid): Promise<void> | void {
    const { context, ends, links } = this.#o
    const executor = links.lost(pid)
    if (!executor) return
    if (executor.kind !== 'custom') return ends.conclude(executor, 0)
    if (executor.waitStatus !== undefined) return ends.conclude(executor, executor.waitStatus)
    if (executor.state !== 'RUNNING') return
    const fields = { executor: executor.id, framework: executor.framework.id }
    context.log.warn(
      fields,
      'the connection to an executor is lost; waiting for it to subscribe again',
    )
    ends.expect(executor, RESUBSCRIBE_MS, {
      reason: 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
      message: `Executor did not reregister within ${formatDuration(RESUBSCRIBE_MS)}`,
    })
  }

  async #subscribe(executor: AgentExecutor, call: SubscribeCall, from: Pid): Promise<void> {
    const { context, state, ends, links } = this.#o
    const { framework } = executor
    const { agent_id: by } = call.subscribe
    const isOurs = by === undefined || by.value === state.info.id?.value
    if (!isOurs || executor.state === 'TERMINATING' || executor.state === 'TERMINATED') {
      return links.tellTo(from, { type: 'SHUTDOWN' })
    }
    // One that asks once more over a connection that stands was only not answered in time: what it was sent is on its way.
    const isAgain = (executor.state === 'RUNNING' && executor.pid !== from) || isOld(executor)
    executor.isRecovered = false
    executor.deadline?.cancel()
    links.connect(executor, from)
    executor.state = 'RUNNING'
    // Those that are actors of the agent's own are no news.
    const level = executor.kind === 'custom' ? 'info' : 'debug'
    context.log[level](
      { executor: executor.id, framework: framework.id, pid: from },
      'executor subscribed',
    )
    // Entered into the books now; that they are kept, the executor hears after SUBSCRIBED.
    const kept: Promise<void>[] = []
    for (const { status } of call.subscribe.unacknowledged_updates ?? []) {
      const why = whyInvalid({ ...call, type: 'UPDATE', update: { status } })
      if (why !== undefined) continue
      kept.push(this.#o.updates.fromExecutor(executor, status as AcknowledgeableStatus))
    }
    const forgotten = isAgain ? this.#dropForgotten(executor, call) : []
    kept.push(...forgotten)
    if (forgotten.length > 0 && executor.tasks.size === 0 && executor.queued.size === 0) {
      ends.shutdown(executor)
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

  /** Gives a running executor a task that waited to be written down. */
  saved(executor: AgentExecutor): void {
    // One that lost its connection gets it when it is back.
    if (executor.state === 'RUNNING' && executor.pid !== undefined) this.deliver(executor)
  }

  /** Tasks that were sent but that the executor does not know got lost with the connection. */
  #dropForgotten(executor: AgentExecutor, call: SubscribeCall): Promise<void>[] {
    const known = new Set(call.subscribe.unacknowledged_tasks?.map(task => task.task_id.value))
    return [...executor.tasks]
      .filter(([taskId, task]) => task.state === 'TASK_STAGING' && !known.has(taskId))
      .map(([taskId]) =>
        this.#o.updates.fromAgent(executor, taskId, {
          state: 'TASK_DROPPED',
          reason: 'REASON_AGENT_RESTARTED',
          message: 'Task launched during agent restart',
        }),
      )
  }
}

/** As executors know the tasks of a group. */
function withoutExecutor(task: TaskInfo): TaskInfo {
  const { executor: _, ...alone } = task
  return alone
}

/** What an agent before this one sent it may have been lost with that. A command has its task from its checkpoint. */
function isOld(executor: AgentExecutor): boolean {
  return executor.isRecovered && executor.kind === 'custom'
}
