// The dashboard's files, read from dist/web beside the running program and served from memory.

import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HttpResponse } from '../actors/http.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.map': 'application/json',
}

/** Where the bundled programs have it. */
export const dashboardDirectory = fileURLToPath(new URL('./web/', import.meta.url))

/** Responses by path: `/` is the page. Empty if there is no dashboard in `directory`. */
export function dashboard(directory: string): ReadonlyMap<string, HttpResponse> {
  const out = new Map<string, HttpResponse>()
  let names: readonly string[]
  try {
    names = readdirSync(directory)
  } catch {
    return out
  }
  for (const name of names) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const response = {
      status: 200,
      // Programs and page are replaced together, so a browser asks each time.
      headers: { 'content-type': type, 'cache-control': 'no-cache' },
      body: readFileSync(join(directory, name)),
    }
    out.set(`/${name}`, response)
    if (name === 'index.html') out.set('/', response)
  }
  return out
}
