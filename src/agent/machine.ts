// What of a machine an agent offers when nobody says otherwise. The rules are Mesos': something is left for the system.

import type { Resource } from '../messages/resource.ts'
import { Resources } from '../resources/resources.ts'
import { DEFAULT_ROLE } from '../resources/roles.ts'

/** What can be known of a machine; undefined where the system does not say. */
export interface Machine {
  readonly cpus: number | undefined
  readonly memBytes: number | undefined
  /** Free on the file system of the work directory. */
  readonly diskFreeBytes: number | undefined
  /** The account this process runs under. */
  readonly user: string
  /** The PATH of this process. */
  readonly path: string | undefined
}

const MB = 2 ** 20
const GB_IN_MB = 1024
const MEM_KEPT_MB = GB_IN_MB
const DISK_KEPT_MB = 5 * GB_IN_MB
/** Where nothing can be found out. */
const FALLBACK = { cpus: 1, memMb: GB_IN_MB, diskMb: 10 * GB_IN_MB }
const DEFAULT_PORTS = { begin: 31_000, end: 32_000 }

/** A machine that has twice as much as is kept back gives the rest; a smaller one gives half. */
function share(totalMb: number, keptMb: number): number {
  return Math.floor(totalMb >= 2 * keptMb ? totalMb - keptMb : totalMb / 2)
}

/** cpus, mem, disk and ports of a machine, all unreserved. */
export function machineResources({ cpus, memBytes, diskFreeBytes }: Machine): Resource[] {
  const scalar = (name: string, value: number): Resource => ({
    name,
    type: 'SCALAR',
    scalar: { value },
  })
  return [
    scalar('cpus', cpus ?? FALLBACK.cpus),
    scalar('mem', memBytes === undefined ? FALLBACK.memMb : share(memBytes / MB, MEM_KEPT_MB)),
    scalar(
      'disk',
      diskFreeBytes === undefined ? FALLBACK.diskMb : share(diskFreeBytes / MB, DISK_KEPT_MB),
    ),
    { name: 'ports', type: 'RANGES', ranges: { range: [DEFAULT_PORTS] } },
  ]
}

/**
 * What is given, and of the machine what is not named there, reserved for `--default_role`. An amount of zero names a
 * resource that the agent shall not have, and is left out.
 */
export function agentResources(
  given: readonly Resource[],
  machine: Machine,
  defaultRole: string = DEFAULT_ROLE,
): Resource[] {
  const named = new Set(given.map(({ name }) => name))
  const detected = machineResources(machine)
    .filter(({ name }) => !named.has(name))
    .map(resource => (defaultRole === DEFAULT_ROLE ? resource : { ...resource, role: defaultRole }))
  return Resources.of([...given, ...detected]).list()
}
