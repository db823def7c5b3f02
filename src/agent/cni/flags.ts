// The agent's flags about container networks (network/cni), in Mesos' spelling.

import { defineFlags, flag, type FlagValues } from '../../base/flags.ts'
import { parseIsolation } from '../containerizer/isolation.ts'

const group = 'Container networks'

export const cniFlags = defineFlags({
  network_cni_plugins_dir: flag.string({
    group,
    help: 'Directories of CNI plugins, joined by colons; the first one that has a plugin counts. loopback has to be among them (network/cni).',
    example: '/usr/lib/cni:/opt/cni/bin',
    validate: text =>
      pluginDirectories(text).every(each => each.startsWith('/'))
        ? undefined
        : 'each of them must be an absolute path',
  }),
  network_cni_config_dir: flag.path({
    group,
    help: 'Directory with a file for each network that containers may join: CNI configurations, or lists of them (network/cni).',
    example: '/etc/mesos/cni',
  }),
  network_cni_root_dir_persist: flag.boolean({
    group,
    default: false,
    help: 'What is on record of networks is kept in --work_dir instead of --runtime_dir: after a reboot plugins are told of containers that are gone (network/cni).',
  }),
  network_cni_metrics: flag.boolean({
    group,
    default: true,
    help: "Statistics tell what went through a container's interfaces (network/cni).",
  }),
})

export type CniFlags = FlagValues<typeof cniFlags>

export const pluginDirectories = (text: string): string[] =>
  text.split(':').filter(each => each !== '')

/** What is wrong with these flags together, and with those of isolation. */
export function cniErrors(flags: CniFlags & { readonly isolation: string }): string[] {
  const isolation = parseIsolation(flags.isolation)
  if (typeof isolation === 'string') return []
  const errors: string[] = []
  for (const name of Object.keys(cniFlags) as (keyof CniFlags)[]) {
    if (isolation.has('network/cni')) {
      if (flags[name] === undefined) {
        errors.push(`Flag '--isolation': the isolator 'network/cni' needs '--${name}'.`)
      }
    } else if (flags[name] !== cniFlags[name].default) {
      errors.push(`Flag '--${name}' is for the isolator 'network/cni', which --isolation has not.`)
    }
  }
  return errors
}
