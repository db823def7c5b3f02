// Runs one test file under plain node and reads its TAP with tap's own parser.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Parser } from 'tap-parser'
import { endGroup, groupOf } from './process-group.js'
import { root } from './run.js'

/** tap itself ends a test that takes longer, and says which one. The longest takes 30 s on a quiet machine. */
const FILE_TIMEOUT_S = 240
/** If tap cannot, being busy or blocked, SIGTERM makes it report what was running; after the second time it is killed. */
const GRACE_MS = 10_000
/** What a test ended without waiting for has this long to be gone. */
const LEAVING_MS = 1_000

/**
 * @typedef {object} FileResult
 * @property {string} file the source, `test/….test.ts`
 * @property {number} ms
 * @property {number} passed tests, where a test is a `t.test` at the file's top level, or a bare assertion there
 * @property {number} failed
 * @property {{ name: string, reason: string }[]} skipped
 * @property {string[]} reports one text a failure
 */

/** @type {Set<number>} process groups of the files that run now */
const running = new Set()

// The groups do not hear the terminal's Ctrl-C themselves.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    for (const group of running) endGroup(group)
    process.exit(1)
  })
}

/** Node has noted the folder before this runs; what the test starts is not to hear of it. */
const FORGET = 'data:text/javascript,delete process.env.NODE_V8_COVERAGE'

/**
 * @param {string} file
 * @param {{ snapshot?: boolean, coverage?: string }} options `coverage`: the folder where V8 is to leave what was reached
 * @returns {Promise<FileResult>}
 */
export async function runFile(file, { snapshot = false, coverage }) {
  const started = performance.now()
  const built = join('build', file.replace(/\.tsx?$/, '.js'))
  // A whole simulated cluster makes short-lived objects faster than the default size of their space is meant for.
  const flags = ['--enable-source-maps', '--max-semi-space-size=64']
  if (coverage) flags.push('--import', FORGET)
  const child = spawn(process.execPath, [...flags, built], {
    cwd: root,
    detached: true, // a process group of its own: whatever the test leaves running can be found and ended
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      TAP: '1',
      TAP_TIMEOUT: String(FILE_TIMEOUT_S),
      ...(snapshot ? { TAP_SNAPSHOT: '1' } : {}),
      ...(coverage ? { NODE_V8_COVERAGE: coverage } : {}),
    },
  })
  const group = /** @type {number} */ (child.pid)
  running.add(group)

  /** @type {FileResult} */
  const result = { file, ms: 0, passed: 0, failed: 0, skipped: [], reports: [] }
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => (errors += text))
  /** @type {import('tap-parser').FinalResults | undefined} */
  let summary
  const parser = new Parser(final => {
    summary = final
  })
  listen(parser, result)
  child.stdout.on('data', chunk => parser.write(chunk)).on('end', () => parser.end())

  const timers = [
    setTimeout(() => child.kill('SIGTERM'), FILE_TIMEOUT_S * 1000 + GRACE_MS),
    setTimeout(() => endGroup(group), FILE_TIMEOUT_S * 1000 + 2 * GRACE_MS),
  ]
  const closed = once(child, 'close')
  const [status, signal] = await once(child, 'exit')
  for (const timer of timers) clearTimeout(timer)
  // A process that holds the test's output open would hold back `close` too: first see who is left.
  const left = await leftBehind(group)
  // Nor may one that has left the group: it is not waited for.
  await Promise.race([closed, new Promise(resolve => setTimeout(resolve, GRACE_MS).unref())])
  child.stdout?.destroy()
  child.stderr?.destroy()
  running.delete(group)

  result.ms = performance.now() - started
  if (signal === null && left.length > 0) {
    fail(result, `left running after its end: ${left.join(', ')}`)
  }
  if (result.failed === 0) {
    if (signal) fail(result, `ended by ${signal} after ${Math.round(result.ms / 1000)} s`)
    else if (status !== 0 || !summary?.ok)
      fail(result, `exit status ${status}; ${problems(summary)}`)
    else if (result.passed + result.skipped.length === 0) fail(result, 'has no test')
  }
  if (result.failed > 0 && errors.trim()) result.reports.push(indent(errors.trim()))
  return result
}

/**
 * Ends what is still alive of a test's processes.
 * @param {number} group
 * @returns {Promise<string[]>} their command lines
 */
async function leftBehind(group) {
  let left = groupOf(group)
  for (let waited = 0; left.length > 0 && waited < LEAVING_MS; waited += 50) {
    await sleep(50)
    left = groupOf(group)
  }
  endGroup(group)
  return left
}

/**
 * Counts the file's top-level tests, and collects what failed or was skipped at any depth.
 * @param {Parser} parser
 * @param {FileResult} result
 */
function listen(parser, result) {
  parser.on('assert', point => {
    if (point.skip) return
    if (point.ok || point.todo) result.passed += 1
    else result.failed += 1
  })
  const nested = (/** @type {Parser} */ inner) => {
    inner.on('child', nested)
    inner.on('assert', point => {
      if (point.skip) {
        const reason = typeof point.skip === 'string' ? point.skip : 'no reason given'
        result.skipped.push({ name: point.fullname, reason })
      } else if (!point.ok && !point.todo && !point.closingTestPoint) {
        result.reports.push(describe(point))
      }
    })
    inner.on('bailout', reason => fail(result, `bailed out: ${reason}`))
  }
  nested(parser)
}

/** @param {import('tap-parser').Result} point */
function describe(point) {
  const { diff, at, stack, source, ...rest } = point.diag ?? {}
  const details = [
    at ? `${at.fileName}:${at.lineNumber}:${at.columnNumber}` : '',
    source,
    diff,
    stack,
    Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '',
  ]
  const lines = details.filter(Boolean).map(text => indent(String(text).trimEnd()))
  return indent([point.fullname, ...lines].join('\n'))
}

/** @param {import('tap-parser').FinalResults | undefined} summary */
function problems(summary) {
  const errors = summary?.failures.map(it => ('tapError' in it ? it.tapError : '')).filter(Boolean)
  return errors && errors.length > 0 ? errors.join('; ') : 'no result'
}

/**
 * @param {FileResult} result
 * @param {string} why
 */
function fail(result, why) {
  result.failed += 1
  result.reports.push(indent(why))
}

/** @param {string} text */
function indent(text) {
  return text.replace(/^(?=.)/gm, '  ')
}
