// What is written to control groups for an amount of resources. The numbers are Mesos' own (cgroups/constants.hpp,
// cgroups2/constants.hpp), so that containers of both share a machine as they would among themselves.

const MB = 2 ** 20

const SHARES_PER_CPU = 1024
const MIN_SHARES = 2
const WEIGHT_PER_CPU = 100
const MIN_WEIGHT = 1
const MAX_WEIGHT = 10_000

export const CFS_PERIOD_US = 100_000
const MIN_CFS_QUOTA_US = 1_000
const MIN_MEMORY_BYTES = 32 * MB

/** v1: `cpu.shares`. */
export function cpuShares(cpus: number): number {
  return Math.max(MIN_SHARES, Math.floor(cpus * SHARES_PER_CPU))
}

/** v2: `cpu.weight`. */
export function cpuWeight(cpus: number): number {
  return Math.min(MAX_WEIGHT, Math.max(MIN_WEIGHT, Math.floor(cpus * WEIGHT_PER_CPU)))
}

/** Microseconds of processor time in each period; undefined: no bound. */
export function cfsQuotaUs(cpus: number): number | undefined {
  if (cpus === Number.POSITIVE_INFINITY) return undefined
  return Math.max(MIN_CFS_QUOTA_US, Math.round(cpus * CFS_PERIOD_US))
}

/** A container needs something to start with, however little was asked for it. */
export function memoryBytes(megabytes: number): number {
  if (megabytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  return Math.max(MIN_MEMORY_BYTES, Math.round(megabytes * MB))
}

/**
 * For a container that may have more memory than it asked for: the more likely it is to be chosen when the machine runs
 * out, the less it asked for. As Kubernetes and Mesos do it.
 */
export function oomScoreAdj(requestBytes: number, machineBytes: number): number {
  const adj = 1000 - Math.floor((1000 * requestBytes) / machineBytes)
  return Math.min(999, Math.max(3, adj))
}
