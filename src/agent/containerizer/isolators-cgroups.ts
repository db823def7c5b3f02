// The isolators that are nothing but a group to be in: their controllers count, and pids has a bound.

import type { Cgroups } from './cgroup.ts'
import type { Isolator } from './isolator.ts'

/** A container may have so many processes and threads. The one thing that ends a fork bomb where it began. */
export function pidsIsolator(cgroups: Cgroups, max: number): Isolator {
  return {
    name: 'cgroups/pids',
    controllers: ['pids'],
    prepare: ({ containerId }) => {
      cgroups.of(containerId, 'pids').write('pids.max', String(max))
    },
    usage: (containerId, _pid, statistics) => {
      statistics.threads = Number(cgroups.of(containerId, 'pids').measure('pids.current'))
    },
  }
}

/** Its groups start with the processors and memory nodes of the group above, which is what a container gets. */
export const cpusetIsolator: Isolator = {
  name: 'cgroups/cpuset',
  controllers: ['cpuset'],
  prepare: () => {},
}

/** Counts what a container reads from disks and writes to them. */
export function blkioIsolator(cgroups: Cgroups): Isolator {
  const controller = cgroups.version === 1 ? 'blkio' : 'io'
  return {
    name: 'cgroups/blkio',
    controllers: [controller],
    prepare: () => {},
    usage: (containerId, _pid, statistics) => {
      const cgroup = cgroups.of(containerId, controller)
      statistics.blkio_statistics =
        cgroups.version === 1
          ? serviceBytes(cgroup.measure('blkio.throttle.io_service_bytes'))
          : ioStat(cgroup.measure('io.stat'))
    },
  }
}

/** Lines `8:0 Read 4096`, and a total that names no device. */
export function serviceBytes(text: string): { read_bytes: number; write_bytes: number } {
  const sums = { read_bytes: 0, write_bytes: 0 }
  for (const line of text.split('\n')) {
    const [, kind, bytes] = line.split(' ')
    if (kind === 'Read') sums.read_bytes += Number(bytes)
    else if (kind === 'Write') sums.write_bytes += Number(bytes)
  }
  return sums
}

/** Lines `8:0 rbytes=4096 wbytes=0 …`. */
export function ioStat(text: string): { read_bytes: number; write_bytes: number } {
  const sums = { read_bytes: 0, write_bytes: 0 }
  for (const [, kind, bytes] of text.matchAll(/\b([rw])bytes=(\d+)/g)) {
    sums[kind === 'r' ? 'read_bytes' : 'write_bytes'] += Number(bytes)
  }
  return sums
}
