// What the master counts, under the names that Mesos' monitoring guide gives. Gauges are read off the state when asked.

import type { Context } from '../actors/actor.ts'
import type { Counter, Timing } from '../actors/metrics.ts'
import type { Call } from '../messages/scheduler-api.ts'
import type { TaskState, TaskStatus } from '../messages/status.ts'
import { Resources } from '../resources/resources.ts'
import type { Allocator } from './allocator/allocator.ts'
import type { Registry } from './registry/registry.ts'
import type { MasterState } from './state.ts'

const COUNTERS = [
  'dropped_messages',
  'invalid_executor_to_framework_messages',
  'invalid_framework_to_executor_messages',
  'invalid_status_update_acknowledgements',
  'invalid_status_updates',
  'messages_decline_offers',
  'messages_executor_to_framework',
  'messages_exited_executor',
  'messages_framework_to_executor',
  'messages_kill_task',
  'messages_launch_tasks',
  'messages_operation_status_update_acknowledgement',
  'messages_reconcile_operations',
  'messages_reconcile_tasks',
  'messages_register_framework',
  'messages_register_slave',
  'messages_reregister_framework',
  'messages_reregister_slave',
  'messages_resource_request',
  'messages_revive_offers',
  'messages_status_update',
  'messages_status_update_acknowledgement',
  'messages_suppress_offers',
  'messages_unregister_framework',
  'messages_unregister_slave',
  'recovery_slave_removals',
  'slave_registrations',
  'slave_removals',
  'slave_removals/reason_registered',
  'slave_removals/reason_unhealthy',
  'slave_removals/reason_unregistered',
  'slave_reregistrations',
  'slave_unreachable_canceled',
  'slave_unreachable_completed',
  'slave_unreachable_scheduled',
  'tasks_dropped',
  'tasks_error',
  'tasks_failed',
  'tasks_finished',
  'tasks_gone',
  'tasks_gone_by_operator',
  'tasks_killed',
  'tasks_lost',
  'valid_executor_to_framework_messages',
  'valid_framework_to_executor_messages',
  'valid_status_update_acknowledgements',
  'valid_status_updates',
] as const

export type CounterName = (typeof COUNTERS)[number]

/** Calls without a row are counted by none of Mesos' names. */
const COUNTER_OF_CALL: { readonly [T in Call['type']]?: CounterName } = {
  DECLINE: 'messages_decline_offers',
  REVIVE: 'messages_revive_offers',
  SUPPRESS: 'messages_suppress_offers',
  KILL: 'messages_kill_task',
  ACKNOWLEDGE: 'messages_status_update_acknowledgement',
  ACKNOWLEDGE_OPERATION_STATUS: 'messages_operation_status_update_acknowledgement',
  RECONCILE: 'messages_reconcile_tasks',
  RECONCILE_OPERATIONS: 'messages_reconcile_operations',
  MESSAGE: 'messages_framework_to_executor',
  TEARDOWN: 'messages_unregister_framework',
  REQUEST: 'messages_resource_request',
}

/** Tasks that end; TASK_UNREACHABLE is a gauge, for they may come back. */
const COUNTER_OF_STATE: { readonly [S in TaskState]?: CounterName } = {
  TASK_FINISHED: 'tasks_finished',
  TASK_FAILED: 'tasks_failed',
  TASK_KILLED: 'tasks_killed',
  TASK_LOST: 'tasks_lost',
  TASK_ERROR: 'tasks_error',
  TASK_DROPPED: 'tasks_dropped',
  TASK_GONE: 'tasks_gone',
  TASK_GONE_BY_OPERATOR: 'tasks_gone_by_operator',
}

/** What the gauges look at. */
export interface MasterView {
  readonly context: Context
  readonly state: MasterState
  readonly registry: Registry
  readonly allocator: Allocator
  readonly leading: () => boolean
}

export class MasterMetrics {
  readonly #counters: ReadonlyMap<CounterName, Counter>
  /** `task_<state>/source_<source>/reason_<reason>`, made when it first happens. */
  readonly #ends = new Map<string, Counter>()
  readonly #context: Context
  readonly allocationRuns: Counter
  readonly allocationRun: Timing
  readonly allocationRunLatency: Timing

  constructor(view: MasterView) {
    const { metrics } = view.context
    this.#context = view.context
    this.#counters = new Map(COUNTERS.map(name => [name, metrics.counter(`master/${name}`)]))
    this.allocationRuns = metrics.counter('allocator/mesos/allocation_runs')
    this.allocationRun = metrics.timing('allocator/mesos/allocation_run_ms')
    this.allocationRunLatency = metrics.timing('allocator/mesos/allocation_run_latency_ms')
    for (const [name, read] of Object.entries(gauges(view))) metrics.gauge(name, read)
    const { allocator } = view
    metrics.gauges(() =>
      allocator.roles.map(role => [
        `allocator/mesos/roles/${role}/shares/dominant`,
        allocator.share(role),
      ]),
    )
  }

  count(name: CounterName): void {
    this.#counters.get(name)!.increment()
  }

  call(call: Call): void {
    const name = counterOf(call)
    if (name) this.count(name)
  }

