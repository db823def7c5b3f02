// Resources and attributes as text and as the JSON of `/state`.

import type { DiskInfo, ReservationInfo, Resource } from '../messages/resource.ts'
import type { Attribute, Labels, Range } from '../messages/values.ts'
import { fromMilli } from './milli.ts'
import { reservationsOf } from './reservations.ts'
import { Resources } from './resources.ts'

/** `[31000-32000, 33000-33000]`. */
export function formatRanges(ranges: readonly Range[]): string {
  return `[${ranges.map(({ begin, end }) => `${begin}-${end}`).join(', ')}]`
}

/** `{a, b}`. */
export function formatItems(items: readonly string[]): string {
  return `{${items.join(', ')}}`
}

/** As in `/state`: these four are always there, in units; ranges and sets are texts. */
export interface StateResources {
  readonly cpus: number
  readonly disk: number
  readonly gpus: number
  readonly mem: number
  readonly [name: string]: number | string
}

/** The `/state` form: amounts of one name are added up whatever their role; revocable ones get `_revocable`. */
export function stateResources(resources: Resources): StateResources {
  const scalars = new Map<string, number>([
    ['cpus', 0],
    ['disk', 0],
    ['gpus', 0],
    ['mem', 0],
  ])
  const out: Record<string, number | string> = {}
  for (const revocable of [false, true]) {
    const part = resources.filter(kind => kind.revocable === revocable)
    const suffix = revocable ? '_revocable' : ''
    for (const [name, milli] of part.scalars()) scalars.set(name + suffix, milli)
    for (const { name, type } of part.kinds()) {
      if (type === 'RANGES') out[name + suffix] = formatRanges(part.ranges(name))
      if (type === 'SET') out[name + suffix] = formatItems(part.items(name))
    }
  }
  for (const [name, milli] of scalars) out[name] = fromMilli(milli)
  return out as StateResources
}

/** The `/state` form of what is reserved, by role. */
export function stateReservations(resources: Resources): Record<string, StateResources> {
  return Object.fromEntries(
    [...resources.reservations()].map(([role, part]) => [role, stateResources(part)]),
  )
}

/** The `/state` form of attributes: scalars as numbers, texts as they are, ranges as text. */
export function stateAttributes(
  attributes: readonly Attribute[] | undefined,
): Record<string, number | string> {
  const out: Record<string, number | string> = {}
  for (const attribute of attributes ?? []) {
    out[attribute.name] =
      attribute.type === 'SCALAR' ? (attribute.scalar?.value ?? 0) : attributeValue(attribute)
  }
  return out
}

function attributeValue({ type, scalar, ranges, set, text }: Attribute): string {
  switch (type) {
    case 'SCALAR':
      return String(scalar?.value ?? 0)
    case 'RANGES':
      return formatRanges(ranges?.range ?? [])
    case 'SET':
      return formatItems(set?.item ?? [])
    case 'TEXT':
      return text?.value ?? ''
  }
}

/** For people and messages, with all that matters: `cpus(allocated: a)(reservations: [(DYNAMIC,a,p)]):1; mem…`. */
export function describe(resources: Resources): string {
  return resources.isEmpty ? '{}' : resources.list().map(describeResource).join('; ')
}

/** One resource for people and messages, as Mesos prints it. */
export function describeResource(resource: Resource): string {
  const reservations = reservationsOf(resource)
  const { name, allocation_info, disk, revocable, shared } = resource
  let text = name
  if (allocation_info?.role !== undefined) text += `(allocated: ${allocation_info.role})`
  if (reservations.length > 0) {
    text += `(reservations: [${reservations.map(r => `(${describeReservation(r)})`).join(',')}])`
  }
  if (disk) text += `[${describeDisk(disk)}]`
  if (revocable) text += '{REV}'
  if (shared) text += '<SHARED>'
  return `${text}:${resourceValue(resource)}`
}

function describeReservation({ type, role, principal, labels }: ReservationInfo): string {
  return [type, role, principal, labels && describeLabels(labels)]
    .filter(part => part !== undefined)
    .join(',')
}

function describeLabels({ labels }: Labels): string {
  const pairs = (labels ?? []).map(({ key, value }) =>
    value === undefined ? key : `${key}: ${value}`,
  )
  return `{${pairs.join(', ')}}`
}

function describeDisk({ source, persistence, volume }: DiskInfo): string {
  const parts: string[] = []
  if (source) {
    const root = source.mount?.root ?? source.path?.root
    const isCsi = source.id !== undefined || source.profile !== undefined
    const csi = `(${source.vendor ?? ''},${source.id ?? ''},${source.profile ?? ''})`
    parts.push(`${source.type}${isCsi ? csi : root === undefined ? '' : `:${root}`}`)
  }
  if (persistence) parts.push(persistence.id)
  let text = parts.join(',')
  if (volume) {
    const { host_path, container_path, mode } = volume
    text +=
      host_path === undefined
        ? `:${container_path}`
        : `:${host_path}:${container_path}:${mode.toLowerCase()}`
  }
  return text
}

/** The amount alone: `0.5`, `[1-2]`, `{a, b}`. */
function resourceValue({ scalar, ranges, set }: Resource): string {
  if (scalar) return String(scalar.value)
  if (ranges) return formatRanges(ranges.range ?? [])
  return formatItems(set?.item ?? [])
}

/**
 * The text form that `parseResources` reads back to equal resources: `cpus:4;ports(role):[1-2]`, or JSON where that
 * short form cannot say it (dynamic reservations, disks, allocations …).
 */
export function formatResources(resources: Resources): string {
  const list = resources.list()
  if (!list.every(isSimple)) return JSON.stringify(list)
  return list
    .map(resource => {
      const role = resource.reservations?.[0]?.role
      return `${resource.name}${role === undefined ? '' : `(${role})`}:${resourceValue(resource)}`
    })
    .join(';')
}

/** Characters that mean something in the short form, or that it drops. */
const SPECIAL = /[:;,()[\]{}\s]/

function isSimple(resource: Resource): boolean {
  const { name, scalar, set, allocation_info, disk, revocable, shared, provider_id } = resource
  if (allocation_info || disk || revocable || shared || provider_id) return false
  if (name === '' || SPECIAL.test(name)) return false
  if (scalar && !/^[\d.]+$/.test(String(scalar.value))) return false
  if (set?.item?.some(item => item === '' || SPECIAL.test(item))) return false
  const [first, ...more] = resource.reservations ?? []
  if (!first) return true
  const { type, role, principal, labels } = first
  if (more.length > 0 || type !== 'STATIC' || principal !== undefined || labels) return false
  return role !== undefined && role !== '' && !SPECIAL.test(role)
}
