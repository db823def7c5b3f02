// What differs between two registries, and in words. Pure.

import type { Machine } from '../../master/registry/machines.ts'
import type { Deactivation, Operation } from '../../master/registry/operations.ts'
import type { AgentInfo, MasterInfo } from '../../messages/agent.ts'
import type { Unavailability } from '../../messages/values.ts'
import { formatResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'
import { describeAgent, timeText } from './text.ts'

/** A registry, or a part of one. */
export interface Books {
  readonly master?: MasterInfo | undefined
  readonly agents: ReadonlyMap<string, AgentInfo>
  readonly unreachable: ReadonlyMap<string, number>
  readonly gone: ReadonlyMap<string, number>
  readonly deactivated: ReadonlyMap<string, Deactivation>
  readonly machines: { readonly byKey: ReadonlyMap<string, Machine> }
}

/** A field that is not the same; absent where there is none. */
export interface FieldChange {
  readonly name: string
  readonly before?: unknown
  readonly after?: unknown
}

/** `id` is the agent's, the master's, or a machine's. Times are in milliseconds since the epoch. */
export type Change =
  | {
      readonly change: 'added' | 'removed'
      readonly what: What
      readonly id: string
      /** All of it. */
      readonly value: Value
    }
  | {
      readonly change: 'changed'
      readonly what: What
      readonly id: string
      readonly fields: readonly FieldChange[]
    }
export type What = 'master' | 'agent' | 'unreachable' | 'gone' | 'deactivated' | 'machine'
type Value = AgentInfo | MasterInfo | { readonly time_ms: number } | Deactivation | Machine

/** From `a` to `b`, in order of kind, then of id as they stand there. */
export function changesBetween(a: Books, b: Books): Change[] {
  const dated = (list: ReadonlyMap<string, number>): ReadonlyMap<string, { time_ms: number }> =>
    new Map([...list].map(([id, time]) => [id, { time_ms: time }]))
  return [
    ...changesOf('master', mapOf(a.master), mapOf(b.master)),
    ...changesOf('agent', a.agents, b.agents),
    ...changesOf('unreachable', dated(a.unreachable), dated(b.unreachable)),
    ...changesOf('gone', dated(a.gone), dated(b.gone)),
    ...changesOf('deactivated', a.deactivated, b.deactivated),
    ...changesOf('machine', a.machines.byKey, b.machines.byKey),
  ]
}

const mapOf = (master: MasterInfo | undefined): ReadonlyMap<string, MasterInfo> =>
  new Map(master ? [[master.id, master]] : [])

function changesOf(
  what: What,
  a: ReadonlyMap<string, Value>,
  b: ReadonlyMap<string, Value>,
): Change[] {
  const changes: Change[] = []
  for (const [id, value] of a) {
    const after = b.get(id)
    if (!after) changes.push({ change: 'removed', what, id, value })
    else if (after !== value) {
      const fields = fieldsBetween(value, after)
      if (fields.length > 0) changes.push({ change: 'changed', what, id, fields })
    }
  }
  for (const [id, value] of b) if (!a.has(id)) changes.push({ change: 'added', what, id, value })
  return changes
}

function fieldsBetween(a: object, b: object): FieldChange[] {
  const [before, after] = [a, b] as [Record<string, unknown>, Record<string, unknown>]
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter(name => canonical(before[name]) !== canonical(after[name]))
    .map(name => ({
      name,
      ...(before[name] !== undefined && { before: before[name] }),
      ...(after[name] !== undefined && { after: after[name] }),
    }))
}

/** JSON that is the same whatever the order of an object's fields. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'object' && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([x], [y]) => (x < y ? -1 : 1)))
        : each,
    ) ?? ''
  )
}

/** The part of a registry that an operation may change: looking at that alone keeps replay linear. */
export function partOf(books: Books, operation: Operation): Books {
  const ids = idsOf(operation)
  const part = <V>(of: ReadonlyMap<string, V>): ReadonlyMap<string, V> =>
    new Map(ids.flatMap(id => (of.has(id) ? [[id, of.get(id)!] as const] : [])))
  return {
    master: books.master,
    agents: part(books.agents),
    unreachable: part(books.unreachable),
    gone: part(books.gone),
    deactivated: part(books.deactivated),
    machines: { byKey: isOfMachines(operation) ? new Map(books.machines.byKey) : new Map() },
  }
}

const isOfMachines = ({ type }: Operation): boolean =>
  type === 'update_maintenance_schedule' ||
  type === 'start_maintenance' ||
  type === 'stop_maintenance'

function idsOf(operation: Operation): readonly string[] {
  switch (operation.type) {
    case 'recover':
      return []
    case 'admit_agent':
    case 'update_agent':
    case 'mark_agent_reachable':
      return operation.info.id ? [operation.info.id.value] : []
    case 'mark_agent_unreachable':
    case 'mark_agent_gone':
    case 'remove_agent':
    case 'drain_agent':
    case 'mark_agent_drained':
    case 'deactivate_agent':
    case 'reactivate_agent':
      return [operation.agent_id.value]
    case 'update_maintenance_schedule':
    case 'start_maintenance':
    case 'stop_maintenance':
      return []
    case 'prune':
      return [...operation.unreachable, ...operation.gone].map(({ value }) => value)
  }
}

const SIGNS = { added: '+', removed: '-', changed: '~' } as const

/** One line: `+ agent S0 (host:5051, cpus:4)`, `~ agent S0: resources cpus:4 → cpus:8`. */
export function changeText(change: Change): string {
  const { what, id } = change
  const sign = SIGNS[change.change]
  if (change.change === 'changed') {
    const fields = change.fields.map(
      ({ name, before, after }) => `${name} ${fieldText(name, before)} → ${fieldText(name, after)}`,
    )
    return `${sign} ${what} ${id}: ${fields.join(', ')}`
  }
  const { value } = change
  if ('time_ms' in value) return `${sign} ${what} ${id} since ${timeText(value.time_ms)}`
  if ('mode' in value) return `${sign} machine ${id.trim()} ${machineText(value)}`
  if (what === 'deactivated') {
    const { drain_info: drain } = value as Deactivation
    return `${sign} deactivated ${id}${drain ? `, ${drain.state}` : ''}`
  }
  return what === 'agent'
    ? `${sign} agent ${describeAgent(value as AgentInfo)}`
    : `${sign} master ${masterText(value as MasterInfo)}`
}

const machineText = ({ mode, unavailability }: Machine): string =>
  `${mode}, unavailable from ${startText(unavailability)}`

function startText({ start }: Unavailability): string {
  const ms = start.nanoseconds / 1e6
  // What a date can hold is less than what a schedule can say.
  return Math.abs(ms) <= 8.64e15 ? timeText(ms) : `${start.nanoseconds} ns`
}

export function masterText({ id, pid, hostname }: MasterInfo): string {
  return `${id} at ${pid ?? hostname ?? '?'}`
}

function fieldText(name: string, value: unknown): string {
  if (value === undefined) return 'none'
  if (name === 'resources') return formatResources(Resources.of(value as AgentInfo['resources']))
  if (name === 'time_ms') return timeText(value as number)
  return typeof value === 'string' || typeof value === 'number'
    ? String(value)
    : JSON.stringify(value)
}
