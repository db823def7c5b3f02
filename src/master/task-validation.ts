// Is a task acceptable? Each rule answers with Mesos' own text, for users search for it. Pure.

import { whyTooLarge } from '../messages/size.ts'
import type { TaskState } from '../messages/status.ts'
import { isTerminal } from '../messages/status.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import { describe } from '../resources/format.ts'
import { Resources } from '../resources/resources.ts'
import { validateResources } from '../resources/validate.ts'
import {
  validateCheck,
  validateCommand,
  validateContainer,
  validateHealthCheck,
} from './command-validation.ts'
import { prefixed, validateId } from './validation.ts'

/** What a task is held against. */
export interface TaskSetting {
  readonly frameworkId: string
  readonly agentId: string
  /** The role its offers are for. */
  readonly role: string
  /** What of the offers is left for it, allocated to nobody. */
  readonly available: Resources
  /** The framework's task with this id, if it is on the books or out of reach. */
  readonly task: (id: string) => { readonly state: TaskState; readonly known: boolean } | undefined
  /** The framework's executor with this id on that agent. */
  readonly executor: (id: string) => ExecutorInfo | undefined
}

/** What a valid task takes: its own resources, and its executor's if that has to be started. Not allocated to a role. */
export interface TaskNeeds {
  readonly resources: Resources
  readonly newExecutor: { readonly info: ExecutorInfo; readonly resources: Resources } | undefined
  readonly total: Resources
}

/** Checks a task of LAUNCH: what it needs, or why it is refused. The order of the rules is Mesos'. */
export function validateTask(
  task: TaskInfo,
  setting: TaskSetting,
):
  | { readonly ok: true; readonly needs: TaskNeeds }
  | { readonly ok: false; readonly error: string } {
  const resources = Resources.of(task.resources).unallocate()
  const error = validateAlone(task, resources, setting) ?? validateExecutor(task, setting)
  if (error !== undefined) return { ok: false, error }
  return withinOffer(task, resources, setting)
}

/** What every task has to be, whoever runs it. `resources`: its own, allocated to nobody. */
export function validateAlone(
  task: TaskInfo,
  resources: Resources,
  setting: TaskSetting,
): string | undefined {
  return (
    validateIdentity(task, setting) ??
    validatePolicies(task) ??
    prefixed('TaskInfo ', whyTooLarge('task', task)) ??
    prefixed('Task uses invalid check: ', task.check && validateCheck(task.check)) ??
    prefixed(
      'Task uses invalid health check: ',
      task.health_check && validateHealthCheck(task.health_check),
    ) ??
    validateTaskResources(task, resources, setting.role) ??
    prefixed("Task's `CommandInfo` is invalid: ", task.command && validateCommand(task.command)) ??
    prefixed(
      "Task's `ContainerInfo` is invalid: ",
      task.container && validateContainer(task.container),
    ) ??
    validateLimits(task, resources)
  )
}

function withinOffer(
  task: TaskInfo,
  resources: Resources,
  { available, executor, frameworkId, role }: TaskSetting,
): ReturnType<typeof validateTask> {
  const info = task.executor && { ...task.executor, framework_id: { value: frameworkId } }
  const isNew = info && !executor(info.executor_id.value)
  const forExecutor = isNew ? Resources.of(info.resources).unallocate() : Resources.empty
  const total = resources.add(forExecutor)
  const mixed = mixesRevocable(total)
  if (mixed !== undefined) {
    return {
      ok: false,
      error: `Task and its executor mix revocable and non-revocable resources: ${mixed}`,
    }
  }
  if (!available.contains(total)) {
    return {
      ok: false,
      error:
        `Total resources ${describe(total.allocate(role))} required by task and its executor is ` +
        `more than available ${describe(available.allocate(role))}`,
    }
  }
  const newExecutor = isNew ? { info, resources: forExecutor } : undefined
  return { ok: true, needs: { resources, newExecutor, total } }
}

function validateIdentity(task: TaskInfo, setting: TaskSetting): string | undefined {
  const { value: id } = task.task_id
  const invalid = validateId(id)
  if (invalid !== undefined) return `TaskInfo.task_id is invalid: ${invalid}`
  const other = setting.task(id)
  if (other?.known) return `Task has duplicate ID: ${id}`
  // One that was called lost is over for its framework, which may have no other names.
  if (other && !isTerminal(other.state)) return `Task reuses the ID of an unreachable task: ${id}`
  if (task.agent_id.value !== setting.agentId) {
    return `Task uses invalid agent ${task.agent_id.value} while agent ${setting.agentId} is expected`
  }
  return undefined
}

