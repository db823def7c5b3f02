// Under the header, when the page shows the past: says so, and moves through it.

import { useEffect } from 'preact/hooks'
import { formatIso } from './format.ts'
import { Ago } from './now.tsx'
import { afterKey, clamp } from './past.ts'
import type { Past } from './state.ts'

export interface PastBarProps {
  /** What is shown. */
  readonly past: Past
  /** What was asked for last; it may not have come yet. */
  readonly wanted: number | undefined
  readonly onGo: (position: number) => void
}

export function PastBar({ past, wanted, onGo }: PastBarProps) {
  const { first, last } = past
  const at = clamp(wanted ?? past.position, past)
  useKeys(at, past, onGo)
  const step = (title: string, mark: string, to: number) => (
    <button
      type="button"
      aria-label={title}
      title={title}
      disabled={clamp(to, past) === at}
      onClick={() => onGo(clamp(to, past))}
    >
      {mark}
    </button>
  )
  return (
    <section class="past-bar" aria-label="The past">
      <p>
        <strong>This is the past, not the live cluster.</strong> The registry as it was after
        position {past.position} of the log, {formatIso(past.time_ms)} (<Ago atMs={past.time_ms} />
        ). Nothing can be changed here.
      </p>
      <div class="slider">
        {step('First position', '«', first)}
        {step('Previous position', '‹', at - 1)}
        <input
          type="range"
          aria-label="Position in the log"
          aria-valuetext={`position ${at} of ${first} to ${last}`}
          min={first}
          max={last}
          step={1}
          value={at}
          onInput={event => onGo(Number(event.currentTarget.value))}
          // All keys are below, for the whole page: here they would count twice.
          onKeyDown={event => afterKey(event.key, at, past) !== undefined && event.preventDefault()}
        />
        {step('Next position', '›', at + 1)}
        {step('Last position', '»', last)}
        <label>
          Position{' '}
          <input
            type="number"
            min={first}
            max={last}
            value={at}
            onChange={event => {
              const { value } = event.currentTarget
              if (/^\d+$/.test(value)) onGo(clamp(Number(value), past))
              event.currentTarget.value = String(clamp(Number(value) || at, past))
            }}
          />{' '}
          of {first} to {last}
        </label>
      </div>
      <Operations past={past} />
    </section>
  )
}

/** Arrow keys and their kin move wherever the focus is, except where one writes. */
function useKeys(at: number, past: Past, onGo: (position: number) => void): void {
  useEffect(() => {
    const move = (event: KeyboardEvent) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return
      const field = event.target
      if (field instanceof HTMLInputElement && field.type !== 'range') return
      // The page scrolls with these, unless the slider has the focus.
      const onSlider = field instanceof HTMLInputElement
      if (!onSlider && !event.key.startsWith('Arrow')) return
      const to = afterKey(event.key, at, past)
      if (to === undefined) return
      event.preventDefault()
      onGo(to)
    }
    document.addEventListener('keydown', move)
    return () => document.removeEventListener('keydown', move)
  }, [at, past, onGo])
}

/** What was written at this position. */
function Operations({ past }: { readonly past: Past }) {
  const { operations, more_operations: more, position, written_at: writtenAt } = past
  if (operations.length === 0) {
    return (
      <p class="operation">
        Nothing was written to the registry at position {position}; the last write before it is at{' '}
        {writtenAt}.
      </p>
    )
  }
  return (
    <ol class="operations" aria-label={`Written at position ${position}`}>
      {operations.map((operation, index) => (
        <li key={index} class="operation">
          <strong>{operation.what}</strong>
          {!operation.learned && <em> (not known to be chosen)</em>}
          <span class="who">by {operation.who}</span>
          <ul>
            {operation.changes.map(change => (
              <li key={change} class={toneOf(change)}>
                {change}
              </li>
            ))}
            {operation.more_changes > 0 && <li>… and {operation.more_changes} more</li>}
          </ul>
        </li>
      ))}
      {more > 0 && <li class="operation">… and {more} more operations</li>}
    </ol>
  )
}

function toneOf(change: string): string {
  return change.startsWith('+') ? 'added' : change.startsWith('-') ? 'removed' : 'changed'
}
