// Runs the tests: each file under plain node, as many at once as there are cores. tap's own runner would do the
// same, but costs as much again per file for loaders that built files do not need (docs/hacking.md has the figures).

import { availableParallelism } from 'node:os'
import { prebuild } from './build.js'
import { runChecks } from './check.js'
import { ensureChromium } from './chromium.js'
import { Failure, filesBelow } from './run.js'
import { setup } from './setup.js'
import { runFile } from './test-file.js'

/** @typedef {import('./test-file.js').FileResult} FileResult */

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
    // Commands that do not build are a failure; but tests of modules say where the fault is, so they run all the same.
    await setup().catch(error => broken.push(`build of dist/: ${messageOf(error)}`))
    await prebuild()
    if (wanted.length === 0) ensureChromium()
    if (wanted.length === 0) broken.push(...(await runChecks()).failed)
    results = await runFiles(select(wanted), { snapshot })
  } catch (error) {
    broken.push(messageOf(error))
  }
  return summarize(results, broken)
}

/** @param {unknown} error */
function messageOf(error) {
  if (error instanceof Failure) return error.message
  throw error
}

/** @param {string[]} wanted */
export function select(wanted) {
  const files = filesBelow('test').filter(file => /\.test\.tsx?$/.test(file))
  if (wanted.length === 0) return files
  const selected = files.filter(file => wanted.some(part => file.includes(part)))
  if (selected.length === 0)
    throw new Failure(`No test file's name has ${wanted.join(' or ')} in it.`)
  return selected
}

/**
 * @param {string[]} files
 * @param {{ snapshot?: boolean, coverage?: string }} options as `runFile` has them
 */
export async function runFiles(files, options) {
  // Tests with real processes take longest: started first, they do not leave one core idle at the end.
  const isSlow = (/** @type {string} */ file) => Number(file.startsWith('test/process/'))
  const queue = [...files].sort((a, b) => isSlow(b) - isSlow(a))
  /** @type {FileResult[]} */
  const results = []
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file, options)
      results.push(result)
      print(result)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return results
}

/** @param {FileResult} result */
function print({ file, ms, passed, failed, skipped, reports }) {
  const counts = [
    `${passed} passed`,
    failed > 0 ? `${failed} failed` : '',
    skipped.length > 0 ? `${skipped.length} skipped` : '',
    `${(ms / 1000).toFixed(1)} s`,
  ]
  const verdict = failed > 0 ? 'FAIL' : 'ok  '
  process.stdout.write(`${verdict} ${file} (${counts.filter(Boolean).join(', ')})\n`)
  for (const report of reports) process.stdout.write(`${report}\n`)
}

/**
 * The last line is for machines as well as people: `N passed, N failed[, N skipped]`.
 * @param {FileResult[]} results
 * @param {string[]} broken checks that failed; each counts as one failure
 */
export function summarize(results, broken) {
  let [passed, failed, skipped] = [0, broken.length, 0]
  let text = '\n'
  for (const result of results) {
    passed += result.passed
    failed += result.failed
    skipped += result.skipped.length
    for (const { name, reason } of result.skipped)
      text += `Skipped: ${result.file}: ${name}: ${reason}\n`
  }
  for (const { file } of results.filter(it => it.failed > 0)) text += `Failed: ${file}\n`
  for (const name of broken) text += `Failed: ${name}\n`
  text += `${passed} passed, ${failed} failed`
  if (skipped > 0) text += `, ${skipped} skipped`
  process.stdout.write(`${text}\n`)
  return failed === 0 ? 0 : 1
}
