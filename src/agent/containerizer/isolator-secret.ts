// volume/secret: a secret that a container sees as a file, which only it has, in memory.
//
// The file is the container's account's own, and read only: what grew in it would be memory that nobody counts. It is in a
// ramfs, which the kernel never writes to a disk for want of memory, as it may do with a tmpfs; and which is gone with the
// last process of the container's mount namespace, whoever else dies.

import { makeDirectories } from '../make-directories.ts'
import type { Isolator } from './isolator.ts'
import { type MachinePaths, kindOf, placeIn, refused } from './volumes.ts'

/** Of all secrets of a container. They are memory that is not counted against its own. */
const MAX_BYTES = 2 ** 20

/** `directory`: an empty one, where containers have their secrets while they put them to their places. */
export function secretIsolator(directory: string, machine: MachinePaths): Isolator {
  return {
    name: 'volume/secret',
    recover: () => makeDirectories(directory),
    prepare: (config, plan) => {
      let sizeBytes = 0
      for (const volume of config.info?.volumes ?? []) {
        if (kindOf(volume) !== 'secret') continue
        const data = Buffer.from(volume.source!.secret!.value!.data, 'base64')
        sizeBytes += data.length
        if (sizeBytes > MAX_BYTES) {
          throw refused('the secrets of a container are larger than 1MB together')
        }
        const at = placeIn(volume, config, 'file', machine)
        const source = `${directory}/${plan.secrets.length}`
        plan.secrets.push({ path: at.path, data, owner: config.account })
        plan.mounts.push({ kind: 'bind', isFile: true, source, at, isReadOnly: true })
      }
      if (plan.secrets.length > 0) plan.namespaces.add('mount')
    },
  }
}
