// What a task asks of isolation, beside this agent's isolators: one that is not there cannot be had.

import type { ContainerInfo } from '../../messages/container.ts'
import type { TaskInfo } from '../../messages/task.ts'
import { Resources } from '../../resources/resources.ts'
import { unionRanges } from '../../resources/ranges.ts'
import type { Amounts } from './container.ts'
import type { Isolation, IsolatorName } from './isolation.ts'
import { whyNoVolumes } from './volumes.ts'

/** What a container wants and cannot have; undefined if nothing. Finishes "this agent does not support …". */
export function whyNotContained(
  container: ContainerInfo,
  isolation: Isolation,
): string | undefined {
  const { linux_info: linux, rlimit_info: rlimits } = container
  const asked: [boolean, string, IsolatorName | undefined][] = [
    [
      (linux?.capability_info ?? linux?.bounding_capabilities ?? linux?.effective_capabilities) !==
        undefined,
      'capabilities (linux_info)',
      'linux/capabilities',
    ],
    [linux?.share_pid_namespace === false, 'pid namespaces (linux_info)', 'namespaces/pid'],
    [linux?.ipc_mode === 'PRIVATE', 'IPC namespaces (linux_info)', 'namespaces/ipc'],
    [linux?.shm_size !== undefined, 'shm_size (linux_info)', 'namespaces/ipc'],
    [linux?.seccomp !== undefined, 'seccomp profiles (linux_info)', undefined],
    [(rlimits?.rlimits ?? []).length > 0, 'resource limits (rlimit_info)', 'posix/rlimits'],
  ]
  const [, what, isolator] =
    asked.find(([is, , name]) => is && !(name !== undefined && isolation.has(name))) ?? []
  if (what === undefined) return whyNoVolumes(container, name => isolation.has(name))
  return isolator === undefined ? what : `${what} without the isolator '${isolator}'`
}

/** Why limits above requests cannot be kept; undefined if they can. */
export function whyNoLimits(limits: TaskInfo['limits'], isolation: Isolation): string | undefined {
  const needs: [string, IsolatorName][] = [
    ['cpus', 'cgroups/cpu'],
    ['mem', 'cgroups/mem'],
  ]
  for (const [name, isolator] of needs) {
    if (limits?.[name] !== undefined && !isolation.has(isolator)) {
      return `A limit of ${name} needs the isolator '${isolator}', which this agent does not use`
    }
  }
  return undefined
}

/** What a container with these tasks in it asks for, and what it is limited to. */
export function amountsOf(
  tasks: Iterable<Pick<TaskInfo, 'resources' | 'limits'>>,
  executor: TaskInfo['resources'] = [],
): { readonly resources: Amounts; readonly limits: Partial<Amounts> } {
  const own = Resources.of(executor)
  const resources = {
    cpus: own.get('cpus'),
    memMb: own.get('mem'),
    diskMb: own.get('disk'),
    ports: own.ports(),
  }
  const limits = { cpus: resources.cpus, memMb: resources.memMb }
  let [hasCpus, hasMem] = [false, false]
  for (const task of tasks) {
    const requested = Resources.of(task.resources)
    resources.cpus += requested.get('cpus')
    resources.memMb += requested.get('mem')
    resources.diskMb += requested.get('disk')
    resources.ports = unionRanges(resources.ports, requested.ports())
    // A container of several is limited to what its tasks are together, if any of them is allowed more than it asked for.
    limits.cpus += task.limits?.['cpus']?.value ?? requested.get('cpus')
    limits.memMb += task.limits?.['mem']?.value ?? requested.get('mem')
    hasCpus ||= task.limits?.['cpus'] !== undefined
    hasMem ||= task.limits?.['mem'] !== undefined
  }
  return {
    resources,
    limits: {
      ...(hasCpus && { cpus: limits.cpus }),
      ...(hasMem && { memMb: limits.memMb }),
    },
  }
}
