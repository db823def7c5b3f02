// Is what a framework asks for acceptable? Each rule answers with Mesos' own text, for users search for it. Pure.

import type { FrameworkInfo } from '../messages/framework.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import { validateRoles } from '../resources/roles.ts'
import { describe } from '../resources/format.ts'
import { Resources } from '../resources/resources.ts'
import { validateResources } from '../resources/validate.ts'

const MAX_ID_LENGTH = 255

/** Ids become names of directories on agents, so they must be good for that. */
export function validateId(id: string): string | undefined {
  if (id === '') return 'ID must not be empty'
  if (id.length > MAX_ID_LENGTH) return `ID must not be greater than ${MAX_ID_LENGTH} characters`
  if (id === '.' || id === '..') return `'${id}' is disallowed`
  for (const char of id) {
    const code = char.codePointAt(0)!
    if (code < 0x20 || code === 0x7f || char === '/' || char === '\\') {
      return `'${id}' contains invalid characters`
    }
  }
  return undefined
}

const hasCapability = (info: FrameworkInfo, type: string): boolean =>
  info.capabilities?.some(c => c.type === type) ?? false

/** The roles a framework subscribes to, by either way of saying so. */
export function rolesOf(info: FrameworkInfo): readonly string[] {
  return hasCapability(info, 'MULTI_ROLE') ? (info.roles ?? []) : [info.role ?? '*']
}

/** Why a framework cannot subscribe like this; undefined if it can. */
export function validateFramework(
  info: FrameworkInfo,
  suppressedRoles: readonly string[],
  rules: { readonly rootSubmissions: boolean },
): string | undefined {
  if (hasCapability(info, 'MULTI_ROLE')) {
    if (info.role !== undefined) {
      return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
    }
  } else if (info.roles && info.roles.length > 0) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
  }
  const roles = rolesOf(info)
  if (new Set(roles).size !== roles.length) {
    return "'FrameworkInfo.roles' contains duplicate items"
  }
  const invalid = validateRoles(roles)
  if (invalid !== undefined) {
    const field = hasCapability(info, 'MULTI_ROLE') ? 'roles' : 'role'
    return `'FrameworkInfo.${field}' contains invalid role: ${invalid}`
  }
  for (const role of suppressedRoles) {
    if (!roles.includes(role))
      return `Suppressed role '${role}' is not contained in the list of roles`
  }
  if (info.user === 'root' && !rules.rootSubmissions) {
    return `User 'root' is not allowed to run frameworks without --root_submissions set`
  }
  if (info.id && info.id.value !== '') {
    const id = validateId(info.id.value)
    if (id !== undefined) return `'FrameworkInfo.id' is invalid: ${id}`
  }
  return undefined
}

/** What a task is held against. */
export interface TaskSetting {
  readonly frameworkId: string
  readonly agentId: string
  /** The role its offers are for. */
  readonly role: string
  /** What of the offers is left for it. */
  readonly available: Resources
  /** Whether a task of the framework with this id is on the books, unreachable ones included. */
  readonly taskExists: (id: string) => boolean
  /** The framework's executor with this id on that agent. */
  readonly executor: (id: string) => ExecutorInfo | undefined
}

/** What a valid task takes: its own resources, and its executor's if that has to be started. Not allocated to a role. */
export interface TaskNeeds {
  readonly resources: Resources
  readonly newExecutor: { readonly info: ExecutorInfo; readonly resources: Resources } | undefined
  readonly total: Resources
}

/** Checks a task of LAUNCH: what it needs, or why it is refused. */
export function validateTask(
  task: TaskInfo,
  setting: TaskSetting,
):
  | { readonly ok: true; readonly needs: TaskNeeds }
  | { readonly ok: false; readonly error: string } {
  const error = firstError(task, setting)
  if (error !== undefined) return { ok: false, error }
  const resources = Resources.of(task.resources).unallocate()
  const info = task.executor && {
    ...task.executor,
    framework_id: { value: setting.frameworkId },
  }
  const isNew = info && !setting.executor(info.executor_id.value)
  const forExecutor = isNew ? Resources.of(info.resources).unallocate() : Resources.empty
  const total = resources.add(forExecutor)
  if (!setting.available.contains(total)) {
    return {
      ok: false,
      error:
        `Total resources ${describe(total)} required by task and its executor is more than ` +
        `available ${describe(setting.available)}`,
    }
  }
  return {
    ok: true,
    needs: { resources, newExecutor: isNew ? { info, resources: forExecutor } : undefined, total },
  }
}

