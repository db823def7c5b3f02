// The real world of the page: the browser's clock, timers, requests, clipboard and address.

import type { Reply, World } from './world.ts'

/**
 * A master that accepts a connection and then says nothing is as lost as one that does not answer.
 */
const headersTimeoutMs = 8_000
/** Large states over slow lines take their time, but not for ever. */
const bodyTimeoutMs = 60_000

export const browserWorld: World = {
  now: () => Date.now(),
  delay(ms, fn) {
    const id = setTimeout(fn, ms)
    return { cancel: () => clearTimeout(id) }
  },
  async get(path, headers = {}) {
    const abort = new AbortController()
    let timer = setTimeout(() => abort.abort(), headersTimeoutMs)
    try {
      // `no-store`: the browser's cache would answer If-None-Match itself, and hide a 304.
      const response = await fetch(path, {
        headers,
        cache: 'no-store',
        // What leads to another master has the status 0 then.
        redirect: 'manual',
        signal: abort.signal,
      })
      clearTimeout(timer)
      timer = setTimeout(() => abort.abort(), bodyTimeoutMs)
      const body = await response.text()
      return replyOf(response, body)
    } finally {
      clearTimeout(timer)
    }
  },
}

function replyOf(response: Response, body: string): Reply {
  const date = Date.parse(response.headers.get('Date') ?? '')
  return {
    status: response.status,
    etag: response.headers.get('ETag') ?? undefined,
    serverTimeMs: Number.isNaN(date) ? undefined : date,
    json: async () => JSON.parse(body) as unknown,
    text: async () => body,
  }
}

/** Puts text on the clipboard; resolves to whether that worked. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Browsers give `navigator.clipboard` to https and localhost only, and masters are mostly plain
    // http.
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const focused = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'visually-hidden'
  document.body.append(area)
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return copied
}
