// The whole page: what the master last said, around the view that the address names.

import { useCallback, useEffect, useMemo, useState } from 'preact/hooks'
import { Banner } from './banner.tsx'
import { Header } from './header.tsx'
import { Ticking } from './now.tsx'
import { PastBar } from './past-bar.tsx'
import { pathAt, positionIn, searchAt } from './past.ts'
import { type Feed, StatePoller } from './poller.ts'
import { parseRoute, type Route } from './routes.ts'
import { type Rows, rowsOf } from './rows.ts'
import { View } from './view.tsx'
import type { ClusterState } from './state.ts'
import type { World } from './world.ts'

export interface AppProps {
  readonly world: World
  /** `host:port` that the page came from. */
  readonly host: string
}

export function App({ world, host }: AppProps) {
  const [paused, setPaused] = useState(false)
  const [position, goTo] = usePosition()
  const { feed, retry } = useFeed(world, paused, pathAt(position))
  const route = useRoute()
  const { state } = feed
  const rows: Rows | undefined = useMemo(() => (state ? rowsOf(state) : undefined), [state])

  useEffect(() => {
    document.title = titleOf(state, host)
  }, [state, host])

  return (
    <Ticking world={world} skewMs={feed.skewMs}>
      <a class="skip" href="#content" onClick={skipToContent}>
        Skip to the content
      </a>
      <Header
        feed={feed}
        rows={rows}
        route={route}
        host={host}
        paused={paused}
        onPause={() => setPaused(!paused)}
      />
      {state?.past && <PastBar past={state.past} wanted={position} onGo={goTo} />}
      <Banner feed={feed} host={host} onRetry={retry} />
      <main id="content" tabIndex={-1} class={stale(feed) ? 'stale' : ''}>
        {state && rows ? (
          <View route={route} state={state} rows={rows} world={world} host={host} />
        ) : (
          <p class="empty">{feed.connection.kind === 'connecting' ? 'Asking the master…' : ''}</p>
        )}
      </main>
    </Ticking>
  )
}

function titleOf(state: ClusterState | undefined, host: string): string {
  if (!state) return 'Mesos'
  return state.past
    ? `Past, position ${state.past.position} · Mesos`
    : `${state.cluster ?? host} · Mesos`
}

function stale({ connection }: Feed): boolean {
  return 'retryAtMs' in connection
}

/** The position of the log that the address names, and how to go to another one. */
function usePosition(): readonly [number | undefined, (position: number) => void] {
  const [position, setPosition] = useState(() => positionIn(location.search))
  const goTo = useCallback((to: number) => {
    // Not a new entry: the way back from a slider would have a thousand steps.
    history.replaceState(null, '', searchAt(to) + location.hash)
    setPosition(to)
  }, [])
  return [position, goTo]
}

/** The address holds the view, so a link within the page cannot be a plain `#content`. */
function skipToContent(event: Event): void {
  event.preventDefault()
  document.getElementById('content')?.focus()
}

/** Polls while the page is seen and not paused. */
function useFeed(world: World, paused: boolean, path: string): { feed: Feed; retry: () => void } {
  const [poller] = useState(() => new StatePoller(world, feed => setFeed(feed), path))
  const [feed, setFeed] = useState(poller.feed)
  useEffect(() => poller.follow(path), [poller, path])
  useEffect(() => {
    if (paused) {
      poller.stop('paused')
      return undefined
    }
    const follow = () => (document.hidden ? poller.stop('silent') : poller.start())
    follow()
    document.addEventListener('visibilitychange', follow)
    return () => {
      document.removeEventListener('visibilitychange', follow)
      poller.stop('silent')
    }
  }, [poller, paused])
  return { feed, retry: () => poller.start() }
}

function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const follow = () => {
      setHash(location.hash)
      window.scrollTo(0, 0)
    }
    window.addEventListener('hashchange', follow)
    return () => window.removeEventListener('hashchange', follow)
  }, [])
  return useMemo(() => parseRoute(hash), [hash])
}
