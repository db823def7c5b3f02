// posix/rlimits, linux/capabilities, linux/nnp: what the processes of a container may not do, whoever they run as.
//
// Each is a program of util-linux in front of the container's own, which it becomes. Only containers that ask for it pay.

import { UserError } from '../../base/errors.ts'
import type { RLimitInfo } from '../../messages/container.ts'
import { CAPABILITIES } from './capabilities.ts'
import type { Account, LaunchPlan } from './container.ts'
import type { Isolator } from './isolator.ts'

type RLimit = NonNullable<RLimitInfo['rlimits']>[number]

/** `RLMT_NOFILE` is prlimit(1)'s `--nofile`. */
export function prlimitArguments(rlimits: readonly RLimit[]): string[] {
  const seen = new Set<string>()
  return rlimits.map(({ type, soft, hard }) => {
    if (type === undefined)
      throw new UserError('invalid_value', 'an rlimit has no type that is known')
    if (seen.has(type)) throw new UserError('invalid_value', `${type} is given more than once`)
    seen.add(type)
    if ((soft === undefined) !== (hard === undefined)) {
      throw new UserError('invalid_value', `${type} has only one of the soft and the hard limit`)
    }
    if (soft !== undefined && hard !== undefined && soft > hard) {
      throw new UserError('invalid_value', `the soft limit of ${type} is above the hard one`)
    }
    const name = type.slice('RLMT_'.length).toLowerCase()
    return `--${name}=${soft ?? 'unlimited'}:${hard ?? 'unlimited'}`
  })
}

/** `prlimit`: where that program is. */
export function rlimitsIsolator(prlimit: string): Isolator {
  return {
    name: 'posix/rlimits',
    prepare: ({ info }, plan) => {
      const rlimits = info?.rlimit_info?.rlimits ?? []
      if (rlimits.length > 0) plan.prefix.unshift([prlimit, ...prlimitArguments(rlimits), '--'])
    },
  }
}

export interface CapabilitiesOptions {
  /** Where that program is. */
  readonly setpriv: string
  /** `--effective_capabilities`: of containers that do not say; undefined: the agent's. */
  readonly effective: readonly string[] | undefined
  /** `--bounding_capabilities`: more nobody may have; undefined: the agent's. */
  readonly bounding: readonly string[] | undefined
  /** What the agent can give. */
  readonly own: () => ReadonlySet<string>
}

export function capabilitiesIsolator(options: CapabilitiesOptions): Isolator {
  const { setpriv, effective, bounding, own } = options
  return {
    name: 'linux/capabilities',
    recover: () => {
      const outside = effective?.find(name => bounding && !bounding.includes(name))
      if (outside !== undefined) {
        throw new UserError(
          'invalid_value',
          `--effective_capabilities has ${outside}, which --bounding_capabilities has not.`,
        )
      }
      // The agent cannot give what it has not; what it was told to give it says so of.
      requireWithin(effective ?? [], own(), 'the agent itself has not')
    },
    prepare: ({ info }, plan) => {
      const linux = info?.linux_info
      const asked = (linux?.effective_capabilities ?? linux?.capability_info)?.capabilities
      const effectively = asked ?? effective
      const bound = linux?.bounding_capabilities?.capabilities ?? asked ?? bounding ?? effective
      if (!effectively && !bound) return
      const allowed = new Set(bounding ?? own())
      requireWithin(effectively ?? [], allowed, 'the agent does not allow')
      requireWithin(
        linux?.bounding_capabilities?.capabilities ?? asked ?? [],
        allowed,
        'the agent does not allow',
      )
      const has = own()
      const within = (bound ?? [...allowed]).filter(name => has.has(name))
      requireWithin(effectively ?? [], new Set(within), 'its own bounding capabilities have not')
      usePrivileges(plan, setpriv, [
        `--bounding-set=${listed(within)}`,
        `--inh-caps=${listed(effectively ?? within)}`,
        `--ambient-caps=${listed(effectively ?? within)}`,
      ])
    },
  }
}

/** What a setuid program or a file's capabilities would add, a container does not get. */
export function nnpIsolator(setpriv: string): Isolator {
  return {
    name: 'linux/nnp',
    prepare: (_container, plan) => usePrivileges(plan, setpriv, ['--no-new-privs']),
  }
}

/**
 * The program runs under another account than the agent. Not an isolator that one could do without: it is always there, and
 * does nothing for those that run as the agent does.
 */
export function runAs(plan: LaunchPlan, setpriv: string, account: Account): void {
  const { uid, gid, groups } = account
  plan.owner = account
  const all = groups.length > 0 ? `--groups=${groups.join(',')}` : '--clear-groups'
  usePrivileges(plan, setpriv, [`--reuid=${uid}`, `--regid=${gid}`, all])
}

/** One setpriv(1) does for all of them: it is in front of the program that all others in front of it become. */
function usePrivileges(plan: LaunchPlan, setpriv: string, args: readonly string[]): void {
  const known = plan.prefix.find(([program]) => program === setpriv)
  if (known) known.splice(1, 0, ...args)
  else plan.prefix.push([setpriv, ...args, '--'])
}

/** All away, then these. */
function listed(names: readonly string[]): string {
  return ['-all', ...names.map(name => `+${name.toLowerCase()}`)].join(',')
}

function requireWithin(names: readonly string[], allowed: ReadonlySet<string>, why: string): void {
  for (const name of names) {
    if (!CAPABILITIES.includes(name)) {
      throw new UserError('invalid_value', `'${name}' is no capability that is known`)
    }
    if (!allowed.has(name))
      throw new UserError('not_permitted', `${name} is asked for, which ${why}`)
  }
}
