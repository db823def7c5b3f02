// What is mounted for a container, and in which order. Nothing here touches the machine: mount-script.ts does, inside of the
// container's mount namespace.

import { posix } from 'node:path'
import type { ContainerConfig, LaunchPlan, Root, Secret } from './container.ts'
import type { Mount, Place } from './mount.ts'

/** What one mount needs to be told, as the script takes it. */
export type MountWords = readonly [
  kind: 'bind' | 'file' | 'fs' | 'mask' | 'overlay' | 'ram' | 'secret' | 'unram',
  source: string,
  below: string,
  base: string,
  path: string,
  makes: 'make' | '',
  options: string,
]

/** Binds that only have to be there, and are no more than their source: nothing is remounted. */
const AS_IS = ''
const READ_ONLY = 'ro'
/** The directory may lie on a file system without devices and programs. It is seen with both, and is not written to. */
const OF_TOOLBOX = 'ro,dev,exec,nosuid'

/**
 * All mounts of a container, in an order in which none hides another: a directory comes before what lies in it, the sandbox is whole
 * before it is seen a second time, and a root file system is furnished before volumes are put into it.
 */
export function mountWords(
  plan: LaunchPlan,
  config: Pick<ContainerConfig, 'sandbox'> & { readonly secretsDir: string },
): MountWords[] {
  const words = (mount: Mount): MountWords => wordsOf(mount, config.sandbox, plan.root?.path)
  const sorted = (where: Place['in']): Mount[] =>
    plan.mounts
      .filter(({ at }) => at.in === where)
      .toSorted((one, other) => depth(one.at) - depth(other.at))
  const [before, after] = secretWords(plan.secrets, config.secretsDir)
  return [
    ...before,
    ...sorted('sandbox').map(words),
    ...(plan.root ? furniture(plan.root, plan, config.sandbox) : []),
    ...sorted('root').map(words),
    ...after,
  ]
}

const depth = ({ path }: Place): number => path.split('/').length

function wordsOf(mount: Mount, sandbox: string, rootfs: string | undefined): MountWords {
  const { at } = mount
  // A directory of the machine's is not made for a container.
  const isMachines = at.in === 'root' && rootfs === undefined
  const base = at.in === 'sandbox' ? sandbox : (rootfs ?? '/')
  const path = posix.join('/', at.path)
  const makes = isMachines ? '' : 'make'
  if (mount.kind === 'fs') {
    // Not a framework's to choose.
    const [below, rest] = isMachines ? [at.path, ''] : [base, path]
    return ['fs', mount.type, '', below, rest, makes, mount.options]
  }
  const { source, below = '', isFile = false, isReadOnly } = mount
  return [
    isFile ? 'file' : 'bind',
    source,
    below,
    base,
    path,
    makes,
    isReadOnly ? READ_ONLY : AS_IS,
  ]
}

/**
 * Before all else a file system in memory has the secrets in it, of which they are bound to their places as other files are; at
 * the end it is taken away, and only what was bound is left of it.
 */
function secretWords(
  secrets: readonly Secret[],
  directory: string,
): readonly [readonly MountWords[], readonly MountWords[]] {
  if (secrets.length === 0) return [[], []]
  const files = secrets.map(({ path, data, owner }, index): MountWords => {
    const of = owner ? `${owner.uid}:${owner.gid}` : ''
    return ['secret', `${directory}/${index}`, of, '', path, '', String(data.length)]
  })
  return [
    [['ram', directory, '', '', 'secrets', '', ''], ...files],
    [['unram', directory, '', '', 'secrets', '', '']],
  ]
}

/** What a root file system needs to be one that programs can live in. */
function furniture(root: Root, plan: LaunchPlan, sandbox: string): MountWords[] {
  const { path: rootfs, toolbox } = root
  const at = (kind: MountWords[0], source: string, path: string, options: string): MountWords => [
    kind,
    source,
    '',
    rootfs,
    path,
    'make',
    options,
  ]
  return [
    // The kernel only lets a mount become the root.
    root.overlay
      ? ['overlay', root.overlay.directory, '', rootfs, '', '', root.overlay.options]
      : ['bind', rootfs, '', rootfs, '', '', AS_IS],
    at('bind', toolbox.directory, '/dev', OF_TOOLBOX),
    at('fs', 'devpts', '/dev/pts', 'newinstance,ptmxmode=0666,mode=0620'),
    at('bind', '/dev/shm', '/dev/shm', AS_IS),
    plan.namespaces.has('pid')
      ? at('fs', 'proc', '/proc', 'nosuid,nodev,noexec')
      : at('bind', '/proc', '/proc', AS_IS),
    at('mask', '', '/proc', AS_IS),
    // It shows the interfaces of the network that whoever mounts it is in.
    plan.network
      ? at('fs', 'sysfs', '/sys', 'ro,nosuid,nodev,noexec')
      : at('bind', '/sys', '/sys', READ_ONLY),
    ...toolbox.networkFiles.map(path => at('file', path, path, READ_ONLY)),
    at('bind', sandbox, root.sandbox, AS_IS),
  ]
}
