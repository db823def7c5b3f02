// cgroups/mem: what a container may have of memory. Above its request it is the first to give back, above its limit the
// kernel kills in it; and a container in which the kernel killed has failed, whatever is left of it.

import { type Cgroup, type Cgroups, keyed } from './cgroup.ts'
import { memoryBytes, oomScoreAdj } from './cgroup-values.ts'
import type { Amounts, Limitation } from './container.ts'
import type { Isolator } from './isolator.ts'

const MB = 2 ** 20

/** Names of the files, by version. */
const FILES = {
  1: {
    soft: 'memory.soft_limit_in_bytes',
    hard: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    events: 'memory.oom_control',
    none: '-1',
  },
  2: {
    soft: 'memory.low',
    hard: 'memory.max',
    usage: 'memory.current',
    peak: 'memory.peak',
    events: 'memory.events',
    none: 'max',
  },
} as const

export interface MemoryIsolatorOptions {
  readonly cgroups: Cgroups
  /** `--cgroups_limit_swap`: the limit is one of memory and swap together. */
  readonly limitsSwap: boolean
  readonly machineBytes: number
}

export function memoryIsolator({
  cgroups,
  limitsSwap,
  machineBytes,
}: MemoryIsolatorOptions): Isolator {
  const files = FILES[cgroups.version]
  const text = (bytes: number): string => (Number.isFinite(bytes) ? String(bytes) : files.none)
  const limitSwap = (cgroup: Cgroup, hard: number): void => {
    if (!limitsSwap) return
    if (cgroups.version === 1) cgroup.write('memory.memsw.limit_in_bytes', text(hard))
    else cgroup.write('memory.swap.max', '0')
  }
  /** A limit is only ever raised: one below what is in use would have the kernel kill for an operator's wish. */
  const set = (id: string, { memMb }: Amounts, limits: Partial<Amounts>): void => {
    const cgroup = cgroups.of(id, 'memory')
    cgroup.write(files.soft, text(memoryBytes(memMb)))
    const hard = memoryBytes(limits.memMb ?? memMb)
    const before = bytesIn(cgroup.read(files.hard))
    if (hard <= before) return
    // Memory and swap together may never be less than memory alone.
    limitSwap(cgroup, hard)
    cgroup.write(files.hard, text(hard))
  }
  return {
    name: 'cgroups/mem',
    controllers: ['memory'],
    prepare: ({ containerId, resources, limits }, plan) => {
      const cgroup = cgroups.of(containerId, 'memory')
      const request = memoryBytes(resources.memMb)
      const hard = memoryBytes(limits.memMb ?? resources.memMb)
      cgroup.write(files.soft, text(request))
      cgroup.write(files.hard, text(hard))
      limitSwap(cgroup, hard)
      if (hard > request) plan.oomScoreAdj = oomScoreAdj(request, machineBytes)
    },
    update: set,
    usage: (id, _pid, statistics) => {
      const cgroup = cgroups.of(id, 'memory')
      const stat = cgroup.measure('memory.stat')
      const isV1 = cgroups.version === 1
      statistics.mem_total_bytes = Number(cgroup.measure(files.usage))
      statistics.mem_rss_bytes = keyed(stat, isV1 ? 'total_rss' : 'anon') ?? 0
      statistics.mem_cache_bytes = keyed(stat, isV1 ? 'total_cache' : 'file') ?? 0
      statistics.mem_mapped_file_bytes =
        keyed(stat, isV1 ? 'total_mapped_file' : 'file_mapped') ?? 0
      const [hard, soft] = [files.hard, files.soft].map(file => bytesIn(cgroup.measure(file)))
      if (Number.isFinite(hard)) statistics.mem_limit_bytes = hard!
      if (Number.isFinite(soft)) statistics.mem_soft_limit_bytes = soft!
    },
    limitation: id => {
      const cgroup = cgroups.of(id, 'memory')
      if (!((keyed(cgroup.measure(files.events), 'oom_kill') ?? 0) > 0)) return undefined
      return exceeded(cgroup, files)
    },
  }
}

function exceeded(cgroup: Cgroup, files: (typeof FILES)[1 | 2]): Limitation {
  const limit = bytesIn(cgroup.read(files.hard))
  const used = peakOf(cgroup, files)
  const statistics = cgroup.read('memory.stat')
  const requested = Number.isFinite(limit) ? inMb(limit) : 'unlimited'
  return {
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
    message: `Memory limit exceeded: Requested: ${requested} Maximum Used: ${inMb(used)}\n\nMEMORY STATISTICS: \n${statistics}`,
    resources: [{ name: 'mem', type: 'SCALAR', scalar: { value: Math.round(used / MB) } }],
  }
}

/** memory.peak is younger than cgroups v2. */
function peakOf(cgroup: Cgroup, files: (typeof FILES)[1 | 2]): number {
  try {
    return Number(cgroup.read(files.peak))
  } catch {
    return Number(cgroup.read(files.usage))
  }
}

function bytesIn(text: string): number {
  const bytes = text.trim() === 'max' ? Number.POSITIVE_INFINITY : Number(text)
  // v1 has no word for it: the largest multiple of a page.
  return bytes >= 2 ** 62 ? Number.POSITIVE_INFINITY : bytes
}

const inMb = (bytes: number): string => `${Math.round(bytes / MB)}MB`
