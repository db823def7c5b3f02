// `/state` of an agent, in the form of Mesos' endpoint.

import type { HttpResponse } from '../actors/http.ts'
import { json } from '../actors/http.ts'
import type { Task, TaskInfo } from '../messages/task.ts'
import { stateAttributes, stateReservations, stateResources } from '../resources/format.ts'
import { Resources } from '../resources/resources.ts'
import { allocationRole, taskJson } from '../resources/task-json.ts'
import { DEFAULT_ROLE } from '../resources/roles.ts'
import { agentCapabilities } from './agent-capabilities.ts'
import type { AgentExecutor, AgentFramework, AgentState, CompletedExecutor } from './agent-state.ts'
import type { DrainRecord } from './checkpoint/forms.ts'
import type { AgentOptions } from './options.ts'

export interface StateSource {
  readonly state: AgentState
  readonly options: AgentOptions
  readonly pid: string
  readonly startTimeMs: number
  /** Absent while there is none. */
  readonly masterHostname: string | undefined
  readonly drain: DrainRecord | undefined
}

type Json = Readonly<Record<string, unknown>>

/** Answers a request for the whole state. */
export function stateResponse(source: StateSource): HttpResponse {
  return json(agentState(source))
}

export function agentState({
  state,
  options,
  pid,
  startTimeMs,
  masterHostname,
  drain,
}: StateSource): Json {
  const { info } = state
  const total = Resources.of(info.resources)
  const used = Resources.sum([...state.executors()].map(executorResources))
  const unreserved = total.unreserved()
  return {
    version: options.version,
    start_time: startTimeMs / 1000,
    id: info.id?.value ?? '',
    pid,
    hostname: info.hostname,
    capabilities: agentCapabilities(options.isolation),
    resources: stateResources(total),
    reserved_resources: stateReservations(total),
    unreserved_resources: stateResources(unreserved),
    reserved_resources_full: Object.fromEntries(
      [...total.reservations()].map(([role, part]) => [role, withRole(part, role)]),
    ),
    unreserved_resources_full: withRole(unreserved, DEFAULT_ROLE),
    reserved_resources_allocated: stateReservations(used),
    unreserved_resources_allocated: stateResources(used.unreserved()),
    resource_providers: [],
    attributes: stateAttributes(info.attributes),
    ...(masterHostname !== undefined && { master_hostname: masterHostname }),
    ...(drain && {
      drain_config: drain.config,
      estimated_drain_start_time_seconds: drain.time_ms / 1000,
    }),
    flags: options.printableFlags,
    frameworks: [...state.frameworks.values()].map(frameworkJson),
    completed_frameworks: [...state.completedFrameworks.values()].map(frameworkJson),
  }
}

function withRole(resources: Resources, role: string): Json[] {
  return resources.list().map(resource => ({ ...resource, role }))
}

function frameworkJson({ id, info, executors, completedExecutors }: AgentFramework): Json {
  const isMultiRole = info.capabilities?.some(({ type }) => type === 'MULTI_ROLE')
  return {
    id,
    name: info.name,
    user: info.user,
    failover_timeout: info.failover_timeout ?? 0,
    checkpoint: info.checkpoint ?? false,
    hostname: info.hostname ?? '',
    ...(info.principal !== undefined && { principal: info.principal }),
    ...(isMultiRole ? { roles: info.roles ?? [] } : { role: info.role ?? DEFAULT_ROLE }),
    executors: [...executors.values()].map(runningExecutorJson),
    completed_executors: completedExecutors.toArray().map(completedExecutorJson),
  }
}

/** What an executor and its tasks that have not ended use. */
export function executorResources({ info, queued, tasks }: AgentExecutor): Resources {
  const parts = [info, ...queued.values(), ...tasks.values()]
  return Resources.sum(parts.map(({ resources }) => Resources.of(resources)))
}

function runningExecutorJson(executor: AgentExecutor): Json {
  return {
    ...executorJson(executor, executorResources(executor), [
      ...executor.tasks.values(),
      ...executor.queued.values(),
    ]),
    tasks: [...executor.tasks.values()].map(taskJson),
    queued_tasks: [...executor.queued.values()].map(queuedTaskJson),
    // Those whose end is not acknowledged yet are over as well, to one who looks.
    completed_tasks: [...executor.completed, ...executor.terminated.values()].map(taskJson),
  }
}

function completedExecutorJson(executor: CompletedExecutor): Json {
  const { completed, info, kind } = executor
  // A command executor is shown with what its task used.
  const parts = kind === 'command' ? [info, ...completed] : [info]
  const resources = Resources.sum(parts.map(part => Resources.of(part.resources)))
  return {
    ...executorJson(executor, resources, completed),
    tasks: [],
    queued_tasks: [],
    completed_tasks: completed.map(taskJson),
  }
}

function executorJson(
  executor: Pick<AgentExecutor, 'id' | 'info' | 'kind' | 'containerId' | 'directory'>,
  resources: Resources,
  tasks: readonly { readonly resources?: Task['resources'] }[],
): Json {
  const { id, info, kind, containerId, directory } = executor
  const role = [info, ...tasks]
    .map(it => allocationRole(it.resources))
    .find(found => found !== undefined)
  return {
    id,
    name: info.name ?? '',
    source: info.source ?? '',
    container: containerId,
    directory,
    resources: stateResources(resources),
    ...(role !== undefined && { role }),
    ...(info.labels && { labels: info.labels.labels ?? [] }),
    ...(kind !== 'command' && { type: info.type ?? 'CUSTOM' }),
  }
}

function queuedTaskJson(task: TaskInfo): Json {
  const role = allocationRole(task.resources)
  return {
    id: task.task_id.value,
    name: task.name,
    slave_id: task.agent_id.value,
    resources: stateResources(Resources.of(task.resources)),
    data: task.data ?? '',
    ...(role !== undefined && { role }),
    ...(task.command && { command: task.command }),
    ...(task.executor && { executor_id: task.executor.executor_id.value }),
    ...(task.discovery && { discovery: task.discovery }),
  }
}