function firstError(task: TaskInfo, setting: TaskSetting): string | undefined {
  const id = validateId(task.task_id.value)
  if (id !== undefined) return `TaskInfo.task_id is invalid: ${id}`
  if (setting.taskExists(task.task_id.value)) return `Task has duplicate ID: ${task.task_id.value}`
  if (task.agent_id.value !== setting.agentId) {
    return `Task uses invalid agent ${task.agent_id.value} while agent ${setting.agentId} is expected`
  }
  if ((task.command !== undefined) === (task.executor !== undefined)) {
    return `Task should have at least one (but not both) of CommandInfo or ExecutorInfo present`
  }
  return (
    validateExecutor(task, setting) ??
    validateTaskResources(task, setting.role) ??
    validatePolicies(task) ??
    validateLimits(task)
  )
}

function validateExecutor(task: TaskInfo, setting: TaskSetting): string | undefined {
  const { executor } = task
  if (!executor) return undefined
  const id = validateId(executor.executor_id.value)
  if (id !== undefined) return `ExecutorInfo.executor_id is invalid: ${id}`
  if (executor.framework_id && executor.framework_id.value !== setting.frameworkId) {
    return (
      `ExecutorInfo has an invalid FrameworkID (Actual: ${executor.framework_id.value} ` +
      `vs Expected: ${setting.frameworkId})`
    )
  }
  if (executor.type === 'DEFAULT') {
    return "'ExecutorInfo.type' must be 'CUSTOM' or absent for a single task; 'DEFAULT' is for task groups"
  }
  if (!executor.command) return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
  const invalid = validateResources(executor.resources ?? [])
  if (invalid !== undefined) return `Executor uses invalid resources: ${invalid}`
  const existing = setting.executor(executor.executor_id.value)
  const given = { ...executor, framework_id: { value: setting.frameworkId } }
  if (existing && !sameJson(existing, given)) {
    return (
      'ExecutorInfo is not compatible with existing ExecutorInfo with the same ExecutorID: ' +
      'every task that names it must describe it in the same way'
    )
  }
  return undefined
}

function validateTaskResources(task: TaskInfo, role: string): string | undefined {
  if (!task.resources || task.resources.length === 0) return 'Task uses no resources'
  const invalid = validateResources(task.resources)
  if (invalid !== undefined) return `Task uses invalid resources: ${invalid}`
  for (const { allocation_info } of [...task.resources, ...(task.executor?.resources ?? [])]) {
    const to = allocation_info?.role
    if (to !== undefined && to !== role) {
      return `Invalid resources: allocated to role '${to}', but the offer is for role '${role}'`
    }
  }
  return undefined
}

function validatePolicies({ kill_policy, max_completion_time }: TaskInfo): string | undefined {
  const grace = kill_policy?.grace_period?.nanoseconds
  if (grace !== undefined && grace < 0) {
    return "Task's 'kill_policy.grace_period' must be non-negative"
  }
  const longest = max_completion_time?.nanoseconds
  if (longest !== undefined && longest < 0) {
    return "Task's 'max_completion_time' must be non-negative"
  }
  return undefined
}

function validateLimits({ limits, resources }: TaskInfo): string | undefined {
  const requested = Resources.of(resources)
  for (const [name, { value }] of Object.entries(limits ?? {})) {
    if (name !== 'cpus' && name !== 'mem') {
      return `Resource limits may only be set for 'cpus' and 'mem', not for '${name}'`
    }
    if (value < requested.get(name)) {
      return `The ${name} limit ${value} is less than the requested ${requested.get(name)}`
    }
  }
  return undefined
}

/** Equality of plain data, whatever the order of the fields. */
function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  for (const key of keys) {
    if (!sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
      return false
  }
  return true
}
