// The real clock. One of the few files that may touch the world.

import { performance } from 'node:perf_hooks'
import type { Clock } from './clock.ts'

/** The system's time, monotonic within the process: a step of the wall clock does not move timers or order. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  delay: (ms, fn) => {
    // setTimeout cannot wait longer than 2^31-1 ms and would fire at once; nobody means that.
    const handle = setTimeout(fn, Math.min(Math.max(ms, 0), 0x7fff_ffff))
    return { cancel: () => clearTimeout(handle) }
  },
  soon: fn => {
    setImmediate(fn)
  },
}
