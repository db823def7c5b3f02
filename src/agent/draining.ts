// An operator wants the agent empty: all that runs is killed, what comes is refused, and what is told of it says why.
//
// The master's word counts, which it repeats with every answer to a registration. It is written down as well, so that an
// agent that is started while there is no master goes on with it. It holds until the master says otherwise.

import type { Context } from '../actors/actor.ts'
import { messageOf } from '../base/errors.ts'
import type { DrainConfig } from '../messages/agent.ts'
import type { KillTask } from '../messages/agent-registration.ts'
import { isTerminal, type TaskStatus } from '../messages/status.ts'
import type { KillPolicy } from '../messages/task.ts'
import type { AgentExecutor, AgentFramework, AgentState } from './agent-state.ts'
import type { Checkpoints } from './checkpoint/checkpoints.ts'
import type { DrainRecord } from './checkpoint/forms.ts'
import { DEFAULT_KILL_GRACE_MS } from './command-executor.ts'
import { hasCapability, type Refusal } from './refusals.ts'
import type { AgentSettings } from './settings.ts'

export interface DrainingOptions {
  readonly context: Context
  readonly state: AgentState
  readonly settings: AgentSettings
  readonly checkpoints: Checkpoints | undefined
  /** As when its scheduler wants it. */
  readonly kill: (kill: KillTask) => Promise<void> | void
}

export const DRAINING: Refusal = {
  state: 'TASK_DROPPED',
  reason: 'REASON_AGENT_DRAINING',
  message: 'Task was received while agent was already draining',
}

export class Draining {
  readonly #o: DrainingOptions
  #record: DrainRecord | undefined
  /** Each waits for the one before it. */
  #written: Promise<void> = Promise.resolve()

  constructor(options: DrainingOptions) {
    this.#o = options
  }

  /** Since when, and how; undefined while the agent is in service. */
  get record(): DrainRecord | undefined {
    return this.#record
  }

  /** What an agent before this one wrote down. Nothing is killed before `resume`. */
  restore(record: DrainRecord | undefined): void {
    this.#record = record
  }

  /** Goes on where that agent was. */
  async resume(): Promise<void> {
    if (this.#record) await this.#killAll(this.#record.config)
  }

  /** The master says that the agent is being drained, and how; or that it is not. */
  async follow(config: DrainConfig | undefined): Promise<void> {
    const { context } = this.#o
    const before = this.#record
    if (!config && !before) return
    if (!config || !before || !isSame(config, before.config)) {
      this.#record = config && { config, time_ms: context.clock.now() }
      context.log.info({ ...config }, config ? 'told to drain' : 'back in service')
      await context.resume(this.#write())
    }
    // It may have been told otherwise meanwhile.
    if (config && this.#record && isSame(config, this.#record.config)) await this.#killAll(config)
  }

  /** A status as it is told: of a task that is killed now its scheduler need not ask who killed it. */
  told(framework: AgentFramework, status: TaskStatus): TaskStatus {
    if (!this.#record || (status.state !== 'TASK_KILLING' && status.state !== 'TASK_KILLED')) {
      return status
    }
    const isGone = this.#record.config.mark_gone && hasCapability(framework.info, 'PARTITION_AWARE')
    return {
      ...status,
      ...(isGone && isTerminal(status.state) && { state: 'TASK_GONE_BY_OPERATOR' as const }),
      reason: 'REASON_AGENT_DRAINING',
    }
  }

  #write(): Promise<void> {
    const { checkpoints, context, state } = this.#o
    this.#written = this.#written.then(async () => {
      try {
        await checkpoints?.drain(state.agentId!, this.#record)
      } catch (error) {
        // The master says it again, to the next agent too.
        context.log.warn({ error: messageOf(error) }, 'draining could not be written down')
      }
    })
    return this.#written
  }

  async #killAll(config: DrainConfig): Promise<void> {
    const kills = [...this.#o.state.executors()].flatMap(executor => killsOf(executor))
    if (kills.length > 0)
      this.#o.context.log.info({ tasks: kills.length }, 'draining: killing tasks')
    await Promise.all(
      kills.map(async ({ executor, taskId, policy: own }) => {
        const policy = this.#policy(executor, own, config)
        await this.#o.kill({
          framework_id: { value: executor.framework.id },
          task_id: { value: taskId },
          ...(policy && { kill_policy: policy }),
        })
      }),
    )
  }

  /** Undefined: the task's own, as it is within what is allowed. What an executor of a framework does without one is not known. */
  #policy(
    { kind }: AgentExecutor,
    own: KillPolicy | undefined,
    { max_grace_period: most }: DrainConfig,
  ): KillPolicy | undefined {
    if (!most) return undefined
    const { dockerStopTimeoutMs = 0 } = this.#o.settings
    const usualMs = Math.max(DEFAULT_KILL_GRACE_MS, dockerStopTimeoutMs)
    const usual = kind === 'custom' ? undefined : { nanoseconds: usualMs * 1e6 }
    const wanted = own?.grace_period ?? usual
    return wanted && wanted.nanoseconds <= most.nanoseconds ? undefined : { grace_period: most }
  }
}

interface Kill {
  readonly executor: AgentExecutor
  readonly taskId: string
  readonly policy: KillPolicy | undefined
}

function killsOf(executor: AgentExecutor): Kill[] {
  return [...executor.tasks, ...executor.queued].map(([taskId, { kill_policy: policy }]) => ({
    executor,
    taskId,
    policy,
  }))
}

function isSame(a: DrainConfig, b: DrainConfig): boolean {
  return (
    (a.mark_gone ?? false) === (b.mark_gone ?? false) &&
    a.max_grace_period?.nanoseconds === b.max_grace_period?.nanoseconds
  )
}
