// The connections between an agent and its executors, whichever kind they are of.

import type { Context } from '../actors/actor.ts'
import type { Pid } from '../actors/pid.ts'
import { type ExecutorEvent, ExecutorEvents } from '../messages/executor-api.ts'
import type { AgentExecutor, AgentState } from './agent-state.ts'

export class ExecutorLinks {
  readonly #context: Context
  readonly #state: AgentState

  constructor(context: Context, state: AgentState) {
    this.#context = context
    this.#state = state
  }

  /** The executor is at `pid` from now on. */
  connect(executor: AgentExecutor, pid: Pid): void {
    if (executor.pid !== undefined && executor.pid !== pid) this.disconnect(executor)
    executor.pid = pid
    this.#state.executorsByPid.set(pid, executor)
    this.#context.link(pid)
  }

  /** Nothing is heard of it any more. */
  disconnect(executor: AgentExecutor): void {
    if (executor.pid === undefined) return
    this.#state.executorsByPid.delete(executor.pid)
    this.#context.unlink(executor.pid)
    executor.pid = undefined
  }

  /** The link to `pid` is broken. The executor that was there, if one was. */
  lost(pid: Pid): AgentExecutor | undefined {
    const executor = this.#state.executorsByPid.get(pid)
    if (!executor) return undefined
    this.#state.executorsByPid.delete(pid)
    executor.pid = undefined
    return executor
  }

  /** Says something to an executor, if it is connected. */
  tell(executor: AgentExecutor, event: ExecutorEvent): void {
    if (executor.pid !== undefined) this.tellTo(executor.pid, event)
  }

  /** Says something to whoever claims to be an executor. */
  tellTo(pid: Pid, event: ExecutorEvent): void {
    this.#context.ref(ExecutorEvents, pid).tell('event', event)
  }
}
