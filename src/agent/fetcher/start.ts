// Puts the fetcher together, in front of what launches containers.

import type { Clock } from '../../actors/clock.ts'
import type { Metrics } from '../../actors/metrics.ts'
import type { Logger } from '../../base/log.ts'
import { SystemAccounts } from '../containerizer/accounts.ts'
import type { Processes } from '../processes.ts'
import { Fetcher } from './fetcher.ts'
import { FetchingProcesses } from './fetching-processes.ts'
import type { FetcherFlags } from './flags.ts'

export interface FetcherStart {
  readonly flags: FetcherFlags
  readonly workDir: string
  /** The agents' of this work directory: others may have the same directory for their cache. */
  readonly token: string
  readonly inner: Processes
  readonly clock: Pick<Clock, 'now'>
  readonly log: Logger
}

export interface StartedFetcher {
  readonly processes: FetchingProcesses
  measure(metrics: Pick<Metrics, 'gauge'>): void
}

export function startFetcher({
  flags,
  workDir,
  token,
  inner,
  clock,
  log,
}: FetcherStart): StartedFetcher {
  const fetcher = new Fetcher({
    directory: `${flags.fetcher_cache_dir ?? `${workDir}/fetch`}/${token}`,
    cacheBytes: flags.fetcher_cache_size,
    limitBytes: flags.fetcher_size_limit,
    stallMs: flags.fetcher_stall_timeout,
    home: flags.frameworks_home,
    log,
  })
  const accounts = new SystemAccounts(() => clock.now())
  return {
    processes: new FetchingProcesses(inner, fetcher, accounts),
    measure: metrics => {
      const name = (what: string): string => `containerizer/fetcher/${what}`
      metrics.gauge(name('task_fetches_succeeded'), () => fetcher.succeeded)
      metrics.gauge(name('task_fetches_failed'), () => fetcher.failed)
      metrics.gauge(name('cache_size_total_bytes'), () => fetcher.cache.totalBytes)
      metrics.gauge(name('cache_size_used_bytes'), () => fetcher.cache.usedBytes)
    },
  }
}
