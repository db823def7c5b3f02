// Finds the leading master and stays with whoever leads, for agents and schedulers. There are two ways: to ask the masters,
// which are all known (detection.ts), or to look into ZooKeeper (zookeeper-detection.ts).

import type { Context } from '../actors/actor.ts'
import type { Pid } from '../actors/pid.ts'
import { Detection } from './detection.ts'
import { isList, type Masters } from './location.ts'
import { ZooKeeperDetection } from './zookeeper-detection.ts'

export interface Detector {
  /** Whoever leads is told to `changed`, now and later. */
  begin(): void
  end(): void
}

export interface DetectorOptions {
  readonly context: Context
  readonly masters: Masters
  /** Somebody leads, or somebody else: `master@host:port`. */
  readonly changed: (leader: Pid) => Promise<void> | void
}

export function detectorOf({ context, masters, changed }: DetectorOptions): Detector {
  return isList(masters)
    ? new Detection({ context, masters, changed })
    : new ZooKeeperDetection({ context, masters, changed })
}
