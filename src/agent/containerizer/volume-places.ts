// Where a container may not see a volume. Its init and the programs that take privileges away still are root when volumes are
// mounted: whoever could put another file into the place of one that they run or believe would be root.

import { UserError } from '../../base/errors.ts'

/** In a root file system of a container's own: devices, the programs in /dev/.mesos, and what the kernel says. */
const IN_ROOT: readonly string[] = ['/dev', '/proc', '/sys']
/** They are there to be written to. */
const FREE: readonly string[] = ['/dev/shm', '/dev/mqueue']

/** In a container that shares the machine's: also where programs are, and what they are set up by. */
const ON_MACHINE: readonly string[] = [
  ...IN_ROOT,
  ...[
    '/bin',
    '/sbin',
    '/lib',
    '/lib32',
    '/lib64',
    '/libx32',
    '/usr',
    '/etc',
    '/run',
    '/nix',
    '/gnu',
  ],
]

const isIn = (path: string, directories: readonly string[]): boolean =>
  directories.some(directory => path === directory || path.startsWith(`${directory}/`))

/** Of an absolute path that leads through no link. Throws a `UserError`. */
export function requireFree(path: string, isMachines: boolean): void {
  if (isIn(path, FREE) || !isIn(path, isMachines ? ON_MACHINE : IN_ROOT)) return
  throw new UserError('not_permitted', `a volume may not be seen at '${path}'`)
}
