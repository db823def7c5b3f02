// What is checked without running the product: types, lint, format. The three run side by side.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { capture, root } from './run.js'

/** The type checker's memory of its last run makes the next one short. */
const incremental = (/** @type {string} */ name) => [
  '--incremental',
  '--tsBuildInfoFile',
  `build/${name}.tsbuildinfo`,
]

/** @returns {{ name: string, mend: string, command: [string, ...string[]] }[]} */
function checks() {
  const pageConfig = 'src/web/page/tsconfig.json'
  return [
    {
      name: 'types',
      mend: 'npx tsc -p .',
      command: ['tsc', '-p', '.', ...incremental('types')],
    },
    ...(existsSync(join(root, pageConfig))
      ? [
          {
            name: 'types of the web page',
            mend: `npx tsc -p ${pageConfig}`,
            command: /** @type {[string, ...string[]]} */ ([
              'tsc',
              '-p',
              pageConfig,
              ...incremental('page'),
            ]),
          },
        ]
      : []),
    {
      name: 'lint',
      mend: 'npx oxlint --type-aware',
      command: ['oxlint', '--type-aware', '--deny-warnings'],
    },
    { name: 'format', mend: 'npm run format', command: ['biome', 'format'] },
  ]
}

/**
 * Runs all checks, prints what failed, and gives their number.
 * @returns {Promise<{ failed: string[] }>}
 */
export async function runChecks() {
  const results = await Promise.all(
    checks().map(async ({ name, mend, command: [program, ...args] }) => ({
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
