// disk/du: what the sandbox of a container takes of the disk, measured by du(1), and held against the disk it asked for.
//
// One du looks at many sandboxes, a round after the other. What is measured is up to an interval old, as in Mesos; what a
// container writes outside of its sandbox is not seen.

import { messageOf } from '../../base/errors.ts'
import type { Clock } from '../../actors/clock.ts'
import type { Logger } from '../../base/log.ts'
import type { Limitation } from './container.ts'
import type { Isolator } from './isolator.ts'
import { Rounds } from './rounds.ts'

/** Bytes that directories take, by their path; those that are gone are left out. */
export type MeasureDisk = (directories: readonly string[]) => Promise<ReadonlyMap<string, number>>

export interface DiskIsolatorOptions {
  readonly measure: MeasureDisk
  /** `--enforce_container_disk_quota`. */
  readonly enforces: boolean
  readonly intervalMs: number
  readonly clock: Pick<Clock, 'delay'>
  readonly log: Logger
}

interface Watched {
  readonly sandbox: string
  quotaBytes: number
  usedBytes: number | undefined
}

/** So many sandboxes one du is given. */
const AT_ONCE = 500
const MB = 2 ** 20

/** Reads du's lines: a number of bytes, a tab and a path. */
export function sizesIn(output: string): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const line of output.split('\0')) {
    const tab = line.indexOf('\t')
    const bytes = Number(line.slice(0, tab))
    if (tab > 0 && Number.isSafeInteger(bytes)) sizes.set(line.slice(tab + 1), bytes)
  }
  return sizes
}

export function diskIsolator(options: DiskIsolatorOptions): Isolator {
  const { measure, enforces, intervalMs, clock, log } = options
  const watched = new Map<string, Watched>()

  const look = async (): Promise<void> => {
    const directories = [...watched.values()].map(({ sandbox }) => sandbox)
    for (let at = 0; at < directories.length; at += AT_ONCE) {
      try {
        const sizes = await measure(directories.slice(at, at + AT_ONCE))
        for (const one of watched.values()) one.usedBytes = sizes.get(one.sandbox) ?? one.usedBytes
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'sandboxes could not be measured')
      }
    }
  }

  const rounds = new Rounds(clock, intervalMs, look, () => watched.size > 0)
  const quotaOf = ({ diskMb = 0 }: { readonly diskMb?: number }): number => diskMb * MB
  return {
    name: 'disk/du',
    prepare: ({ containerId, resources, sandbox }) => {
      watched.set(containerId, { sandbox, quotaBytes: quotaOf(resources), usedBytes: undefined })
      rounds.begin()
    },
    update: (containerId, resources) => {
      const one = watched.get(containerId)
      if (one) one.quotaBytes = quotaOf(resources)
    },
    usage: (containerId, _pid, statistics) => {
      const { quotaBytes = 0, usedBytes } = watched.get(containerId) ?? {}
      if (usedBytes !== undefined) statistics.disk_used_bytes = usedBytes
      if (quotaBytes > 0) statistics.disk_limit_bytes = quotaBytes
    },
    limitation: containerId => {
      const { quotaBytes = 0, usedBytes = 0 } = watched.get(containerId) ?? {}
      // Who asked for no disk is held to none.
      if (!enforces || quotaBytes === 0 || usedBytes <= quotaBytes) return undefined
      return exceeded(usedBytes, quotaBytes)
    },
    cleanup: containerId => void watched.delete(containerId),
  }
}

function exceeded(usedBytes: number, quotaBytes: number): Limitation {
  const inMb = (bytes: number): number => Math.round(bytes / MB)
  return {
    reason: 'REASON_CONTAINER_LIMITATION_DISK',
    message: `Disk usage (${inMb(usedBytes)}MB) exceeds quota (${inMb(quotaBytes)}MB)`,
    resources: [{ name: 'disk', type: 'SCALAR', scalar: { value: inMb(usedBytes) } }],
  }
}
