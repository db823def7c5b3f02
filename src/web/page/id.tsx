// A long id, shortened; whole on hover, copied by its button.

import { useEffect, useState } from 'preact/hooks'
import { browserWorld, copyText } from './browser.ts'
import { shortId } from './format.ts'

export interface IdProps {
  readonly id: string
  /** For the button's name: `agent id`. */
  readonly what: string
  readonly href?: string
}

export function Id({ id, what, href }: IdProps) {
  const text = (
    <span class="id" title={id}>
      {shortId(id)}
    </span>
  )
  return (
    <span class="with-copy">
      {href ? <a href={href}>{text}</a> : text}
      <CopyButton text={id} what={what} />
    </span>
  )
}

function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [outcome, setOutcome] = useState('')
  useEffect(() => {
    if (!outcome) return undefined
    const timer = browserWorld.delay(1500, () => setOutcome(''))
    return () => timer.cancel()
  }, [outcome])
  return (
    <button
      type="button"
      class="copy"
      title={outcome || `Copy the ${what}`}
      aria-label={`Copy the ${what} ${text}`}
      onClick={() => {
        void copyText(text).then(copied => setOutcome(copied ? 'Copied' : 'Not copied'))
      }}
    >
      {outcome ? <span role="status">{outcome}</span> : <CopyMark />}
    </button>
  )
}

function CopyMark() {
  return (
    <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <path d="M5 5V2h9v9h-3M2 5h9v9H2z" />
    </svg>
  )
}
