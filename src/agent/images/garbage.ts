// Images that nobody uses go when the disk gets full, as `--image_gc_config` says.

import * as v from 'valibot'
import type { Clock, Timer } from '../../actors/clock.ts'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { Image } from '../../messages/volume.ts'
import { parseReference, referenceText } from './reference.ts'

const HOUR_NS = 3_600e9

/** Mesos' `ImageGcConfig`, with its defaults. */
const Config = v.strictObject({
  image_disk_headroom: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0.1),
  image_disk_watch_interval: v.optional(
    v.strictObject({ nanoseconds: v.pipe(v.number(), v.minValue(1e6)) }),
    { nanoseconds: HOUR_NS },
  ),
  excluded_images: v.optional(v.array(Image), []),
})

export interface ImageGcConfig {
  /** The part of the disk that is to be free. */
  readonly headroom: number
  readonly intervalMs: number
  /** Names of images that stay. */
  readonly excluded: readonly string[]
}

/** Throws a `UserError` if it is none. */
export function readGcConfig(json: unknown): ImageGcConfig {
  const found = v.safeParse(Config, json)
  if (!found.success) {
    const [issue] = found.issues
    throw new UserError('invalid_value', `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`)
  }
  const { image_disk_headroom, image_disk_watch_interval, excluded_images } = found.output
  const excluded = excluded_images.map(({ type, docker }) => {
    if (type !== 'DOCKER' || !docker) {
      throw new UserError(
        'invalid_value',
        'excluded_images: this agent has images of type DOCKER only',
      )
    }
    return referenceText(parseReference(docker.name))
  })
  return {
    headroom: image_disk_headroom,
    intervalMs: image_disk_watch_interval.nanoseconds / 1e6,
    excluded,
  }
}

export interface GarbageOptions {
  readonly config: ImageGcConfig
  readonly clock: Clock
  /** The part of the disk that is used. */
  readonly usage: () => Promise<number>
  readonly prune: (kept: ReadonlySet<string>) => Promise<number>
  readonly log: Logger
}

/** Looks again and again. Returns what ends that. */
export function watchImages({ config, clock, usage, prune, log }: GarbageOptions): () => void {
  let timer: Timer
  let isOver = false
  const look = async (): Promise<void> => {
    try {
      const used = await usage()
      if (used > 1 - config.headroom) {
        const removed = await prune(new Set(config.excluded))
        if (removed > 0) log.info({ used, layers: removed }, 'the disk is full: unused images go')
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'images could not be pruned')
    }
    next()
  }
  const next = (): void => {
    if (!isOver) timer = clock.delay(config.intervalMs, () => void look())
  }
  next()
  return () => {
    isOver = true
    timer.cancel()
  }
}
