// How entries of the replicated log, and operations on the registry, look to people. Pure.

import { formatBytes } from '../../base/bytes.ts'
import type { LogEntry } from '../../log/log.ts'
import { decodeEntry } from '../../master/registry/entry.ts'
import type { Entry, Operation } from '../../master/registry/operations.ts'
import type { AgentInfo } from '../../messages/agent.ts'
import type { MachineID } from '../../messages/values.ts'
import { formatResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'

/** An entry of the registry's log; undefined if these bytes are something else. */
export function registryEntry(bytes: Uint8Array): Entry | undefined {
  try {
    return decodeEntry(bytes)
  } catch {
    return undefined
  }
}

export const READ_HEADER = row(
  'position',
  'type',
  'promised',
  'performed',
  'learned',
  'size',
  'what',
)

/** One line of `mesos-log read`. */
export function readLine(entry: LogEntry): string {
  const { position, type = '-', promised, performed, learned, truncated } = entry
  const known = learned ? 'yes' : 'no'
  return row(
    String(position),
    type,
    String(promised),
    performed === undefined ? '-' : String(performed),
    truncated ? `${known}, truncated` : known,
    entry.type === 'APPEND' ? formatBytes(entry.bytes?.length ?? 0) : '-',
    summaryOf(entry),
  )
}

function row(...[position = '', ...cells]: string[]): string {
  const widths = [8, 8, 9, 7, 8]
  const padded = cells.map((cell, i) => cell.padEnd(widths[i] ?? 0))
  return [position.padStart(8), ...padded].join('  ').trimEnd()
}

function summaryOf(entry: LogEntry): string {
  switch (entry.type) {
    case 'NOP':
      return entry.tombstone ? 'was truncated' : ''
    case 'MEMBERS': {
      const { membership } = entry
      return membership ? `members ${membership.version}: ${membership.members.join(', ')}` : ''
    }
    case 'TRUNCATE':
      return `positions below ${entry.to} are given up`
    case 'APPEND': {
      const content = entry.bytes && registryEntry(entry.bytes)
      if (!content) return 'no entry of a registry'
      const parts = (content.operations ?? []).map(describeOperation)
      if (content.snapshot) {
        const { agents, unreachable, gone } = content.snapshot
        const counts = { agents: agents.length, unreachable: unreachable.length, gone: gone.length }
        parts.unshift(`snapshot (${countsOf(counts)})`)
      }
      return parts.join('; ')
    }
    default:
      return 'a promise only'
  }
}

/** The same entry as an object for `--json`. Bytes that are no registry entry come as base64. */
export function readJson(entry: LogEntry): Record<string, unknown> {
  const { position, type, promised, performed, learned, truncated } = entry
  const common = {
    position,
    type: type ?? null,
    promised,
    performed: performed ?? null,
    learned,
    truncated,
  }
  switch (entry.type) {
    case 'NOP':
      return { ...common, ...(entry.tombstone && { tombstone: true }) }
    case 'MEMBERS':
      return { ...common, membership: entry.membership }
    case 'TRUNCATE':
      return { ...common, to: entry.to }
    case 'APPEND': {
      const bytes = entry.bytes ?? new Uint8Array()
      const content = registryEntry(bytes)
      const shown = content ? { entry: content } : { bytes: Buffer.from(bytes).toString('base64') }
      return { ...common, size: bytes.length, ...shown }
    }
    default:
      return common
  }
}

/** One operation on the registry: its name, and whom it is about. */
export function describeOperation(operation: Operation): string {
  switch (operation.type) {
    case 'recover':
      return `recover: master ${operation.master.id} at ${operation.master.pid ?? operation.master.hostname ?? '?'}`
    case 'admit_agent':
    case 'update_agent':
    case 'mark_agent_reachable':
      return `${operation.type} ${describeAgent(operation.info)}`
    case 'mark_agent_unreachable':
    case 'mark_agent_gone':
      return `${operation.type} ${operation.agent_id.value} since ${timeText(operation.time_ms)}`
    case 'remove_agent':
      return `remove_agent ${operation.agent_id.value}`
    case 'prune': {
      const { unreachable, gone } = operation
      return `prune ${unreachable.length} unreachable, ${gone.length} gone`
    }
    case 'drain_agent':
    case 'mark_agent_drained':
    case 'deactivate_agent':
    case 'reactivate_agent':
      return `${operation.type} ${operation.agent_id.value}`
    case 'update_maintenance_schedule': {
      const { windows = [] } = operation.schedule
      const machines = windows.flatMap(({ machine_ids: ids = [] }) => ids)
      return `update_maintenance_schedule ${plural(windows.length, 'window')}, ${plural(machines.length, 'machine')}`
    }
    case 'start_maintenance':
    case 'stop_maintenance':
      return `${operation.type} ${operation.machine_ids.map(describeMachine).join(', ')}`
  }
}

export function describeMachine({ hostname = '', ip = '' }: MachineID): string {
  return [hostname, ip].filter(part => part !== '').join(' at ')
}

export function describeAgent({ id, hostname, port, resources }: AgentInfo): string {
  return `${id?.value ?? '?'} (${hostname}:${port ?? 5051}, ${formatResources(Resources.of(resources))})`
}

/** How much there is in a registry. */
export function countsOf(counts: {
  readonly agents: number
  readonly unreachable: number
  readonly gone: number
}): string {
  const { agents, unreachable, gone } = counts
  return `${plural(agents, 'agent')}, ${unreachable} unreachable, ${gone} gone`
}

/** `1 agent`, `2 agents`. */
export const plural = (count: number, word: string): string =>
  `${count} ${count === 1 ? word : `${word}s`}`

/** `2026-01-31 13:45:00.123Z`. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ')
}
