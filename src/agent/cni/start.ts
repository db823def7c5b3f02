// Puts network/cni together, and makes sure that the machine has what it needs. One of the few files that may touch the world.

import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { isWatched } from '../agent-guard.ts'
import { survivalOf } from '../container-records.ts'
import type { Isolator } from '../containerizer/isolator.ts'
import { findProgram } from '../containerizer/system-programs.ts'
import { NetworkConfigs } from './configs.ts'
import { type CniFlags, pluginDirectories } from './flags.ts'
import { cniIsolator } from './isolator.ts'
import { Networks } from './networks.ts'
import { NetworkStore } from './network-store.ts'
import { Plugins } from './plugins.ts'

/** Where plugins look for iptables and the like, after the agent's PATH. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface CniStart {
  readonly flags: CniFlags
  readonly runtimeDir: string
  readonly workDir: string | undefined
  /** Names this agent and those before it. */
  readonly token: string
  /** The agent's PATH. */
  readonly path?: string | undefined
  readonly log: Logger
}

/** Of flags that `cniErrors` has seen. */
export function startCni({ flags, runtimeDir, workDir, token, path, log }: CniStart): Isolator {
  const top = flags.network_cni_root_dir_persist ? (workDir ?? runtimeDir) : runtimeDir
  const plugins = new Plugins(
    pluginDirectories(flags.network_cni_plugins_dir!),
    [path, PATH].filter(each => each !== undefined).join(':'),
  )
  const configs = new NetworkConfigs(flags.network_cni_config_dir!, log)
  const find = (name: string): string => findProgram(name, 'network/cni')
  const store = new NetworkStore({
    root: `${top}/isolators/network/cni`,
    plugins,
    unshare: find('unshare'),
    umount: find('umount'),
  })
  return cniIsolator({
    networks: new Networks({ store, configs, plugins, owner: token, log }),
    store,
    nsenter: find('nsenter'),
    realPath: name => (existsSync(name) ? realpathSync(name) : undefined),
    interfacesOf: flags.network_cni_metrics
      ? pid => readFileSync(`/proc/${pid}/net/dev`, 'latin1')
      : undefined,
    check: async () => {
      try {
        plugins.find('loopback')
      } catch (error) {
        throw new UserError('not_found', "'--network_cni_plugins_dir' has no plugin 'loopback'.", {
          hint: "It comes with all others, for instance in Debian's package containernetworking-plugins.",
          cause: error,
        })
      }
      await configs.load()
      log.info({ networks: configs.names.join(',') }, 'networks that containers can join')
    },
    isAtWork: other => isWatched(runtimeDir, other),
    survives: id => survivalOf(runtimeDir, id) !== undefined,
  })
}
