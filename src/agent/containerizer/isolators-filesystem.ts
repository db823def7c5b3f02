// filesystem/linux, volume/host_path, volume/sandbox_path: what a container sees of file systems.

import type { Toolbox } from './container.ts'
import type { Isolator } from './isolator.ts'
import { type MachinePaths, type VolumeKind, volumeMounts } from './volumes.ts'

export interface FilesystemOptions {
  readonly toolbox: Toolbox
  /** `--sandbox_directory`: where a container with a root file system of its own sees its sandbox. */
  readonly sandboxDirectory: string
}

/** A mount namespace for every container, and a root file system of its own for those that were given one. */
export function filesystemIsolator({ toolbox, sandboxDirectory }: FilesystemOptions): Isolator {
  return {
    name: 'filesystem/linux',
    prepare: ({ rootfs, overlay }, plan) => {
      plan.namespaces.add('mount')
      if (rootfs === undefined) return
      const root = { path: rootfs, toolbox, sandbox: sandboxDirectory }
      plan.root = overlay ? { ...root, overlay } : root
      plan.env['MESOS_SANDBOX'] = sandboxDirectory
    },
  }
}

export function volumeIsolator(
  kind: Exclude<VolumeKind, 'secret'>,
  machine: MachinePaths,
): Isolator {
  return {
    name: `volume/${kind}`,
    prepare: (config, plan) => {
      const mounts = volumeMounts(kind, config, machine)
      if (mounts.length === 0) return
      plan.namespaces.add('mount')
      plan.mounts.push(...mounts)
    },
  }
}
