// Which lines and branches of src the tests do not reach. V8 counts while the tests run as they always do, each file
// under plain node; tap's own reporter maps the counts to the sources, which tap's runner would not. The processes that
// a test starts are not counted.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { prebuild } from './build.js'
import { capture, Failure, filesBelow, root } from './run.js'
import { setup } from './setup.js'
import { runFiles, select, summarize } from './test.js'

/** Here every line is reached, or says in a `c8 ignore` comment why it cannot be. */
const COMPLETE = ['src/actors', 'src/sim']
/** What `--check` runs without names: the tests of the rooms in COMPLETE, and those that stand on the simulator. */
const CHECKED_BY = [
  'test/actors/',
  'test/sim/',
  'test/cluster/',
  'test/log/',
  'test/agent/',
  'test/master/',
]

const COUNTS = '.tap/coverage'
const REPORT = '.tap/report/coverage-final.json'

/** @typedef {{ start: { line: number, column: number }, end: { line: number, column: number } }} Range */
/**
 * @typedef {object} FileCounts as istanbul has them
 * @property {Record<string, Range>} statementMap here one a line
 * @property {Record<string, number>} s
 * @property {Record<string, { loc: Range }>} branchMap
 * @property {Record<string, number[]>} b
 */
/**
 * @typedef {object} Row
 * @property {string} file
 * @property {number} lines
 * @property {number[]} missedLines
 * @property {number} branches
 * @property {string[]} missedBranches `line:column`, of the branches on lines that are reached themselves
 */

/**
 * @param {string[]} args names of test files or parts of them; none: all tests. `--check`: fail if a line in the rooms
 *   of COMPLETE is not reached. Other rooms' figures are then left out.
 * @returns {Promise<number>} the exit status
 */
export async function coverage(args) {
  const check = args.includes('--check')
  const named = args.filter(arg => !arg.startsWith('--'))
  const wanted = named.length === 0 && check ? CHECKED_BY : named
  await setup()
  await prebuild()
  rmSync(join(root, COUNTS), { recursive: true, force: true })
  rmSync(join(root, REPORT), { force: true })
  mkdirSync(join(root, COUNTS), { recursive: true })
  const results = await runFiles(select(wanted), { coverage: join(root, COUNTS) })

  keepModules()
  const { status, output } = await capture('node_modules/.bin/tap', [
    'report',
    'json',
    '--allow-incomplete-coverage',
    '--allow-empty-coverage',
  ])
  if (status !== 0) throw new Failure(`tap could not report what was reached:\n${output}`)
  const reached = readRows()
  const all = named.length > 0 ? reached : [...reached, ...unloaded(reached)].sort(byFile)
  const rows = all.filter(row => !check || inComplete(row))
  print(rows)

  const short = check ? rows.filter(row => row.missedLines.length > 0) : []
  const broken = short.map(
    row => `${row.file}: lines ${spans(row.missedLines)} are not reached by a test`,
  )
  return summarize(results, broken)
}

/** @param {Row} row */
function inComplete({ file }) {
  return COMPLETE.some(folder => file.startsWith(`${folder}/`))
}

/** Leaves out what packages and the tests themselves reached: mapping it takes longer than all else. */
function keepModules() {
  const modules = pathToFileURL(join(root, 'build/src/')).href
  for (const name of readdirSync(join(root, COUNTS))) {
    const path = join(root, COUNTS, name)
    const counts = JSON.parse(readFileSync(path, 'utf8'))
    counts.result = counts.result.filter((/** @type {{ url: string }} */ { url }) =>
      url.startsWith(modules),
    )
    if (counts.result.length > 0) writeFileSync(path, JSON.stringify(counts))
    else rmSync(path)
  }
}

/** @returns {Row[]} */
function readRows() {
  /** @type {Record<string, FileCounts>} */
  const files = JSON.parse(readFileSync(join(root, REPORT), 'utf8'))
  return Object.entries(files)
    .map(([path, counts]) => row(relative(root, path).replace(/^build\//, ''), counts))
    .sort(byFile)
}

/**
 * @param {Row} a
 * @param {Row} b
 */
function byFile(a, b) {
  return a.file < b.file ? -1 : 1
}

/**
 * V8 says nothing of modules that no test loads. One that has only types is none when it is built.
 * @param {readonly Row[]} reached
 * @returns {Row[]}
 */
function unloaded(reached) {
  const known = new Set(reached.map(({ file }) => file.replace(/\.tsx?$/, '.js')))
  return filesBelow('build/src')
    .filter(path => path.endsWith('.js') && !known.has(path.slice('build/'.length)))
    .flatMap(path => {
      const code = readFileSync(join(root, path), 'utf8').replace(/^\/\/# .*$/gm, '')
      if (code.trim() === '') return []
      const stem = path.slice('build/'.length, -'.js'.length)
      const file = existsSync(join(root, `${stem}.ts`)) ? `${stem}.ts` : `${stem}.tsx`
      const lines = readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length
      const missedLines = Array.from({ length: lines }, (_, i) => i + 1)
      return [{ file, lines, missedLines, branches: 0, missedBranches: [] }]
    })
}

/**
 * @param {string} file
 * @param {FileCounts} counts
 * @returns {Row}
 */
function row(file, { statementMap, s, branchMap, b }) {
  const missedLines = Object.entries(statementMap)
    .filter(([id]) => s[id] === 0)
    .map(([, { start }]) => start.line)
  const missed = new Set(missedLines)
  const missedBranches = Object.entries(branchMap)
    .filter(([id, { loc }]) => b[id]?.includes(0) && !missed.has(loc.start.line))
    .map(([, { loc }]) => `${loc.start.line}:${loc.start.column + 1}`)
  const lines = Object.keys(statementMap).length
  return { file, lines, missedLines, branches: Object.keys(branchMap).length, missedBranches }
}

/**
 * Folders with their figures, each followed by its files that have something missed.
 * @param {Row[]} rows
 */
function print(rows) {
  let text = '\n'
  for (const folder of new Set(rows.map(({ file }) => dirname(file)))) {
    const own = rows.filter(({ file }) => dirname(file) === folder)
    text += `${folder}: ${figures(own)}\n`
    for (const { file, missedLines, missedBranches } of own) {
      if (missedLines.length > 0) text += `  ${file}: lines ${spans(missedLines)}\n`
      if (missedBranches.length > 0) text += `  ${file}: branches ${missedBranches.join(', ')}\n`
    }
  }
  process.stdout.write(text)
}

/** @param {Row[]} rows */
function figures(rows) {
  let [lines, missedLines, branches, missedBranches] = [0, 0, 0, 0]
  for (const row of rows) {
    lines += row.lines
    missedLines += row.missedLines.length
    branches += row.branches
    missedBranches += row.missedBranches.length
  }
  const percent = ((100 * (lines - missedLines)) / lines).toFixed(2)
  return `${percent} % of ${lines} lines (${missedLines} missed), ${missedBranches} of ${branches} branches missed`
}

/**
 * `[3, 4, 5, 9]` as `3-5, 9`.
 * @param {number[]} lines ascending
 */
function spans(lines) {
  /** @type {[number, number][]} */
  const spans = []
  for (const line of lines) {
    const last = spans.at(-1)
    if (last && last[1] === line - 1) last[1] = line
    else spans.push([line, line])
  }
  return spans.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(', ')
}
