// Whether an agent may come back as the one it was, though it was started otherwise (`--reconfiguration_policy`). The
// master, and tasks that run, count on what it said of itself.

import type { AgentInfo } from '../../messages/agent.ts'
import type { Attribute } from '../../messages/values.ts'
import { formatResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'

export const POLICIES = ['equal', 'additive'] as const
export type Policy = (typeof POLICIES)[number]

/** What has changed that the policy does not allow, in words; none if all of it is allowed. */
export function whyIncompatible(before: AgentInfo, now: AgentInfo, policy: Policy): string[] {
  const changes: string[] = []
  if (before.hostname !== now.hostname)
    changes.push(`the hostname was ${before.hostname} and is ${now.hostname}`)
  const [had, has] = [before, now].map(info => Resources.of(info.resources)) as [
    Resources,
    Resources,
  ]
  const keeps = policy === 'equal' ? had.equals(has) : has.contains(had)
  if (!keeps)
    changes.push(`the resources were ${formatResources(had)} and are ${formatResources(has)}`)
  changes.push(...attributes(before.attributes ?? [], now.attributes ?? [], policy))
  if (JSON.stringify(before.domain) !== JSON.stringify(now.domain)) {
    if (policy === 'equal' || before.domain)
      changes.push(
        `the domain was ${JSON.stringify(before.domain) ?? 'none'} and is ${JSON.stringify(now.domain) ?? 'none'}`,
      )
  }
  return changes
}

function attributes(
  before: readonly Attribute[],
  now: readonly Attribute[],
  policy: Policy,
): string[] {
  const changes: string[] = []
  const rest = new Map(now.map(attribute => [attribute.name, JSON.stringify(attribute)]))
  for (const attribute of before) {
    const was = JSON.stringify(attribute)
    const is = rest.get(attribute.name)
    rest.delete(attribute.name)
    if (is !== was)
      changes.push(`the attribute ${attribute.name} was ${was} and is ${is ?? 'gone'}`)
  }
  if (policy === 'equal') for (const [name] of rest) changes.push(`the attribute ${name} is new`)
  return changes
}
