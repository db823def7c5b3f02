// npm leaves an optional package out of package-lock.json when the registry it asks does not have it (a mirror often
// has only the platforms that somebody asked for), and then `npm ci` refuses the file everywhere. This puts the
// missing entries back, with version and platform, and without a checksum: npm fetches them on that platform only.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run.js'

const SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]
const CPUS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

/**
 * @typedef {object} LockEntry
 * @property {string} version
 * @property {boolean} [dev]
 * @property {Record<string, string>} [optionalDependencies]
 */

/** @returns {Promise<number>} the exit status */
export async function completeLock() {
  const file = join(root, 'package-lock.json')
  const lock = JSON.parse(readFileSync(file, 'utf8'))
  /** @type {Record<string, LockEntry>} */
  const packages = lock.packages
  let added = 0
  for (const [path, { dev, optionalDependencies = {} }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (packages[`node_modules/${name}`] ?? packages[`${path}/node_modules/${name}`]) continue
      packages[`node_modules/${name}`] = entry(name, version, dev ?? false)
      added += 1
    }
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))
  lock.packages = Object.fromEntries(sorted)
  if (added > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
  process.stdout.write(`package-lock.json: ${added} packages of other platforms added\n`)
  return 0
}

/**
 * What a platform's package is for is in its name: `@biomejs/cli-linux-x64-musl`.
 * @param {string} name
 * @param {string} version
 * @param {boolean} dev
 */
function entry(name, version, dev) {
  const words = name.replace(/^@[^/]+\//, '').split('-')
  const cpu = CPUS.filter(it => words.includes(it))
  const os = SYSTEMS.filter(it => words.includes(it))
  const libc = /-musl/.test(name) ? ['musl'] : /-gnu/.test(name) ? ['glibc'] : []
  return {
    version,
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(libc.length > 0 && { libc }),
    optional: true,
    ...(os.length > 0 && { os }),
  }
}
