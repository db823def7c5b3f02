// The current time for everything that says "4 min ago", by the master's clock, renewed each
// second.

import { type ComponentChildren, createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import { formatAgo, formatDuration, formatIso } from './format.ts'
import type { World } from './world.ts'

const Now = createContext(0)

export interface TickingProps {
  readonly world: World
  /**
   * The master's clock minus this machine's: times come from there, so they are compared with that
   * clock.
   */
  readonly skewMs: number
  readonly children: ComponentChildren
}

export function Ticking({ world, skewMs, children }: TickingProps) {
  const [nowMs, setNowMs] = useState(world.now())
  useEffect(() => {
    const timer = world.delay(1000, () => setNowMs(world.now()))
    return () => timer.cancel()
  }, [world, nowMs])
  return <Now.Provider value={nowMs + skewMs}>{children}</Now.Provider>
}

/** Milliseconds since the epoch by the master's clock. */
export function useNow(): number {
  return useContext(Now)
}

/** A moment as "4 min ago", with the exact time on hover. */
export function Ago({ atMs }: { readonly atMs: number | undefined }) {
  const nowMs = useNow()
  if (atMs === undefined) return <span class="none">–</span>
  const iso = formatIso(atMs)
  return (
    <time dateTime={iso} title={iso}>
      {formatAgo(atMs, nowMs)}
    </time>
  )
}

/** The time since a moment, as "3 h 12 min". */
export function Since({ atMs }: { readonly atMs: number }) {
  const nowMs = useNow()
  const iso = formatIso(atMs)
  return (
    <time dateTime={iso} title={iso}>
      {formatDuration(nowMs - atMs)}
    </time>
  )
}
