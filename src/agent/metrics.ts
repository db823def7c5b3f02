// What the agent counts, under the names that Mesos' monitoring guide gives. Gauges are read off the state when asked.

import type { Context } from '../actors/actor.ts'
import type { Counter } from '../actors/metrics.ts'
import type { TaskState } from '../messages/status.ts'
import { Resources } from '../resources/resources.ts'
import type { AgentState, ExecutorState } from './agent-state.ts'

const COUNTERS = [
  'container_launch_errors',
  'executors_terminated',
  'invalid_framework_messages',
  'invalid_status_updates',
  'recovery_errors',
  'tasks_failed',
  'tasks_finished',
  'tasks_gone',
  'tasks_killed',
  'tasks_lost',
  'valid_framework_messages',
  'valid_status_updates',
] as const

export type CounterName = (typeof COUNTERS)[number]

const COUNTER_OF_STATE: { readonly [S in TaskState]?: CounterName } = {
  TASK_FINISHED: 'tasks_finished',
  TASK_FAILED: 'tasks_failed',
  TASK_KILLED: 'tasks_killed',
  TASK_LOST: 'tasks_lost',
  TASK_GONE: 'tasks_gone',
}

export interface AgentView {
  readonly context: Context
  readonly state: AgentState
  readonly registered: () => boolean
}

export class AgentMetrics {
  readonly #counters: ReadonlyMap<CounterName, Counter>

  constructor(view: AgentView) {
    const { metrics } = view.context
    this.#counters = new Map(COUNTERS.map(name => [name, metrics.counter(`slave/${name}`)]))
    for (const [name, read] of Object.entries(gauges(view))) metrics.gauge(`slave/${name}`, read)
  }

  count(name: CounterName): void {
    this.#counters.get(name)!.increment()
  }

  /** Checkpoints that could not be read. */
  recovered(errors: number): void {
    for (let i = 0; i < errors; i++) this.count('recovery_errors')
  }

  /** The state that a task ended in. */
  ended(state: TaskState): void {
    const name = COUNTER_OF_STATE[state]
    if (name) this.count(name)
  }
}

const RESOURCES = ['cpus', 'gpus', 'mem', 'disk'] as const

function gauges({ context, state, registered }: AgentView): Record<string, () => number> {
  const startedAtMs = context.clock.now()
  const executors = (wanted: ExecutorState) => () =>
    [...state.executors()].filter(executor => executor.state === wanted).length
  const tasks = (wanted: TaskState) => () =>
    [...state.executors()].reduce(
      (count, executor) =>
        count + [...executor.tasks.values()].filter(task => task.state === wanted).length,
      0,
    )
  const out: Record<string, () => number> = {
    registered: () => Number(registered()),
    uptime_secs: () => (context.clock.now() - startedAtMs) / 1000,
    frameworks_active: () => state.frameworks.size,
    executors_registering: executors('REGISTERING'),
    executors_running: executors('RUNNING'),
    executors_terminating: executors('TERMINATING'),
    // Those that wait for their executor are being staged too.
    tasks_staging: () =>
      tasks('TASK_STAGING')() +
      [...state.executors()].reduce((count, { queued }) => count + queued.size, 0),
    tasks_starting: tasks('TASK_STARTING'),
    tasks_running: tasks('TASK_RUNNING'),
    tasks_killing: tasks('TASK_KILLING'),
  }
  const total = (): Resources => Resources.of(state.info.resources)
  const sumUsed = (): Resources =>
    Resources.sum(
      [...state.executors()].flatMap(executor => [
        Resources.of(executor.info.resources),
        ...[...executor.tasks.values(), ...executor.queued.values()].map(task =>
          Resources.of(task.resources),
        ),
      ]),
    )
  // A reading asks for all of these in one turn: what is in use is added up once for it.
  let usedNow: Resources | undefined
  const used = (): Resources => {
    if (usedNow === undefined) {
      usedNow = sumUsed()
      queueMicrotask(() => (usedNow = undefined))
    }
    return usedNow
  }
  for (const name of RESOURCES) {
    for (const [suffix, kind] of [
      ['', 'nonRevocable'],
      ['_revocable', 'revocable'],
    ] as const) {
      out[`${name}${suffix}_total`] = () => total()[kind]().get(name)
      out[`${name}${suffix}_used`] = () => used()[kind]().get(name)
      out[`${name}${suffix}_percent`] = () => {
        const all = total()[kind]().get(name)
        return all > 0 ? used()[kind]().get(name) / all : 0
      }
    }
  }
  return out
}
