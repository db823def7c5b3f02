// namespaces/mnt, namespaces/pid, namespaces/ipc: what a container sees of the machine.

import { UserError } from '../../base/errors.ts'
import type { Isolator } from './isolator.ts'
import { inRoot } from './mount.ts'

/** Mounts that a container makes are its own; what the machine mounts later it sees. */
export const mountIsolator: Isolator = {
  name: 'namespaces/mnt',
  prepare: (_container, plan) => {
    plan.namespaces.add('mount')
  },
}

/** A container sees its own processes only, and what is left of it when its first one ends, the kernel ends. */
export function pidIsolator(forbidsSharing: boolean): Isolator {
  return {
    name: 'namespaces/pid',
    prepare: ({ info }, plan) => {
      if (info?.linux_info?.share_pid_namespace !== true) {
        // /proc of its own goes with it, and that takes a mount namespace.
        plan.namespaces.add('mount').add('pid')
      } else if (forbidsSharing) {
        throw new UserError('not_permitted', "it may not share the agent's pid namespace")
      }
    },
  }
}

export interface IpcIsolatorOptions {
  /** `--disallow_sharing_agent_ipc_namespace`. */
  readonly forbidsSharing: boolean
  /** `--default_container_shm_size`; undefined: the kernel's default, half of the memory. */
  readonly shmBytes: number | undefined
}

/**
 * System V IPC, POSIX message queues and, where a container asks to be PRIVATE, shared memory of its own. One that asks for
 * nothing has an IPC namespace and the machine's /dev/shm, as in Mesos.
 */
export function ipcIsolator({ forbidsSharing, shmBytes }: IpcIsolatorOptions): Isolator {
  return {
    name: 'namespaces/ipc',
    prepare: ({ info }, plan) => {
      const { ipc_mode: mode, shm_size: shmMb } = info?.linux_info ?? {}
      if (mode === 'SHARE_PARENT') {
        if (shmMb !== undefined) {
          throw new UserError('invalid_value', "'shm_size' is only for the ipc_mode PRIVATE")
        }
        if (!forbidsSharing) return
        throw new UserError('not_permitted', "it may not share the agent's IPC namespace")
      }
      plan.namespaces.add('ipc')
      if (mode !== 'PRIVATE') return
      plan.namespaces.add('mount')
      const size = shmMb !== undefined ? shmMb * 2 ** 20 : shmBytes
      const options = `nosuid,nodev,mode=1777${size === undefined ? '' : `,size=${size}`}`
      plan.mounts.push({ kind: 'fs', type: 'tmpfs', options, at: inRoot('/dev/shm') })
    },
  }
}
