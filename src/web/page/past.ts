// Moving about in the past: positions of the log in the page's address, and what keys do. Pure.

import type { Past } from './state.ts'

/** The position in an address' `?…`; undefined if there is none. */
export function positionIn(search: string): number | undefined {
  const text = new URLSearchParams(search).get('position') ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

export function searchAt(position: number): string {
  return `?position=${position}`
}

/** What to ask the master for. A master that shows the present takes no notice of a position. */
export function pathAt(position: number | undefined): string {
  return position === undefined ? 'state' : `state${searchAt(position)}`
}

export function clamp(position: number, { first, last }: Past): number {
  return Math.min(Math.max(position, first), last)
}

/** Where a key leads from a position; undefined for a key that leads nowhere. */
export function afterKey(key: string, from: number, past: Past): number | undefined {
  const { first, last } = past
  const page = Math.max(1, Math.round((last - first) / 20))
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    PageDown: -page,
    PageUp: page,
    Home: first - from,
    End: last - from,
  }
  const step = steps[key]
  return step === undefined ? undefined : clamp(from + step, past)
}
