// Two builds by esbuild. `build` makes dist/: one bundled file a command, and the dashboard's page. `prebuild` makes
// build/: one output a module, for tests and benchmarks, so that coverage and stack traces map to the sources.

import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, extname, join } from 'node:path'
import { Failure, filesBelow, root } from './run.js'

const STAMP = 'dist/.sources'

/** Entry points are found, not listed: a new command needs a new file and nothing here. */
export function binaries() {
  /** @type {Record<string, string>} from the output's path in dist/, without `.js`, to the source */
  const entries = {}
  for (const file of filesBelow('src/cli')) {
    if (/^src\/cli\/bin\/[^/]+\.ts$/.test(file)) entries[basename(file, '.ts')] = file
    if (file === 'src/cli/start.ts') entries['start'] = file
  }
  for (const file of filesBelow('examples')) {
    if (/^examples\/[^/]+\/(main|executor)\.ts$/.test(file))
      entries[file.slice(0, -'.ts'.length)] = file
  }
  return entries
}

/** Whether dist/ was built from the sources as they are now. */
export function isCurrent() {
  try {
    return readFileSync(join(root, STAMP), 'utf8') === fingerprint()
  } catch {
    return false
  }
}

/** Builds dist/. Outputs of an earlier build that have no source any more are removed. */
export async function build() {
  const started = performance.now()
  const stamp = fingerprint()
  const outputs = await bundling(async () => [...(await buildBinaries()), ...(await buildPage())])
  const keep = new Set(outputs)
  for (const file of filesBelow('dist')) if (!keep.has(file)) rmSync(join(root, file))
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(join(root, STAMP), stamp)
  const ms = Math.round(performance.now() - started)
  process.stderr.write(`Built dist/ in ${ms} ms\n`)
}

async function buildBinaries() {
  const each = Object.entries(binaries()).map(([name, source]) => buildBinary(name, source))
  return (await Promise.all(each)).flat()
}

/**
 * One command. They are bundled one by one: taken together, what some of them share would be scattered over dozens of
 * small files, each of which costs time at the start.
 * @param {string} name
 * @param {string} source
 */
async function buildBinary(name, source) {
  const outputs = await bundle({
    entryPoints: { [name]: source },
    outdir: 'dist',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    bundle: true,
    // What a command imports later stays in files of its own, which `--help` or a refusal never reads. They lie beside
    // the commands, because modules look for other parts of dist/ relative to their own place.
    splitting: true,
    chunkNames: '[name]-[hash]',
    sourcemap: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    // msgpackr's native helper is an optional add-on: found in node_modules it is used, otherwise done without.
    external: ['msgpackr-extract'],
    // pino and ws are CommonJS; inside an ES module they still need a `require` for Node's own modules.
    banner: {
      js:
        '#!/usr/bin/env node\n' +
        "import { createRequire as __createRequire } from 'node:module'\n" +
        'const require = __createRequire(import.meta.url)',
    },
  })
  chmodSync(join(root, `dist/${name}.js`), 0o755)
  return outputs
}

async function buildPage() {
  const files = filesBelow('src/web/page')
  if (!files.includes('src/web/page/main.tsx')) return []
  const outputs = await bundle({
    entryPoints: { page: 'src/web/page/main.tsx' },
    outdir: 'dist/web',
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    bundle: true,
    minify: true,
    sourcemap: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
  })
  for (const file of files) {
    if (!['.html', '.css', '.svg'].includes(extname(file))) continue
    const copy = join('dist/web', basename(file))
    copyFileSync(join(root, file), join(root, copy))
    outputs.push(copy)
  }
  return outputs
}

/** Builds every module of src, test, bench and examples into build/, each on its own. */
export async function prebuild() {
  const entryPoints = ['src', 'test', 'bench', 'examples']
    .flatMap(filesBelow)
    .filter(
      file => /\.tsx?$/.test(file) && !file.endsWith('.d.ts') && !file.startsWith('test/types/'),
    )
  const outputs = new Set(
    await bundling(() =>
      bundle({
        entryPoints,
        outdir: 'build',
        outbase: '.',
        platform: 'node',
        format: 'esm',
        target: 'node20',
        bundle: true,
        packages: 'external',
        sourcemap: true,
        jsx: 'automatic',
        jsxImportSource: 'preact',
        plugins: [
          {
            // esbuild keeps the specifiers of what it does not bundle, and the outputs are named .js
            name: 'ts-to-js',
            setup: on =>
              on.onResolve({ filter: /^\.{1,2}\/.*\.tsx?$/ }, args =>
                args.kind === 'entry-point'
                  ? undefined
                  : { path: args.path.replace(/\.tsx?$/, '.js'), external: true },
              ),
          },
        ],
      }),
    ),
  )
  // A test whose source is gone must not go on passing.
  for (const folder of ['src', 'test', 'bench', 'examples']) {
    for (const file of filesBelow(`build/${folder}`))
      if (!outputs.has(file)) rmSync(join(root, file))
  }
}

/**
 * Runs `bundle` as often as `work` does, with one service that ends with it: it would keep this process' children alive.
 * @param {() => Promise<string[]>} work
 */
async function bundling(work) {
  try {
    return await work()
  } finally {
    await (await import('esbuild')).stop()
  }
}

/**
 * Runs esbuild and gives the paths of what it wrote, relative to the top.
 * @param {import('esbuild').BuildOptions} options
 * @returns {Promise<string[]>}
 */
async function bundle(options) {
  const esbuild = await import('esbuild')
  try {
    const { metafile } = await esbuild.build({
      ...options,
      absWorkingDir: root,
      metafile: true,
      logLevel: 'warning',
    })
    return Object.keys(metafile?.outputs ?? {})
  } catch (error) {
    if (error instanceof Error && 'errors' in error)
      throw new Failure('esbuild found errors, see above')
    throw error
  }
}

/** A hash over path, size and time of change of everything that dist/ is made from. */
function fingerprint() {
  const hash = createHash('sha256')
  const files = [
    ...filesBelow('src'),
    ...filesBelow('examples'),
    'package.json',
    'package-lock.json',
    'scripts/dev/build.js',
  ]
  for (const file of files) {
    const { size, mtimeMs } = statSync(join(root, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}