  /** A task has ended, or was refused; `status` says how. */
  ended({ state, source, reason }: TaskStatus): void {
    const counter = COUNTER_OF_STATE[state]
    if (!counter) return
    this.count(counter)
    if (source === undefined || reason === undefined) return
    // Mesos keeps the names of v0 here, as it must: dashboards are made of them.
    const v0 = `${source}/${reason}`.toLowerCase().replaceAll('agent', 'slave')
    const name = `master/${state.toLowerCase()}/${v0}`
    let end = this.#ends.get(name)
    if (!end) this.#ends.set(name, (end = this.#context.metrics.counter(name)))
    end.increment()
  }
}

function counterOf(call: Call): CounterName | undefined {
  if (call.type === 'SUBSCRIBE') {
    const again = (call.framework_id?.value ?? '') !== ''
    return again ? 'messages_reregister_framework' : 'messages_register_framework'
  }
  if (call.type === 'ACCEPT') {
    const launches = call.accept.operations?.some(({ type }) => type.startsWith('LAUNCH'))
    return launches ? 'messages_launch_tasks' : undefined
  }
  return COUNTER_OF_CALL[call.type]
}

const RESOURCES = ['cpus', 'gpus', 'mem', 'disk'] as const

function gauges(view: MasterView): Record<string, () => number> {
  const { context, state, registry, allocator, leading } = view
  const startedAtMs = context.clock.now()
  const agents = (counts: (agent: { readonly connected: boolean }) => boolean) => () =>
    [...state.agents.values()].filter(counts).length
  const frameworks =
    (counts: (framework: { readonly connected: boolean; readonly active: boolean }) => boolean) =>
    () =>
      [...state.frameworks.values()].filter(counts).length
  const summary = summaries(state)
  const of = (task: TaskState) => () => summary().tasks.get(task) ?? 0
  const out: Record<string, () => number> = {
    'master/elected': () => Number(leading()),
    'master/uptime_secs': () => (context.clock.now() - startedAtMs) / 1000,
    'master/slaves_active': agents(agent => agent.connected),
    'master/slaves_connected': agents(agent => agent.connected),
    'master/slaves_disconnected': agents(agent => !agent.connected),
    'master/slaves_inactive': agents(agent => !agent.connected),
    'master/slaves_unreachable': () => registry.unreachable.size,
    'master/frameworks_active': frameworks(framework => framework.active),
    'master/frameworks_connected': frameworks(framework => framework.connected),
    'master/frameworks_disconnected': frameworks(framework => !framework.connected),
    'master/frameworks_inactive': frameworks(framework => !framework.active),
    'master/outstanding_offers': () => state.offers.size,
    'master/tasks_staging': of('TASK_STAGING'),
    'master/tasks_starting': of('TASK_STARTING'),
    'master/tasks_running': of('TASK_RUNNING'),
    'master/tasks_killing': of('TASK_KILLING'),
    'master/tasks_unreachable': () =>
      [...state.frameworks.values()].reduce(
        (n, { unreachableTasks }) => n + unreachableTasks.size,
        0,
      ),
    'master/event_queue_messages': () => context.waiting('message'),
    'master/event_queue_dispatches': () => context.waiting('dispatch'),
    'master/event_queue_http_requests': () => context.waiting('http'),
  }
  for (const name of RESOURCES) {
    for (const [suffix, kind] of [
      ['', 'nonRevocable'],
      ['_revocable', 'revocable'],
    ] as const) {
      const total = (): number => summary().total[kind]().get(name)
      const used = (): number => summary().used[kind]().get(name)
      out[`master/${name}${suffix}_total`] = total
      out[`master/${name}${suffix}_used`] = used
      out[`master/${name}${suffix}_percent`] = () => (total() > 0 ? used() / total() : 0)
    }
    const total = (): number => summary().total.get(name)
    out[`allocator/mesos/resources/${name}/total`] = total
    out[`allocator/mesos/resources/${name}/offered_or_allocated`] = () =>
      total() - Resources.sum([...state.agents.keys()].map(id => allocator.free(id))).get(name)
  }
  return out
}

interface Summary {
  readonly tasks: ReadonlyMap<TaskState, number>
  readonly total: Resources
  readonly used: Resources
}

/** One walk over all tasks serves all gauges, and all snapshots until something changes. */
function summaries(state: MasterState): () => Summary {
  let known: (Summary & { readonly version: number }) | undefined
  return () => {
    if (known?.version === state.version) return known
    const tasks = new Map<TaskState, number>()
    const held: Resources[] = []
    for (const framework of state.frameworks.values()) {
      for (const { task, holding, resources } of framework.tasks.values()) {
        tasks.set(task.state, (tasks.get(task.state) ?? 0) + 1)
        if (holding) held.push(resources)
      }
      for (const executors of framework.executors.values()) {
        for (const { resources } of executors.values()) held.push(resources)
      }
    }
    const total = Resources.sum([...state.agents.values()].map(agent => agent.total))
    known = { version: state.version, tasks, total, used: Resources.sum(held) }
    return known
  }
}
