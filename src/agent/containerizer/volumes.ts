// What a container's volumes mean: directories and files of the machine, and of sandboxes, seen at another place.

import { UserError } from '../../base/errors.ts'
import type { ContainerInfo } from '../../messages/container.ts'
import type { Volume } from '../../messages/volume.ts'
import type { ContainerConfig } from './container.ts'
import { type Mount, normal, type Place, placeOf } from './mount.ts'

/** What is at a path of the machine. */
export type KindOfPath = (path: string) => 'file' | 'directory' | undefined

/** Of a default executor's sandbox (nested.ts). */
const OF_NEIGHBOURS: readonly string[] = ['containers', 'tasks']

export type VolumeKind = 'host_path' | 'sandbox_path' | 'secret'

/** What a volume is, or words that finish "this agent does not support …". */
export function kindOf(volume: Volume): VolumeKind | { readonly unsupported: string } {
  const { source, image, host_path: hostPath } = volume
  if (image) return { unsupported: 'volumes with an image' }
  if (!source) {
    if (hostPath === undefined) return { unsupported: 'volumes without a source' }
    return hostPath.startsWith('/') ? 'host_path' : 'sandbox_path'
  }
  switch (source.type) {
    case 'HOST_PATH':
      if (source.host_path?.mount_propagation?.mode === 'BIDIRECTIONAL') {
        return { unsupported: 'volumes whose mounts are seen by the machine (BIDIRECTIONAL)' }
      }
      return 'host_path'
    case 'SANDBOX_PATH':
      return 'sandbox_path'
    case 'SECRET':
      if (source.secret?.value !== undefined && source.secret.type === 'VALUE') return 'secret'
      return {
        unsupported:
          'secrets by reference, of which it resolves none: those of volumes have to come with their value',
      }
    default:
      return { unsupported: `volumes of type ${source.type ?? 'UNKNOWN'}` }
  }
}

/** Why a container cannot have its volumes; undefined if it can. Finishes "this agent does not support …". */
export function whyNoVolumes(
  { volumes = [] }: ContainerInfo,
  has: (isolator: `volume/${VolumeKind}`) => boolean,
): string | undefined {
  for (const volume of volumes) {
    const kind = kindOf(volume)
    if (typeof kind !== 'string') return kind.unsupported
    if (!has(`volume/${kind}`)) return `volumes without the isolator 'volume/${kind}'`
  }
  return undefined
}

/** The mounts of a container's volumes of one kind. Throws a `UserError` if one of them cannot be. */
export function volumeMounts(
  kind: Exclude<VolumeKind, 'secret'>,
  config: ContainerConfig,
  kindOfPath: KindOfPath,
): Mount[] {
  return (config.info?.volumes ?? [])
    .filter(volume => kindOf(volume) === kind)
    .map(volume => {
      const from = kind === 'host_path' ? hostPath(volume, kindOfPath) : sandboxPath(volume, config)
      const at = placeIn(volume, config, from.isFile ? 'file' : 'directory', kindOfPath)
      return { kind: 'bind', ...from, at, isReadOnly: volume.mode === 'RO' }
    })
}

/** Where a container sees a volume. Throws a `UserError` where the machine would need something that it has not. */
export function placeIn(
  { container_path: path }: Volume,
  { rootfs }: Pick<ContainerConfig, 'rootfs'>,
  what: 'file' | 'directory',
  kindOfPath: KindOfPath,
): Place {
  const at = placeOf(path)
  if (at.in === 'root' && rootfs === undefined && kindOfPath(at.path) !== what) {
    throw refused(`the machine has no ${what} '${at.path}' that a volume could be seen at`)
  }
  return at
}

interface Source {
  readonly source: string
  readonly below?: string
  readonly isFile?: boolean
}

function hostPath({ source, host_path }: Volume, kindOfPath: KindOfPath): Source {
  const path = source?.host_path?.path ?? host_path ?? ''
  if (!path.startsWith('/')) throw refused(`the host path '${path}' of a volume is not absolute`)
  const kind = path.includes('\0') ? undefined : kindOfPath(path)
  if (kind === undefined) throw refused(`the host path '${path}' of a volume does not exist`)
  return { source: path, isFile: kind === 'file' }
}

function sandboxPath({ source, host_path }: Volume, config: ContainerConfig): Source {
  const { type = 'SELF', path = host_path ?? '' } = source?.sandbox_path ?? {}
  if (path.startsWith('/')) throw refused(`the sandbox path '${path}' of a volume is not relative`)
  const below = normal(path)
  if (type === 'SELF') return { source: config.sandbox, below }
  if (config.parentSandbox === undefined) {
    throw refused(`the sandbox path '${path}' is of a parent, and the container has none`)
  }
  // Whoever could write there would have the sandboxes of its neighbours.
  if (OF_NEIGHBOURS.includes(below.split('/')[0]!)) {
    throw refused(`the sandbox path '${path}' of the parent is that of its containers`)
  }
  return { source: config.parentSandbox, below }
}

export const refused = (why: string): UserError => new UserError('invalid_value', why)
