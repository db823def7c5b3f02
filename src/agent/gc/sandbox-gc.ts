// Removes what ended executors and agents left in the work directory: the oldest first, when it is old enough. How old that
// is, depends on how full the disk is (Mesos' rule): `--gc_delay` on an empty disk, nothing at all on a full one.
//
//   age allowed = gc_delay × max(0, 1 − headroom − used part of the disk)
//
// Looked at every `--disk_watch_interval`. What still runs, or whose last updates are not acknowledged, is not known here.

import type { Clock, Timer } from '../../actors/clock.ts'
import type { Metrics } from '../../actors/metrics.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { GarbageDisk } from './garbage-disk.ts'

export interface GcSettings {
  readonly delayMs: number
  /** Part of the disk, 0 to 1, that is to stay free. */
  readonly headroom: number
  readonly intervalMs: number
}

const DAY_MS = 24 * 60 * 60_000

export const DEFAULT_GC: GcSettings = { delayMs: 7 * DAY_MS, headroom: 0.1, intervalMs: 60_000 }

export interface SandboxGcOptions extends GcSettings {
  readonly disk: GarbageDisk
  readonly clock: Pick<Clock, 'now' | 'delay'>
  readonly log: Logger
}

/** `used`: part of the disk, 0 to 1. */
export function allowedAgeMs({ delayMs, headroom }: GcSettings, used: number): number {
  return delayMs * Math.max(0, 1 - headroom - used)
}

export class SandboxGc {
  readonly #o: SandboxGcOptions
  /** Directories that may go, by the time of their end. */
  readonly #garbage = new Map<string, number>()
  #timer: Timer | undefined
  #allowedMs: number
  #removed = 0
  #failed = 0

  constructor(options: SandboxGcOptions) {
    this.#o = options
    this.#allowedMs = options.delayMs
  }

  /** Once: finds what agents before this one left. `isInUse`: what is not to be touched, of the directories it has. */
  async begin(isInUse: (directory: string) => boolean): Promise<void> {
    const { disk, log } = this.#o
    try {
      for (const { path, endedAtMs } of await disk.find()) {
        if (!isInUse(path)) this.#garbage.set(path, endedAtMs)
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'old sandboxes could not be looked for')
    }
    this.#watch()
  }

  /** Nothing needs this directory any more. */
  ended(directory: string): void {
    this.#garbage.set(directory, this.#o.clock.now())
  }

  end(): void {
    this.#timer?.cancel()
  }

  measure(metrics: Pick<Metrics, 'gauge'>): void {
    metrics.gauge('gc/path_removals_pending', () => this.#garbage.size)
    metrics.gauge('gc/path_removals_succeeded', () => this.#removed)
    metrics.gauge('gc/path_removals_failed', () => this.#failed)
    metrics.gauge('slave/executor_directory_max_allowed_age_secs', () => this.#allowedMs / 1000)
  }

  #watch(): void {
    const { clock, intervalMs } = this.#o
    this.#timer = clock.delay(intervalMs, () => void this.#sweep().then(() => this.#watch()))
  }

  async #sweep(): Promise<void> {
    const { clock, disk, log } = this.#o
    try {
      this.#allowedMs = allowedAgeMs(this.#o, await disk.used())
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'how full the disk is could not be found out')
    }
    const now = clock.now()
    const old = [...this.#garbage]
      .filter(([, endedAtMs]) => now - endedAtMs >= this.#allowedMs)
      .toSorted(([, one], [, other]) => one - other)
    for (const [path] of old) {
      this.#garbage.delete(path)
      try {
        await disk.remove(path)
        this.#removed++
        log.info({ path }, 'an old directory is removed')
      } catch (error) {
        this.#failed++
        log.warn({ path, error: messageOf(error) }, 'an old directory could not be removed')
      }
    }
  }
}
