// Is what a framework says of itself acceptable? Each rule answers with Mesos' own text, for users search for it. Pure.

import type { FrameworkInfo } from '../messages/framework.ts'
import { whyTooLarge } from '../messages/size.ts'
import { formatItems } from '../resources/format.ts'
import { validateRoles } from '../resources/roles.ts'

const MAX_ID_LENGTH = 255
/** What 64 bits of nanoseconds hold: 292 years. */
const MAX_TIMEOUT_SECONDS = 9_223_372_036

/** Ids become names of directories on agents, so they must be good for that. */
export function validateId(id: string): string | undefined {
  if (id === '') return 'ID must not be empty'
  if (isLongerThan(MAX_ID_LENGTH, id)) {
    return `ID must not be greater than ${MAX_ID_LENGTH} characters`
  }
  if (id === '.' || id === '..') return `'${id}' is disallowed`
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i)
    if (code < 0x20 || code === 0x7f || code === SLASH || code === BACKSLASH) {
      return `'${id}' contains invalid characters`
    }
  }
  return undefined
}

/** In bytes of UTF-8, of which a character has up to three a unit: a directory's name is limited in bytes. */
function isLongerThan(limit: number, text: string): boolean {
  return (
    text.length > limit ||
    (text.length * 3 > limit && new TextEncoder().encode(text).length > limit)
  )
}

const SLASH = 0x2f
const BACKSLASH = 0x5c

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
  const roles = rolesOf(info)
  return (
    validateRoleFields(info, roles) ??
    validateFrameworkId(info) ??
    validateFailoverTimeout(info) ??
    prefixed('FrameworkInfo ', whyTooLarge('framework', info)) ??
    validateSuppressed(roles, suppressedRoles) ??
    (info.user === 'root' && !rules.rootSubmissions
      ? `User 'root' is not allowed to run frameworks without --root_submissions set`
      : undefined)
  )
}

/** Why a framework cannot be described anew like this. `strict`: as by UPDATE_FRAMEWORK; SUBSCRIBE keeps the old values. */
export function validateChange(
  before: FrameworkInfo,
  after: FrameworkInfo,
  { strict }: { readonly strict: boolean },
): string | undefined {
  if (before.principal !== after.principal) {
    return "Changing framework's principal is not allowed."
  }
  if (!strict) return undefined
  if (before.user !== after.user) {
    return (
      "Updating 'FrameworkInfo.user' is unsupported; attempted to update from " +
      `'${before.user}' to '${after.user}'`
    )
  }
  const [from, to] = [before.checkpoint ?? false, after.checkpoint ?? false]
  if (from !== to) {
    return (
      "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from " +
      `'${from}' to '${to}'`
    )
  }
  return undefined
}

function validateRoleFields(info: FrameworkInfo, roles: readonly string[]): string | undefined {
  const multiRole = hasCapability(info, 'MULTI_ROLE')
  if (multiRole && info.role !== undefined) {
    return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
  }
  if (!multiRole && info.roles && info.roles.length > 0) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
  }
  const twice = roles.filter((role, i) => roles.indexOf(role) < i)
  if (twice.length > 0) {
    return `'FrameworkInfo.roles' contains duplicate items: ${formatItems([...new Set(twice)])}`
  }
  const invalid = validateRoles(roles)
  if (invalid === undefined) return undefined
  return multiRole
    ? `'FrameworkInfo.roles' contains invalid role: ${invalid}`
    : `'FrameworkInfo.role' is not a valid role: ${invalid}`
}

function validateFrameworkId({ id }: FrameworkInfo): string | undefined {
  const invalid = id && id.value !== '' ? validateId(id.value) : undefined
  return invalid === undefined ? undefined : `'FrameworkInfo.id' is invalid: ${invalid}`
}

/** A negative one is taken, as by Mesos, and counts as 0. */
function validateFailoverTimeout({
  failover_timeout: timeout = 0,
}: FrameworkInfo): string | undefined {
  return Math.abs(timeout) < MAX_TIMEOUT_SECONDS
    ? undefined
    : `The framework failover_timeout (${timeout}) is invalid`
}

function validateSuppressed(
  roles: readonly string[],
  suppressed: readonly string[],
): string | undefined {
  const foreign = suppressed.filter(role => !roles.includes(role))
  return foreign.length === 0
    ? undefined
    : `Suppressed roles ${formatItems(foreign)} are not contained in the set of roles`
}

export function prefixed(prefix: string, problem: string | undefined): string | undefined {
  return problem === undefined ? undefined : prefix + problem
}
