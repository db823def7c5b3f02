// The dashboard as a browser gets it: built in memory, with the very settings that `dist/web` is
// built with.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { build } from 'esbuild'

/** What is served, by path. */
export type BuiltPage = ReadonlyMap<string, { readonly type: string; readonly body: string }>

const folder = resolve('src/web/page')

export async function builtPage(): Promise<BuiltPage> {
  const built = await build({
    entryPoints: [
      { in: resolve(folder, 'main.tsx'), out: 'page' },
      { in: resolve(folder, 'page.css'), out: 'page' },
    ],
    outdir: '/',
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
  })
  const textOf = (path: string) => built.outputFiles.find(file => file.path === path)?.text ?? ''
  return new Map([
    ['/', { type: 'text/html', body: readFileSync(resolve(folder, 'index.html'), 'utf8') }],
    ['/page.js', { type: 'text/javascript', body: textOf('/page.js') }],
    ['/page.css', { type: 'text/css', body: textOf('/page.css') }],
  ])
}
