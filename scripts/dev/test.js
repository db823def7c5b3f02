// Runs the tests: each file under plain node, as many at once as there are cores, its TAP read by tap's own parser.
// tap's runner would do the same, but costs as much again per file for loaders that built files do not need
// (docs/hacking.md has the figures).

import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Parser } from 'tap-parser'
import { prebuild } from './build.js'
import { runChecks } from './check.js'
import { Failure, filesBelow, root } from './run.js'

const FILE_TIMEOUT_MS = 120_000
/** tap answers SIGTERM with a report of what was still running; it gets this long for it. */
const REPORT_MS = 5_000

/**
 * @typedef {object} FileResult
 * @property {string} file the source, `test/….test.ts`
 * @property {number} ms
 * @property {number} passed tests, where a test is a `t.test` at the file's top level, or a bare assertion there
 * @property {number} failed
 * @property {{ name: string, reason: string }[]} skipped
 * @property {string[]} reports one text a failure
 */

/**
 * @param {string[]} args names of test files or parts of them; none: all tests, after all checks. `--snapshot`
 *   records the snapshots anew.
 * @returns {Promise<number>} the exit status
 */
export async function test(args) {
  const wanted = args.filter(arg => !arg.startsWith('--'))
  const snapshot = args.includes('--snapshot')
  /** @type {string[]} */
  const broken = []
  /** @type {FileResult[]} */
  let results = []
  try {
    await prebuild()
    if (wanted.length === 0) broken.push(...(await runChecks()).failed)
    results = await runFiles(select(wanted), snapshot)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    process.stdout.write(`\n${error.message}\n`)
    broken.push('build')
  }
  return summarize(results, broken)
}

/** @param {string[]} wanted */
function select(wanted) {
  const files = filesBelow('test').filter(file => /\.test\.tsx?$/.test(file))
  const selected =
    wanted.length === 0 ? files : files.filter(file => wanted.some(part => file.includes(part)))
  if (selected.length === 0)
    throw new Failure(`No test file matches ${wanted.join(', ') || 'test/**/*.test.ts'}.`)
  return selected
}

/**
 * @param {string[]} files
 * @param {boolean} snapshot
 */
async function runFiles(files, snapshot) {
  // Tests with real processes take longest: started first, they do not leave one core idle at the end.
  const queue = [...files].sort(
    (a, b) => Number(b.includes('/process/')) - Number(a.includes('/process/')),
  )
  /** @type {FileResult[]} */
  const results = []
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file, snapshot)
      results.push(result)
      print(result)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return results
}

/**
 * @param {string} file
 * @param {boolean} snapshot
 * @returns {Promise<FileResult>}
 */
function runFile(file, snapshot) {
  const started = performance.now()
  const built = join('build', file.replace(/\.tsx?$/, '.js'))
  // A process group of its own: whatever the test leaves running can be found and ended.
  const child = spawn(process.execPath, ['--enable-source-maps', built], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      TAP: '1',
      TAP_TIMEOUT: String(FILE_TIMEOUT_MS / 1000),
      ...(snapshot ? { TAP_SNAPSHOT: '1' } : {}),
    },
  })
  running.add(child)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => (errors += text))
  /** @type {FileResult} */
  const result = { file, ms: 0, passed: 0, failed: 0, skipped: [], reports: [] }
  /** @type {NodeJS.Timeout | undefined} */
  let killer
  const timer = setTimeout(() => {
    child.kill('SIGTERM')
    killer = setTimeout(() => endGroup(child), REPORT_MS)
  }, FILE_TIMEOUT_MS)

  return new Promise(resolve => {
    const parser = new Parser(final => {
      summary = final
    })
    /** @type {import('tap-parser').FinalResults | undefined} */
    let summary
    listen(parser, result)
    child.stdout.on('data', chunk => parser.write(chunk)).on('end', () => parser.end())
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      clearTimeout(killer)
      running.delete(child)
      if (endGroup(child)) fail(result, 'left processes running after its end')
      if (result.failed === 0 && (status !== 0 || !summary?.ok)) {
        const problems = summary?.failures
          .map(it => ('tapError' in it ? it.tapError : ''))
          .filter(Boolean)
        const how = signal ? `ended by ${signal}` : `exit status ${status}`
        fail(result, [how, ...(problems ?? [])].join('\n'))
      }
      if (result.failed > 0 && errors.trim()) result.reports.push(indent(errors.trim()))
      result.ms = performance.now() - started
      resolve(result)
    })
  })
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
  const place = at ? `${at.fileName}:${at.lineNumber}:${at.columnNumber}` : ''
  const details = [
    place,
    source,
    diff,
    stack,
    Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '',
  ]
  return indent(
    [point.fullname, ...details.filter(Boolean).map(text => indent(String(text).trimEnd()))].join(
      '\n',
    ),
  )
}

/**
 * @param {FileResult} result
 * @param {string} why
 */
function fail(result, why) {
  result.failed += 1
  result.reports.push(indent(why))
}

/** @param {FileResult} result */
function print({ file, ms, passed, failed, skipped, reports }) {
  const seconds = `${(ms / 1000).toFixed(1)} s`
  const counts = [
    `${passed} passed`,
    failed && `${failed} failed`,
    skipped.length && `${skipped.length} skipped`,
  ]
  process.stdout.write(
    `${failed ? 'FAIL' : 'ok  '} ${file} (${counts.filter(Boolean).join(', ')}, ${seconds})\n`,
  )
  for (const report of reports) process.stdout.write(`${report}\n`)
}

/**
 * The last line is for machines as well as people: `N passed, N failed[, N skipped]`.
 * @param {FileResult[]} results
 * @param {string[]} broken checks that failed; each counts as one failure
 */
function summarize(results, broken) {
  const sum = (/** @type {(result: FileResult) => number} */ of) =>
    results.reduce((n, it) => n + of(it), 0)
  const skipped = results.flatMap(({ file, skipped: points }) =>
    points.map(point => ({ file, ...point })),
  )
  const failed = sum(it => it.failed) + broken.length
  let text = '\n'
  for (const { file, name, reason } of skipped) text += `Skipped: ${file}: ${name}: ${reason}\n`
  for (const { file } of results.filter(it => it.failed > 0)) text += `Failed: ${file}\n`
  for (const name of broken) text += `Failed: ${name}\n`
  text += `${sum(it => it.passed)} passed, ${failed} failed`
  if (skipped.length > 0) text += `, ${skipped.length} skipped`
  process.stdout.write(`${text}\n`)
  return failed === 0 ? 0 : 1
}

/** @param {string} text */
function indent(text) {
  return text.replace(/^(?=.)/gm, '  ')
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

/**
 * Kills what is left of a test's process group.
 * @param {import('node:child_process').ChildProcess} child
 * @returns {boolean} whether there was anything
 */
function endGroup({ pid }) {
  if (pid === undefined) return false
  try {
    return process.kill(-pid, 'SIGKILL')
  } catch {
    return false // ESRCH: nothing is left
  }
}

// The groups do not hear the terminal's Ctrl-C themselves.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    for (const child of running) endGroup(child)
    process.exit(1)
  })
}
