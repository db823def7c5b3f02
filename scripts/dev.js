// Every chore of this repository: `node scripts/dev.js COMMAND`. Plain JavaScript, because it has to run in a fresh
// clone before anything is installed; modules that need a package are therefore imported only after `setup`.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, root, run } from './dev/run.js'
import { setup } from './dev/setup.js'

/**
 * @typedef {object} Command
 * @property {string} help one line
 * @property {(args: string[]) => Promise<number | undefined>} run resolves to the exit status; undefined: the
 *   process is handed over and ends by itself
 */

/** @type {Record<string, Command>} */
const commands = {
  start: {
    help: 'install and build if needed, then run a local cluster with the example framework',
    run: args => setup().then(() => become('dist/start.js', args)),
  },
  test: {
    help: 'check everything, then run all tests; with file names (or parts of them): only these tests',
    run: test,
  },
  check: {
    help: 'type-check, lint and check the format',
    run: async () => {
      await setup({ build: false })
      return (await import('./dev/check.js')).check()
    },
  },
  build: {
    help: 'install if needed and build dist/ afresh',
    run: async () => {
      await setup({ build: 'always' })
      return 0
    },
  },
  setup: {
    help: 'install and build what is out of date, and nothing else',
    run: async () => {
      await setup()
      return 0
    },
  },
  format: {
    help: 'put every file into the one format',
    run: async () => {
      await setup({ build: false })
      return run('node_modules/.bin/biome', ['format', '--write'])
    },
  },
  bench: {
    help: 'run the benchmarks: [NAME…] [--json]',
    run: args => prebuilt('bench/main.ts', args),
  },
  sim: {
    help: 'run the simulator: [--seed=N] [--seeds=COUNT] [--minutes=M] [--jobs=J] …',
    run: args => prebuilt('test/sim/main.ts', args),
  },
  chaos: {
    help: 'three real masters under faults, or real agents: [agent] [--rounds=N] [--seed=N] …',
    run: args => prebuilt('test/chaos/main.ts', args),
  },
  lock: {
    help: 'complete package-lock.json after a change of dependencies, for platforms the registry left out',
    run: () => import('./dev/lock.js').then(it => it.completeLock()),
  },
  coverage: {
    help: 'run the tests and say which lines of src they do not reach: [NAME…] [--check]',
    run: args => import('./dev/coverage.js').then(it => it.coverage(args)),
  },
}

/**
 * Builds all modules and runs one of them.
 * @param {string} source
 * @param {string[]} args
 */
async function prebuilt(source, args) {
  if (!existsSync(join(root, source))) throw new Failure(`There is no ${source} in this version.`)
  await setup()
  const { prebuild } = await import('./dev/build.js')
  await prebuild()
  return become(`build/${source.replace(/\.ts$/, '.js')}`, args)
}

/**
 * Lets this process go on as another program, as exec(2) would: signals reach it, and its exit status is ours.
 * @param {string} file
 * @param {string[]} args
 * @returns {Promise<undefined>}
 */
async function become(file, args) {
  const path = join(root, file)
  if (!existsSync(path)) throw new Failure(`${file} was not built: its source is missing.`)
  process.argv = [process.execPath, path, ...args]
  process.setSourceMapsEnabled(true)
  await import(path)
  return undefined
}

/**
 * The last line of a test run is a count, also when there was nothing to run them with.
 * @param {string[]} args
 */
async function test(args) {
  try {
    await setup({ build: false })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    process.stdout.write(`${error.message}\n\nFailed: setup\n0 passed, 1 failed\n`)
    return 1
  }
  return (await import('./dev/test.js')).test(args)
}

function usage() {
  const rows = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(10)}${help}`)
  return `Usage: node scripts/dev.js COMMAND [ARGUMENT…]\n\n${rows.join('\n')}\n`
}

async function main() {
  const [name = '', ...args] = process.argv.slice(2)
  if (name === '--help' || name === 'help') {
    process.stdout.write(usage())
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    process.stderr.write(name ? `Unknown command: ${name}\n\n${usage()}` : usage())
    return 2
  }
  return command.run(args)
}

try {
  const status = await main()
  if (status !== undefined) process.exitCode = status
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
