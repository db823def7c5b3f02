// What is checked without running the product: types, lint, format, all side by side.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root } from './run.js'

/** Each has a world of its own: Node's, the browser's, and the one of the page's tests. */
const TYPE_PROJECTS = ['tsconfig.json', 'src/web/page/tsconfig.json', 'test/web/page/tsconfig.json']

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {string} mend what to run while mending
 * @property {string[]} command a program of node_modules/.bin and its arguments
 */

/** @type {Check[]} */
const CHECKS = [
  ...TYPE_PROJECTS.filter(file => existsSync(join(root, file))).map(typeCheck),
  {
    name: 'lint',
    mend: 'npx oxlint --type-aware',
    command: ['oxlint', '--type-aware', '--deny-warnings', '--format=unix'],
  },
  { name: 'format', mend: 'npm run format', command: ['biome', 'format', '--max-diagnostics=5'] },
]

/**
 * @param {string} project
 * @returns {Check}
 */
function typeCheck(project) {
  // The compiler's memory of its last run makes the next one short.
  const memory = `build/${project.replaceAll('/', '-')}.tsbuildinfo`
  return {
    name: `types (${project})`,
    mend: `npx tsc -p ${project}`,
    command: ['tsc', '-p', project, '--incremental', '--tsBuildInfoFile', memory],
  }
}

/**
 * Runs all checks, prints what failed, and gives the names.
 * @returns {Promise<{ failed: string[] }>}
 */
export async function runChecks() {
  const results = await Promise.all(
    CHECKS.map(async ({ name, mend, command: [program = '', ...args] }) => ({
      name,
      mend,
      ...(await capture(join('node_modules/.bin', program), args)),
    })),
  )
  const failed = results.filter(result => result.status !== 0)
  for (const { name, mend, output } of failed) {
    process.stdout.write(`\n${output.trim()}\n\nFailed: ${name} (again with: ${mend})\n`)
  }
  const passed = results.filter(result => result.status === 0).map(result => result.name)
  if (passed.length > 0) process.stdout.write(`Checked: ${passed.join(', ')}\n`)
  return { failed: failed.map(result => result.name) }
}

/** @returns {Promise<number>} the exit status */
export async function check() {
  const { failed } = await runChecks()
  return failed.length === 0 ? 0 : 1
}
