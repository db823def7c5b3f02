// What a command costs before it does anything: `--help` of every program in dist/, a process each.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { experiment } from './harness.ts'

const BARE = 'bins.over_bare_node'
const ABSOLUTE = 'bins.slowest'
const LIMIT_MS = 150
const STARTS = 5

export const experiments = [
  experiment({
    figures: {
      [ABSOLUTE]: {
        unit: 'ms',
        yardstick: { what: 'the limit, a constant' },
        goal: { atMost: 1 },
      },
      [BARE]: {
        unit: 'ms',
        yardstick: { what: 'a bare Node process' },
      },
    },
    open: () => {
      const last = new Map<string, number>()
      let slowest = 0
      return {
        ours() {
          for (const file of programs()) last.set(file, startMs([join('dist', file), '--help']))
          slowest = Math.max(...last.values())
          return Promise.resolve({ [ABSOLUTE]: slowest, [BARE]: slowest })
        },
        yardstick: () => ({ [ABSOLUTE]: LIMIT_MS, [BARE]: startMs(['--eval', '0']) }),
        explain: () => Promise.resolve(explain(last)),
      }
    },
  }),
]

function programs(): readonly string[] {
  const found = readdirSync('dist').filter(file => /^mesos(-[a-z]+)?\.js$/.test(file))
  if (found.length === 0) throw new Error('dist/ has no programs: npm run build')
  return found
}

/** Start to end of a Node process: the best of a few, because the limit is meant for an idle machine. */
function startMs(args: readonly string[]): number {
  const times = Array.from({ length: STARTS }, () => {
    const startedMs = performance.now()
    execFileSync(process.execPath, args, { stdio: 'ignore' })
    return performance.now() - startedMs
  })
  return Math.min(...times)
}

function explain(last: ReadonlyMap<string, number>): string {
  const rows = [...last].map(([file, ms]) => `  ${String(Math.round(ms)).padStart(5)} ms  ${file}`)
  return [`${ABSOLUTE}: \`--help\`, best of ${STARTS} starts in the last run`, ...rows].join('\n')
}
