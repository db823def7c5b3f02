// Says that the picture is old, or that there is none here: why, where there is one, and when the next try is.

import { formatAgo } from './format.ts'
import { useNow } from './now.tsx'
import type { Feed, Leader } from './poller.ts'

export interface BannerProps {
  readonly feed: Feed
  readonly host: string
  readonly onRetry: () => void
}

export function Banner({ feed, host, onRetry }: BannerProps) {
  // Retry times and confirmations are by this machine's clock, the context by the master's.
  const nowMs = useNow() - feed.skewMs
  const { connection } = feed
  if (!('retryAtMs' in connection)) return null
  const seconds = Math.max(0, Math.ceil((connection.retryAtMs - nowMs) / 1000))
  const when = seconds > 0 ? `retrying in ${seconds} s` : 'retrying now'
  return (
    <div class="banner" role="alert">
      <p>
        {connection.kind === 'lost' ? (
          <strong>Cannot reach {host}</strong>
        ) : connection.kind === 'standby' ? (
          <Standby host={host} leader={connection.leader} />
        ) : (
          <>
            <strong>{host} answers, but not with the cluster’s state</strong>:{' '}
            {connection.text || `HTTP ${connection.status}`}
          </>
        )}
        <span class="when"> … {when}.</span>
        {feed.confirmedAtMs !== undefined && (
          <span> What you see is from {formatAgo(feed.confirmedAtMs, nowMs)}.</span>
        )}
      </p>
      <button type="button" onClick={onRetry}>
        Try now
      </button>
    </div>
  )
}

function Standby({ host, leader }: { readonly host: string; readonly leader: Leader | undefined }) {
  if (!leader)
    return (
      <>
        <strong>Nobody leads</strong> at the moment: {host} stands by, and the masters have not
        elected one of them
      </>
    )
  const address = addressOf(leader)
  return (
    <>
      <strong>{host} stands by</strong>; the leading master is {/* The same view there. */}
      <a href={`//${address}/${location.hash}`}>{address}</a>
    </>
  )
}

function addressOf({ hostname, port }: Leader): string {
  return `${hostname.includes(':') ? `[${hostname}]` : encodeURIComponent(hostname)}:${port}`
}
