// The top of every view: which cluster this is, who leads it, where to go, how fresh the picture
// is.

import type { ComponentChildren } from 'preact'
import { plural } from './format.ts'
import { Id } from './id.tsx'
import { Since } from './now.tsx'
import type { Feed } from './poller.ts'
import type { Route } from './routes.ts'
import type { Rows } from './rows.ts'
import { leaderAddress } from './state.ts'

export interface HeaderProps {
  readonly feed: Feed
  readonly rows: Rows | undefined
  readonly route: Route
  readonly host: string
  readonly paused: boolean
  readonly onPause: () => void
}

export function Header({ feed, rows, route, host, paused, onPause }: HeaderProps) {
  const { state } = feed
  // A registry knows agents and nothing else, and does not move.
  const past = state?.past
  return (
    <header class="top">
      <div class="bar">
        <a class="brand" href="#/">
          <Mark />
          <span>{state?.cluster ?? 'Mesos'}</span>
        </a>
        <nav aria-label="Views">
          <NavLink href="#/" title="Overview" current={route.page === 'overview'} />
          {!past && (
            <NavLink
              href="#/frameworks"
              title="Frameworks"
              count={rows?.frameworks.length}
              current={route.page === 'frameworks' || route.page === 'framework'}
            />
          )}
          <NavLink
            href="#/agents"
            title="Agents"
            count={rows?.agents.length}
            current={route.page === 'agents' || route.page === 'agent'}
          />
          {!past && (
            <NavLink
              href="#/offers"
              title="Offers"
              count={rows?.offers.length}
              current={route.page === 'offers'}
            />
          )}
        </nav>
        <div class="freshness">
          <Freshness feed={feed} />
          {!past && (
            <button type="button" class="quiet" aria-pressed={paused} onClick={onPause}>
              {paused ? 'Resume' : 'Pause'}
            </button>
          )}
        </div>
      </div>
      {state && (
        <dl class="facts">
          <Fact name={past ? 'Led' : 'Leader'}>
            {past && !state.leader ? 'nobody yet' : leaderAddress(state, host)}
          </Fact>
          <Fact name="Version">{state.version}</Fact>
          <Fact name="Master">
            <Id id={state.id} what="master id" />
          </Fact>
          {past ? (
            <Fact name="Log">{past.directory}</Fact>
          ) : (
            <Fact name="Up">
              <Since atMs={state.start_time * 1000} />
            </Fact>
          )}
          {state.elected_time ? (
            <Fact name="Leading for">
              <Since atMs={state.elected_time * 1000} />
            </Fact>
          ) : undefined}
        </dl>
      )}
    </header>
  )
}

function NavLink(props: {
  readonly href: string
  readonly title: string
  readonly count?: number | undefined
  readonly current: boolean
}) {
  const { href, title, count, current } = props
  return (
    <a href={href} aria-current={current ? 'page' : undefined}>
      {title}
      {count !== undefined && (
        <span class="count" title={plural(count, title.toLowerCase().slice(0, -1))}>
          {count}
        </span>
      )}
    </a>
  )
}

export function Fact(props: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  )
}

function Freshness({ feed }: { readonly feed: Feed }) {
  const { kind } = feed.connection
  const words = {
    connecting: 'Connecting',
    live: 'Live',
    paused: 'Paused',
    lost: 'Stale',
    refused: 'Stale',
    standby: 'Standby',
  }
  const isPast = feed.state?.past !== undefined && kind === 'live'
  return (
    <span class={`fresh ${isPast ? 'past' : kind}`} role="status">
      {isPast ? 'Past' : words[kind]}
    </span>
  )
}

function Mark() {
  return (
    <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <path class="mark-body" d="M12 1l9.5 5.5v11L12 23l-9.5-5.5v-11z" />
      <path class="mark-lines" d="M12 12V4.6M12 12l6.4 3.7M12 12l-6.4 3.7" />
    </svg>
  )
}
