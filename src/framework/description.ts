// What a framework says of itself: what its author wrote, and what is filled in for it. Pure.

import type { FrameworkInfo } from '../messages/framework.ts'

/** A FrameworkInfo of which only the name is required. `roles` default to `['*']`, `user` to who runs the process. */
export type FrameworkDescription = Partial<Omit<FrameworkInfo, 'name'>> & { readonly name: string }

/** What this library sends and understands, whatever its user writes. */
const OWN_CAPABILITIES = ['MULTI_ROLE', 'RESERVATION_REFINEMENT'] as const

export function describe(description: FrameworkDescription): FrameworkInfo {
  const { capabilities = [], roles = ['*'], user = '', ...rest } = description
  const added = OWN_CAPABILITIES.filter(type => !capabilities.some(given => given.type === type))
  return {
    user,
    ...rest,
    roles,
    capabilities: [...capabilities, ...added.map(type => ({ type }))],
  }
}

/** With what only the process knows. */
export function withDefaults(
  framework: FrameworkInfo,
  { user, hostname }: { readonly user: string; readonly hostname: string },
): FrameworkInfo {
  return {
    ...framework,
    user: framework.user === '' ? user : framework.user,
    hostname: framework.hostname ?? hostname,
  }
}
