// A task as the unversioned endpoints of master and agent print it: names and shapes of Mesos' `/state`.

import type { Task } from '../messages/task.ts'
import type { TaskStatus } from '../messages/status.ts'
import type { Resource } from '../messages/resource.ts'
import { stateResources } from './format.ts'
import { Resources } from './resources.ts'
import { DEFAULT_ROLE } from './roles.ts'

/** The role that resources are allocated to; undefined for what comes from programs that do not say. */
export function allocationRole(resources: readonly Resource[] | undefined): string | undefined {
  return resources?.find(r => r.allocation_info?.role)?.allocation_info?.role
}

export function taskJson(task: Task): Record<string, unknown> {
  return {
    id: task.task_id.value,
    name: task.name,
    framework_id: task.framework_id.value,
    executor_id: task.executor_id?.value ?? '',
    slave_id: task.agent_id.value,
    state: task.state,
    resources: stateResources(Resources.of(task.resources)),
    ...(task.limits && { limits: task.limits }),
    role: allocationRole(task.resources) ?? DEFAULT_ROLE,
    statuses: (task.statuses ?? []).map(statusJson),
    ...(task.user !== undefined && { user: task.user }),
    ...(task.labels && { labels: task.labels.labels ?? [] }),
    ...(task.discovery && { discovery: task.discovery }),
    ...(task.container && { container: task.container }),
    ...(task.health_check && { health_check: task.health_check }),
  }
}

/** With `message` and `reason`, which Mesos leaves out: they are what one looks for first. */
function statusJson(status: TaskStatus): Record<string, unknown> {
  const { state, timestamp, message, reason, labels, container_status, healthy, check_status } =
    status
  const { executor_pid: _pid, ...container } = container_status ?? {}
  return {
    state,
    timestamp: timestamp ?? 0,
    ...(message !== undefined && { message }),
    ...(reason && { reason }),
    ...(labels && { labels: labels.labels ?? [] }),
    ...(container_status && { container_status: container }),
    ...(healthy !== undefined && { healthy }),
    ...(check_status && { check_status }),
  }
}
