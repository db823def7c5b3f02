// The agent's flags about launchers and isolators, in Mesos' spelling but for one that Mesos has not.

import { messageOf, UserError } from '../../base/errors.ts'
import { defineFlags, type FlagValues, flag } from '../../base/flags.ts'
import { parseResources } from '../../resources/parse.ts'
import type { Ranges } from '../../resources/ranges.ts'
import { CAPABILITIES } from './capabilities.ts'
import {
  DEFAULT_ISOLATION,
  type IsolatorName,
  LAUNCHERS,
  parseIsolation,
  whyNotUnder,
} from './isolation.ts'

/** More than programs need, less than what makes a machine slow. */
const DEFAULT_PIDS_MAX = 4096

const group = 'Isolation'

export const isolationFlags = defineFlags({
  launcher: flag.choice(LAUNCHERS, {
    group,
    default: 'posix',
    help: 'How tasks are started and killed. posix: each in a session of its own, killed with all its descendants; only a process that leaves the session and clears its environment escapes. linux: each in control groups, and in namespaces if isolators want it; nothing escapes. Needs root.',
  }),
  isolation: flag.string({
    group,
    default: DEFAULT_ISOLATION,
    help: `Isolators, joined by commas. 'cgroups' stands for cgroups/cpu,cgroups/mem; 'cgroups/all' for all of cgroups/.`,
    example: 'cgroups/cpu,cgroups/mem,cgroups/pids,namespaces/pid',
    validate: text => {
      const parsed = parseIsolation(text)
      return typeof parsed === 'string' ? parsed : undefined
    },
  }),
  cgroups_hierarchy: flag.path({
    group,
    default: '/sys/fs/cgroup',
    help: 'Where control groups are mounted: the directory with one directory for each controller (v1), or the hierarchy itself (v2).',
  }),
  cgroups_root: flag.string({
    group,
    default: 'mesos',
    help: "Name of the group that all containers' groups are in.",
    validate: whyNoRoot,
  }),
  cgroups_enable_cfs: flag.boolean({
    group,
    default: false,
    help: 'A task gets no more processor time than it asked for, even if nobody else wants it (cgroups/cpu).',
  }),
  cgroups_limit_swap: flag.boolean({
    group,
    default: false,
    help: 'The limit of memory is one of memory and swap together (cgroups/mem).',
  }),
  cgroups_pids_max: flag.integer({
    group,
    default: DEFAULT_PIDS_MAX,
    min: 4,
    help: 'How many processes and threads a container may have (cgroups/pids).',
  }),
  cgroups_destroy_timeout: flag.duration({
    group,
    default: 60_000,
    min: 1,
    help: "How long a container's control groups may take to be removed, until the agent gives up on them and says so.",
  }),
  allowed_devices: flag.json(readDevices, {
    group,
    help: 'Devices that containers may use beside the usual ones (cgroups/devices).',
    example:
      '{"allowed_devices":[{"device":{"path":"/dev/fuse"},"access":{"read":true,"write":true}}]}',
  }),
  sandbox_directory: flag.path({
    group,
    default: '/mnt/mesos/sandbox',
    help: 'Where a container that has a root file system of its own sees its sandbox (filesystem/linux).',
  }),
  enforce_container_disk_quota: flag.boolean({
    group,
    default: false,
    help: 'A container whose sandbox is larger than the disk it asked for is ended (disk/du).',
  }),
  container_disk_watch_interval: flag.duration({
    group,
    default: 15_000,
    min: 1,
    help: 'How often sandboxes are measured (disk/du).',
  }),
  enforce_container_ports: flag.boolean({
    group,
    default: false,
    help: 'A container that listens on a TCP port which it was not given is ended; otherwise the log tells of it (network/ports).',
  }),
  container_ports_watch_interval: flag.duration({
    group,
    default: 30_000,
    min: 1,
    help: 'How often it is looked which containers listen where (network/ports).',
  }),
  container_ports_isolated_range: flag.string({
    group,
    help: 'Ports that are looked at; absent: all (network/ports).',
    example: '[31000-32000]',
    validate: whyNoPorts,
  }),
  disallow_sharing_agent_pid_namespace: flag.boolean({
    group,
    default: false,
    help: "No container may ask for the agent's pid namespace (namespaces/pid).",
  }),
  disallow_sharing_agent_ipc_namespace: flag.boolean({
    group,
    default: false,
    help: "No container may ask for the agent's IPC namespace (namespaces/ipc).",
  }),
  default_container_shm_size: flag.bytes({
    group,
    help: "Size of a private /dev/shm whose container does not say (namespaces/ipc); absent: the kernel's default.",
  }),
  effective_capabilities: flag.json(readCapabilities, {
    group,
    help: 'Capabilities of containers that do not say (linux/capabilities).',
    example: '{"capabilities":["NET_RAW"]}',
  }),
  bounding_capabilities: flag.json(readCapabilities, {
    group,
    aliases: ['allowed_capabilities'],
    help: 'Capabilities that containers may have at most (linux/capabilities).',
    example: '{"capabilities":["NET_RAW","SYS_ADMIN"]}',
  }),
})

