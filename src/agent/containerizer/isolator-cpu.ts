// cgroups/cpu: a share of the processors when they are scarce, and with CFS bandwidth control an upper bound always.

import { type Cgroups, keyed } from './cgroup.ts'
import { CFS_PERIOD_US, cfsQuotaUs, cpuShares, cpuWeight } from './cgroup-values.ts'
import type { Amounts } from './container.ts'
import type { Isolator } from './isolator.ts'

const NANOSECONDS = 1e9
const MICROSECONDS = 1e6

/** `isBounded`: `--cgroups_enable_cfs`, by which a request without a limit is its own limit. */
export function cpuIsolator(cgroups: Cgroups, isBounded: boolean): Isolator {
  const set = (id: string, { cpus }: Amounts, limits: Partial<Amounts>): void => {
    const limit = limits.cpus ?? (isBounded ? cpus : Number.POSITIVE_INFINITY)
    const quota = cfsQuotaUs(limit)
    const cgroup = cgroups.of(id, 'cpu')
    if (cgroups.version === 2) {
      cgroup.write('cpu.weight', String(cpuWeight(cpus)))
      return cgroup.write('cpu.max', `${quota ?? 'max'} ${CFS_PERIOD_US}`)
    }
    cgroup.write('cpu.shares', String(cpuShares(cpus)))
    // A new group has no quota.
    if (quota === undefined && Number(cgroup.read('cpu.cfs_quota_us')) === -1) return
    cgroup.write('cpu.cfs_period_us', String(CFS_PERIOD_US))
    cgroup.write('cpu.cfs_quota_us', String(quota ?? -1))
  }
  return {
    name: 'cgroups/cpu',
    controllers: cgroups.version === 2 ? ['cpu'] : ['cpu', 'cpuacct'],
    prepare: ({ containerId, resources, limits }) => set(containerId, resources, limits),
    update: set,
    usage: (id, _pid, statistics) => {
      const stat = cgroups.of(id, 'cpu').measure('cpu.stat')
      statistics.cpus_nr_periods = keyed(stat, 'nr_periods') ?? 0
      statistics.cpus_nr_throttled = keyed(stat, 'nr_throttled') ?? 0
      if (cgroups.version === 2) {
        statistics.cpus_throttled_time_secs = (keyed(stat, 'throttled_usec') ?? 0) / MICROSECONDS
        statistics.cpus_user_time_secs = (keyed(stat, 'user_usec') ?? 0) / MICROSECONDS
        statistics.cpus_system_time_secs = (keyed(stat, 'system_usec') ?? 0) / MICROSECONDS
        return
      }
      statistics.cpus_throttled_time_secs = (keyed(stat, 'throttled_time') ?? 0) / NANOSECONDS
      const acct = cgroups.of(id, 'cpuacct')
      // The sum is measured. What of it is whose, the kernel only samples, and more than there was in all.
      const seconds = Number(acct.measure('cpuacct.usage')) / NANOSECONDS
      const user = Number(acct.measure('cpuacct.usage_user'))
      const sampled = user + Number(acct.measure('cpuacct.usage_sys'))
      statistics.cpus_user_time_secs = sampled === 0 ? seconds : (seconds * user) / sampled
      statistics.cpus_system_time_secs = seconds - statistics.cpus_user_time_secs
    },
  }
}
