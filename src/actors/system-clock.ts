// The real clock. One of the few files that may touch the world.

import { performance } from 'node:perf_hooks'
import type { Clock, Timer } from './clock.ts'

/** setTimeout fires at once when it is asked to wait longer, and a `failover_timeout` of a month is nothing unusual. */
const LONGEST_MS = 0x7fff_ffff

function delay(ms: number, fn: () => void): Timer {
  let handle: NodeJS.Timeout
  const wait = (leftMs: number): void => {
    const partMs = Math.min(leftMs, LONGEST_MS)
    handle = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : fn()), partMs)
  }
  wait(Math.max(ms, 0))
  return { cancel: () => clearTimeout(handle) }
}

/** Runs in a row for which sockets and timers may have to wait. */
const MOST_IN_A_ROW = 32
let inARow = 0

/**
 * A round of the event loop looks at all sockets, which takes longer than a short turn. So `fn` runs before the loop
 * goes on where it may: as a tick, since those come after microtasks, asked for in a microtask, since those that are
 * ready now would come after a tick asked for now.
 */
function soon(fn: () => void, letOthers = false): void {
  if (letOthers || inARow >= MOST_IN_A_ROW) {
    inARow = 0
    setImmediate(fn)
  } else {
    inARow++
    queueMicrotask(() => process.nextTick(fn))
  }
}

/** The system's time, monotonic within the process: a step of the wall clock does not move timers or order. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  delay,
  soon,
}
