// posix/cpu and posix/mem: no isolation, only a look at what a container's processes use.

import type { ContainerStatistics } from './container.ts'
import type { Isolator } from './isolator.ts'

/** Adds what processes use, given the one that leads their session. */
export interface ProcessUsage {
  cpu(leader: number, statistics: ContainerStatistics): void
  memory(leader: number, statistics: ContainerStatistics): void
}

export function posixCpuIsolator(usage: ProcessUsage): Isolator {
  return {
    name: 'posix/cpu',
    prepare: () => {},
    usage: (_id, pid, statistics) => usage.cpu(pid, statistics),
  }
}

export function posixMemoryIsolator(usage: ProcessUsage): Isolator {
  return {
    name: 'posix/mem',
    prepare: () => {},
    usage: (_id, pid, statistics) => usage.memory(pid, statistics),
  }
}
