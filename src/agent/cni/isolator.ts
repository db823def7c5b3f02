// network/cni: a container that names networks has a network namespace of its own, in which there are these and nothing of the
// machine's. Its programs are started by nsenter(1) in namespaces that are there before them.

import type { Isolator } from '../containerizer/isolator.ts'
import type { ContainerConfig, LaunchPlan } from '../containerizer/container.ts'
import { inRoot } from '../containerizer/mount.ts'
import { namedNetworks } from './demands.ts'
import { addNetworkUsage } from './net-dev.ts'
import type { NetworkStore } from './network-store.ts'
import type { Joined, Networks } from './networks.ts'

export interface CniIsolatorOptions {
  readonly networks: Networks
  readonly store: Pick<NetworkStore, 'path'>
  /** Where nsenter(1) is. */
  readonly nsenter: string
  /** Where a file of the machine's really is; undefined if nowhere. */
  readonly realPath: (path: string) => string | undefined
  /** `--network_cni_metrics`: the text of a process' /proc/<pid>/net/dev. */
  readonly interfacesOf: ((pid: number) => string) | undefined
  /** Looks at the configurations. Throws a `UserError` if nothing can be attached. */
  readonly check: () => Promise<void>
  /** Whether agents of this token are at work, or a guard is that acts for them. */
  readonly isAtWork: (token: string) => boolean
  /** Whether a container outlives this agent. */
  readonly survives: (containerId: string) => boolean
}

const ANY_ADDRESS = '0.0.0.0'

export function cniIsolator(options: CniIsolatorOptions): Isolator {
  const { networks, store, nsenter, realPath, interfacesOf, check, isAtWork, survives } = options
  const interfaces = new Map<string, ReadonlySet<string>>()

  const plan = (config: ContainerConfig, joined: Joined, into: LaunchPlan): void => {
    const { id } = joined
    interfaces.set(config.containerId, joined.interfaces)
    into.network = {
      infos: joined.infos,
      entrance: [nsenter, `--net=${store.path(id, 'ns')}`, `--uts=${store.path(id, 'uts')}`, '--'],
    }
    into.namespaces.add('mount')
    // What listens for the agent must not think that it has the machine's address.
    into.env['LIBPROCESS_IP'] = ANY_ADDRESS
    for (const name of ['hosts', 'hostname', 'resolv.conf'] as const) {
      if (name === 'resolv.conf' && !joined.hasResolvConf) continue
      const path = `/etc/${name}`
      // On the machine's file system nothing is made, and no link of it replaced.
      const at = config.rootfs === undefined ? realPath(path) : path
      if (at === undefined) continue
      // First, so that a volume can be in their place.
      into.mounts.unshift({
        kind: 'bind',
        isFile: true,
        source: store.path(id, name),
        at: inRoot(at),
        isReadOnly: true,
      })
    }
  }

  return {
    name: 'network/cni',
    recover: check,
    prepare: async (config, into, stop) => {
      const { id, info } = config.parent ?? { id: config.containerId, info: config.info }
      const wanted = namedNetworks(info)
      if (wanted.length === 0) return
      const hostname = info?.hostname ?? id
      plan(config, await networks.join(id, config.containerId, wanted, hostname, stop), into)
    },
    replan: (config, into) => {
      const joined = networks.rejoin(config.containerId)
      if (joined) plan(config, joined, into)
    },
    recovered: () => networks.collect(isAtWork),
    hold: containerId => networks.hold(containerId),
    usage: (containerId, pid, statistics) => {
      const names = interfaces.get(containerId)
      if (names && interfacesOf) addNetworkUsage(interfacesOf(pid), names, statistics)
    },
    cleanup: containerId => {
      interfaces.delete(containerId)
      return networks.leave(containerId)
    },
    close: () => networks.abandon(survives),
  }
}
