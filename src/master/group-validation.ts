// Is a task group acceptable, with its executor? Mesos' rules and texts. Pure.

import { whyTooLarge } from '../messages/size.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import { describe } from '../resources/format.ts'
import { Resources } from '../resources/resources.ts'
import { validateCommand, validateContainer } from './command-validation.ts'
import {
  mixesRevocable,
  type TaskNeeds,
  type TaskSetting,
  validateAlone,
  validateExecutorPlace,
} from './task-validation.ts'
import { prefixed, validateId } from './validation.ts'

/** What an executor of a group has to have at least. */
const MIN_CPUS = 0.01
const MIN_MEM_MB = 32

export type GroupVerdict =
  | {
      readonly ok: true
      /** Of each task, allocated to nobody. */
      readonly resources: readonly Resources[]
      readonly newExecutor: TaskNeeds['newExecutor']
      /** Of all tasks, and of the executor if that has to be started. */
      readonly total: Resources
    }
  | { readonly ok: false; readonly error: string }

export function validateGroup(
  executor: ExecutorInfo,
  tasks: readonly TaskInfo[],
  setting: TaskSetting,
): GroupVerdict {
  const resources = tasks.map(task => Resources.of(task.resources).unallocate())
  const error =
    validateGroupExecutor(executor, setting) ??
    validateMembers(tasks, resources, setting) ??
    validateSharing(tasks)
  if (error !== undefined) return { ok: false, error }
  const { available, frameworkId, role } = setting
  const own = Resources.of(executor.resources).unallocate()
  const isNew = !setting.executor(executor.executor_id.value)
  const info = { ...executor, framework_id: { value: frameworkId } }
  const total = Resources.sum(isNew ? [...resources, own] : resources)
  const mixed = mixesRevocable(total)
  if (mixed !== undefined) {
    return {
      ok: false,
      error: `Task group and executor mix revocable and non-revocable resources: ${mixed}`,
    }
  }
  if (!available.contains(total)) {
    return {
      ok: false,
      error:
        `Total resources ${describe(total.allocate(role))} required by the task group and its executor ` +
        `are more than available ${describe(available.allocate(role))}`,
    }
  }
  return { ok: true, resources, newExecutor: isNew ? { info, resources: own } : undefined, total }
}

function validateGroupExecutor(executor: ExecutorInfo, setting: TaskSetting): string | undefined {
  const { type, command, container } = executor
  const invalid = validateId(executor.executor_id.value)
  if (invalid !== undefined) return `ExecutorInfo.executor_id is invalid: ${invalid}`
  if (type === undefined) return "'ExecutorInfo.type' must be set"
  if (!executor.framework_id) return "'ExecutorInfo.framework_id' must be set"
  if ((executor.shutdown_grace_period?.nanoseconds ?? 0) < 0) {
    return "ExecutorInfo's 'shutdown_grace_period' must be non-negative"
  }
  if (type === 'DEFAULT') {
    if (command) return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
    if (container && container.type !== 'MESOS') {
      return "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
    }
    if (container?.mesos?.image) {
      return "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
    }
  } else if (!command) return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
  return (
    prefixed('ExecutorInfo ', whyTooLarge('task', executor)) ??
    prefixed("Executor's `CommandInfo` is invalid: ", command && validateCommand(command)) ??
    prefixed(
      "Executor's `ContainerInfo` is invalid: ",
      container && validateContainer(container),
    ) ??
    validateExecutorPlace(executor, setting) ??
    validateMinimum(executor)
  )
}

/** A group's executor is refused for what one of a single task is only warned of. */
function validateMinimum({
  executor_id: { value: id },
  resources,
}: ExecutorInfo): string | undefined {
  const own = Resources.of(resources).unallocate()
  if (own.get('cpus') < MIN_CPUS) {
    return `Executor '${id}' uses less CPUs (${own.get('cpus')}) than the minimum required (${MIN_CPUS})`
  }
  if (own.get('mem') < MIN_MEM_MB) {
    return `Executor '${id}' uses less memory (${own.get('mem')}MB) than the minimum required (${MIN_MEM_MB}MB)`
  }
  return own.get('disk') > 0 ? undefined : `Executor '${id}' uses no disk`
}

function validateMembers(
  tasks: readonly TaskInfo[],
  resources: readonly Resources[],
  setting: TaskSetting,
): string | undefined {
  if (tasks.length === 0) return 'Task group is empty'
  const seen = new Set<string>()
  for (const [index, task] of tasks.entries()) {
    const id = task.task_id.value
    const why =
      (seen.has(id) ? `Task has duplicate ID: ${id}` : undefined) ??
      validateAlone(task, resources[index]!, setting) ??
      validateMember(task)
    if (why !== undefined) return `Task '${id}' is invalid: ${why}`
    seen.add(id)
  }
  return undefined
}

function validateMember({ executor, command, container }: TaskInfo): string | undefined {
  if (executor) return "'TaskInfo.executor' must not be set"
  if (!command) return "'TaskInfo.command' must be set"
  if (container?.type === 'DOCKER') return 'Docker ContainerInfo is not supported on the task'
  if ((container?.network_infos ?? []).length > 0) return 'NetworkInfos must not be set on the task'
  return undefined
}

/** All of an executor's containers share its control groups, or none does. */
function validateSharing(tasks: readonly TaskInfo[]): string | undefined {
  const shares = new Set(tasks.map(task => task.container?.linux_info?.share_cgroups !== false))
  if (shares.size > 1) {
    return "All tasks of a task group must have the same value of 'share_cgroups'"
  }
  const limited = tasks.find(({ limits }) => limits !== undefined && Object.keys(limits).length > 0)
  if (limited && shares.has(true)) {
    return `Task '${limited.task_id.value}' is invalid: resource limits need 'share_cgroups' set to 'false'`
  }
  return undefined
}
