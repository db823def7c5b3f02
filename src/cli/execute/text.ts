// What mesos-execute prints of a status, line by line as Mesos' own does.

import { formatResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'
import type { TaskStatus } from '../../messages/status.ts'

export function statusText(status: TaskStatus): string[] {
  const { task_id, state, message, source, reason, healthy, check_status, limitation } = status
  const lines = [`Received status update ${state} for task '${task_id.value}'`]
  if (message !== undefined) lines.push(`  message: '${message}'`)
  if (source !== undefined) lines.push(`  source: ${source}`)
  if (reason !== undefined) lines.push(`  reason: ${reason}`)
  if (healthy !== undefined) lines.push(`  healthy?: ${healthy}`)
  if (check_status !== undefined) lines.push(`  check status: ${JSON.stringify(check_status)}`)
  if (limitation !== undefined) {
    const exceeded = formatResources(Resources.of(limitation.resources))
    lines.push(`  resource limit violation: ${exceeded}`)
  }
  return lines
}
