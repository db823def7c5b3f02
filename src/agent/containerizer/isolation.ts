// Which isolators there are, by Mesos' names, and what the text of `--isolation` means. Nothing here touches the machine.

/**
 * All that this agent has, in the order in which they prepare a container; they clean up in the reverse one. The order
 * is fixed here and not by the flag: what the kernel does to a container does not depend on how an operator lists it.
 */
export const ISOLATORS = [
  'filesystem/linux',
  'docker/runtime',
  'volume/sandbox_path',
  'volume/host_path',
  'volume/secret',
  'network/cni',
  'namespaces/mnt',
  'namespaces/pid',
  'namespaces/ipc',
  'posix/cpu',
  'posix/mem',
  'cgroups/blkio',
  'cgroups/cpu',
  'cgroups/cpuset',
  'cgroups/devices',
  'cgroups/mem',
  'cgroups/pids',
  'disk/du',
  'network/ports',
  'posix/rlimits',
  'linux/capabilities',
  'linux/nnp',
] as const

export type IsolatorName = (typeof ISOLATORS)[number]

export type Isolation = ReadonlySet<IsolatorName>

export const DEFAULT_ISOLATION = 'posix/cpu,posix/mem'

export const LAUNCHERS = ['posix', 'linux'] as const
export type LauncherName = (typeof LAUNCHERS)[number]

/** Names that stand for several. */
const ALIASES: Readonly<Record<string, readonly IsolatorName[]>> = {
  process: ['posix/cpu', 'posix/mem'],
  cgroups: ['cgroups/cpu', 'cgroups/mem'],
  'cgroups/all': ISOLATORS.filter(name => name.startsWith('cgroups/')),
  // What every agent does that is not told otherwise.
  'filesystem/posix': [],
  'posix/disk': ['disk/du'],
}

/** Isolators that bring others along, as in Mesos. */
const WITH: Readonly<Partial<Record<IsolatorName, readonly IsolatorName[]>>> = {
  'filesystem/linux': ['volume/sandbox_path', 'volume/host_path'],
}

/** The isolators that a list names, in their order; or what is wrong with the list. */
export function parseIsolation(text: string): Isolation | string {
  const wanted = new Set<IsolatorName>()
  for (const part of text.split(',')) {
    const name = part.trim()
    const meant = ALIASES[name] ?? ISOLATORS.filter(known => known === name)
    if (meant.length === 0 && !(name in ALIASES)) {
      const known = [...Object.keys(ALIASES), ...ISOLATORS].join(', ')
      return `'${name}' is no isolator of this agent; it has ${known}`
    }
    for (const each of meant) {
      wanted.add(each)
      for (const other of WITH[each] ?? []) wanted.add(other)
    }
  }
  if (wanted.has('volume/secret') && !wanted.has('filesystem/linux')) {
    return "the isolator 'volume/secret' needs 'filesystem/linux'"
  }
  return new Set(ISOLATORS.filter(name => wanted.has(name)))
}

/** What is wrong with an isolation under a launcher; undefined if nothing. */
export function whyNotUnder(launcher: LauncherName, isolation: Isolation): string | undefined {
  if (launcher === 'linux') return undefined
  const name = [...isolation].find(each =>
    /^(cgroups|namespaces|filesystem|volume|docker|network)\//.test(each),
  )
  return name && `the isolator '${name}' needs '--launcher=linux'`
}
