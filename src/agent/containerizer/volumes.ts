// What a container's volumes mean: directories and files of the machine, and of sandboxes, seen at another place.

import { UserError } from '../../base/errors.ts'
import type { ContainerInfo } from '../../messages/container.ts'
import type { Volume } from '../../messages/volume.ts'
import type { ContainerConfig } from './container.ts'
import { inRoot, type Mount, normal, type Place, placeOf } from './mount.ts'
import { requireFree } from './volume-places.ts'

/** The machine's files. */
export interface MachinePaths {
  /** What is at a path. */
  readonly kindOf: (path: string) => 'file' | 'directory' | undefined
  /** The path without links; undefined if there is nothing. */
  readonly resolve: (path: string) => string | undefined
}

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
  machine: MachinePaths,
): Mount[] {
  return (config.info?.volumes ?? [])
    .filter(volume => kindOf(volume) === kind)
    .map(volume => {
      const from = kind === 'host_path' ? hostPath(volume, machine) : sandboxPath(volume, config)
      const at = placeIn(volume, config, from.isFile ? 'file' : 'directory', machine)
      return { kind: 'bind', ...from, at, isReadOnly: volume.mode === 'RO' }
    })
}

/**
 * Where a container sees a volume. Throws a `UserError` where the machine would need something that it has not, or where the
 * container's own beginning would be covered.
 */
export function placeIn(
  { container_path: path }: Volume,
  { rootfs }: Pick<ContainerConfig, 'rootfs'>,
  what: 'file' | 'directory',
  machine: MachinePaths,
): Place {
  const given = placeOf(path)
  const isMachines = given.in === 'root' && rootfs === undefined
  const at = isMachines ? placeOnMachine(given, what, machine) : given
  if (at.in === 'root') requireFree(at.path, isMachines)
  return at
}

/** Links that lead there are the machine's own, or somebody's: what counts is where they lead now, and none is followed later. */
function placeOnMachine({ path }: Place, what: 'file' | 'directory', machine: MachinePaths): Place {
  const resolved = machine.kindOf(path) === what ? machine.resolve(path) : undefined
  if (resolved !== undefined && resolved !== '/') return inRoot(resolved)
  throw refused(`the machine has no ${what} '${path}' that a volume could be seen at`)
}

interface Source {
  readonly source: string
  readonly below?: string
  readonly isFile?: boolean
}

function hostPath({ source, host_path }: Volume, { kindOf: kindOfPath }: MachinePaths): Source {
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
