// The dashboard is looked at in a real browser: Debian's Chromium. Root gets it installed; without it only those tests
// are skipped, and say so.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const CHROMIUM = '/usr/bin/chromium'
const MISSING = 'Chromium is not installed'
const SKIPPED = 'the tests in a browser will be skipped'

/** Installs Chromium if it is missing and that is possible; says why if it is not. */
export function ensureChromium() {
  if (existsSync(CHROMIUM)) return
  if (process.getuid?.() !== 0) return say(`${MISSING}, and only root can install it: ${SKIPPED}.`)
  if (!existsSync('/usr/bin/apt-get')) {
    return say(`${MISSING}, and there is no apt-get to install it: ${SKIPPED}.`)
  }
  say('Installing Chromium (apt-get) for the tests in a browser …')
  aptGet(['update'], 120_000)
  aptGet(['install', '--no-install-recommends', 'chromium'], 420_000)
  if (!existsSync(CHROMIUM)) say(`Chromium could not be installed: ${SKIPPED}.`)
}

/**
 * @param {string[]} args
 * @param {number} timeout milliseconds
 */
function aptGet(args, timeout) {
  const { stderr } = spawnSync('apt-get', ['-q', '-y', ...args], {
    timeout,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  })
  if (stderr) say(stderr.trim())
}

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`)
}