export type IsolationFlags = FlagValues<typeof isolationFlags>

/** Flags that say something to one isolator only. */
const OF_ISOLATOR: { readonly [F in keyof IsolationFlags]?: IsolatorName } = {
  cgroups_enable_cfs: 'cgroups/cpu',
  cgroups_limit_swap: 'cgroups/mem',
  cgroups_pids_max: 'cgroups/pids',
  allowed_devices: 'cgroups/devices',
  sandbox_directory: 'filesystem/linux',
  enforce_container_disk_quota: 'disk/du',
  container_disk_watch_interval: 'disk/du',
  enforce_container_ports: 'network/ports',
  container_ports_watch_interval: 'network/ports',
  container_ports_isolated_range: 'network/ports',
  disallow_sharing_agent_pid_namespace: 'namespaces/pid',
  disallow_sharing_agent_ipc_namespace: 'namespaces/ipc',
  default_container_shm_size: 'namespaces/ipc',
  effective_capabilities: 'linux/capabilities',
  bounding_capabilities: 'linux/capabilities',
}

/** What they say to Docker as well. */
const OF_DOCKER: ReadonlySet<string> = new Set(['cgroups_enable_cfs', 'sandbox_directory'])

/** What is wrong with these flags together. */
export function isolationErrors(flags: IsolationFlags, hasDocker = false): string[] {
  const isolation = parseIsolation(flags.isolation)
  if (typeof isolation === 'string') return []
  const errors: string[] = []
  const why = whyNotUnder(flags.launcher, isolation)
  if (why !== undefined) errors.push(`Flag '--isolation': ${why}.`)
  for (const [name, isolator] of Object.entries(OF_ISOLATOR)) {
    const key = name as keyof IsolationFlags
    if (flags[key] === isolationFlags[key].default || isolation.has(isolator)) continue
    if (hasDocker && OF_DOCKER.has(name)) continue
    errors.push(`Flag '--${name}' is for the isolator '${isolator}', which --isolation has not.`)
  }
  return errors
}

/** Ranges such as `[31000-32000]`; throws a `UserError` if it is none. */
export function readPorts(text: string): Ranges {
  return parseResources(`ports:${text}`).ports()
}

function whyNoPorts(text: string): string | undefined {
  try {
    return readPorts(text).length > 0 ? undefined : 'there is no port in it'
  } catch (error) {
    return messageOf(error)
  }
}

function whyNoRoot(root: string): string | undefined {
  const parts = root.split('/')
  if (parts.every(part => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part))) return undefined
  return `'${root}' is not the name of a group; letters, digits, '.', '_', '-' and '/' between names make one`
}

function readCapabilities(json: unknown): readonly string[] {
  const list = (json as { capabilities?: unknown } | null)?.capabilities
  if (!Array.isArray(list)) throw new UserError('invalid_value', 'it has no list `capabilities`')
  for (const name of list) {
    if (!CAPABILITIES.includes(name)) {
      throw new UserError('invalid_value', `'${name}' is no capability that is known`)
    }
  }
  return list
}

/** A device's file, and some of `rwm`. */
interface AllowedDevice {
  readonly path: string
  readonly access: string
}

function readDevices(json: unknown): readonly AllowedDevice[] {
  const list = (json as { allowed_devices?: unknown } | null)?.allowed_devices
  if (!Array.isArray(list)) throw new UserError('invalid_value', 'it has no list `allowed_devices`')
  return list.map((entry: { device?: { path?: unknown }; access?: Record<string, unknown> }) => {
    const path = entry?.device?.path
    if (typeof path !== 'string') throw new UserError('invalid_value', 'a device has no path')
    const { read, write, mknod } = entry.access ?? {}
    const access = `${read === true ? 'r' : ''}${write === true ? 'w' : ''}${mknod === true ? 'm' : ''}`
    if (access === '') throw new UserError('invalid_value', `'${path}' is allowed no access`)
    return { path, access }
  })
}
