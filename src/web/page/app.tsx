// The whole page: what the master last said, around the view that the address names.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { Banner } from './banner.tsx'
import { Header } from './header.tsx'
import { Ticking } from './now.tsx'
import { type Feed, StatePoller } from './poller.ts'
import { parseRoute, type Route } from './routes.ts'
import { type Rows, rowsOf } from './rows.ts'
import { View } from './view.tsx'
import type { World } from './world.ts'

export interface AppProps {
  readonly world: World
  /** `host:port` that the page came from. */
  readonly host: string
}

export function App({ world, host }: AppProps) {
  const [paused, setPaused] = useState(false)
  const { feed, retry } = useFeed(world, paused)
  const route = useRoute()
  const { state } = feed
  const rows: Rows | undefined = useMemo(() => (state ? rowsOf(state) : undefined), [state])

  useEffect(() => {
    document.title = state ? `${state.cluster ?? host} · Mesos` : 'Mesos'
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

function stale(feed: Feed): boolean {
  return feed.connection.kind === 'lost' || feed.connection.kind === 'refused'
}

/** The address holds the view, so a link within the page cannot be a plain `#content`. */
function skipToContent(event: Event): void {
  event.preventDefault()
  document.getElementById('content')?.focus()
}

/** Polls while the page is seen and not paused. */
function useFeed(world: World, paused: boolean): { feed: Feed; retry: () => void } {
  const [poller] = useState(() => new StatePoller(world, feed => setFeed(feed)))
  const [feed, setFeed] = useState(poller.feed)
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