function validateExecutor(task: TaskInfo, setting: TaskSetting): string | undefined {
  const { executor } = task
  if ((task.command !== undefined) === (executor !== undefined)) {
    return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present'
  }
  if (!executor) {
    return task.container?.linux_info?.share_cgroups === false
      ? "Only tasks in a task group may have 'share_cgroups' set to 'false'"
      : undefined
  }
  if (executor.type === 'DEFAULT') return "'ExecutorInfo.type' must be 'CUSTOM'"
  const invalid = validateId(executor.executor_id.value)
  if (invalid !== undefined) return `ExecutorInfo.executor_id is invalid: ${invalid}`
  if ((executor.shutdown_grace_period?.nanoseconds ?? 0) < 0) {
    return "ExecutorInfo's 'shutdown_grace_period' must be non-negative"
  }
  if (!executor.command) return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
  return (
    prefixed("Executor's `CommandInfo` is invalid: ", validateCommand(executor.command)) ??
    prefixed(
      "Executor's `ContainerInfo` is invalid: ",
      executor.container && validateContainer(executor.container),
    ) ??
    validateExecutorPlace(executor, setting)
  )
}

/** An executor's resources, and whether it is the one that runs under its id. */
export function validateExecutorPlace(
  executor: ExecutorInfo,
  { frameworkId, role, executor: known }: TaskSetting,
): string | undefined {
  if (executor.framework_id && executor.framework_id.value !== frameworkId) {
    return (
      `ExecutorInfo has an invalid FrameworkID (Actual: ${executor.framework_id.value} ` +
      `vs Expected: ${frameworkId})`
    )
  }
  const list = executor.resources ?? []
  const invalid = validateResources(list)
  if (invalid !== undefined) return `Executor uses invalid resources: ${invalid}`
  const existing = known(executor.executor_id.value)
  if (existing && !sameExecutor(existing, { ...executor, framework_id: { value: frameworkId } })) {
    return (
      'ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID: ' +
      'every task that names it must describe it in the same way'
    )
  }
  return prefixed('Invalid executor resources: ', allocatedElsewhere(list, role))
}

/**
 * Resources are compared as such: an agent that came back has described the executor with the role that they are allocated
 * to, and perhaps in another order.
 */
function sameExecutor(a: ExecutorInfo, b: ExecutorInfo): boolean {
  const of = ({ resources }: ExecutorInfo): Resources => Resources.of(resources).unallocate()
  return sameJson({ ...a, resources: [] }, { ...b, resources: [] }) && of(a).equals(of(b))
}

function validateTaskResources(
  { resources: list }: TaskInfo,
  resources: Resources,
  role: string,
): string | undefined {
  if (!list || list.length === 0) return 'Task uses no resources'
  return (
    prefixed('Task uses invalid resources: ', validateResources(list)) ??
    prefixed('Invalid task resources: ', allocatedElsewhere(list, role)) ??
    prefixed('Task mixes revocable and non-revocable resources: ', mixesRevocable(resources))
  )
}

function allocatedElsewhere(list: TaskInfo['resources'], role: string): string | undefined {
  for (const { allocation_info } of list ?? []) {
    const to = allocation_info?.role
    if (to !== undefined && to !== role) {
      return `allocated to role '${to}', but the offer is for role '${role}'`
    }
  }
  return undefined
}

export function mixesRevocable(resources: Resources): string | undefined {
  const kinds = resources.kinds()
  if (!kinds.some(kind => kind.revocable)) return undefined
  const mixed = kinds.find(a => a.revocable && kinds.some(b => b.name === a.name && !b.revocable))
  return mixed && `Cannot use both revocable and non-revocable '${mixed.name}' at the same time`
}

function validatePolicies({ kill_policy, max_completion_time }: TaskInfo): string | undefined {
  if ((kill_policy?.grace_period?.nanoseconds ?? 0) < 0) {
    return "Task's 'kill_policy.grace_period' must be non-negative"
  }
  if ((max_completion_time?.nanoseconds ?? 0) < 0) {
    return "Task's `max_completion_time` must be non-negative"
  }
  return undefined
}

function validateLimits({ limits = {} }: TaskInfo, resources: Resources): string | undefined {
  const { cpus, mem, ...others } = limits
  if (Object.keys(others).length > 0) {
    return "Only cpus and mem may be included in a task's resource limits"
  }
  const requested = resources.scalars()
  if (cpus) {
    if (!requested.has('cpus')) {
      return 'When a CPU limit is specified, a CPU request must also be specified'
    }
    if (!(cpus.value >= resources.get('cpus'))) {
      return 'The cpu limit must be greater than or equal to the cpu request'
    }
  }
  if (mem) {
    if (!requested.has('mem')) {
      return 'When a memory limit is specified, a memory request must also be specified'
    }
    if (!(mem.value >= resources.get('mem'))) {
      return 'The memory limit must be greater than or equal to the memory request'
    }
  }
  return undefined
}

/** Equality of plain data, whatever the order of the fields. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  for (const key of keys) {
    if (!sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
      return false
  }
  return true
}
