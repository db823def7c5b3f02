// Brings a clone from whatever state to "installed and built", and does nothing when it is there already.

import { lstatSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, root, run } from './run.js'

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {boolean} [optional]
 */

/**
 * @param {{ build?: boolean | 'always' }} [options] `build`: false skips it, 'always' does it even when nothing changed
 */
export async function setup({ build = true } = {}) {
  checkNode()
  if (!installed()) {
    process.stderr.write('Installing packages (npm ci)…\n')
    const status = await run('npm', ['ci', '--no-audit', '--no-fund'])
    if (status !== 0) {
      throw new Failure(
        `npm ci failed with status ${status}; its messages are above. It needs a package registry, and a ` +
          'package-lock.json that agrees with package.json.',
      )
    }
  }
  if (build === false) return
  const builder = await import('./build.js')
  if (build === 'always' || !builder.isCurrent()) await builder.build()
  linkBins()
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 15)) return
  throw new Failure(`This is Node ${process.versions.node}; mesos-ts needs 20.15 or newer.`)
}

/**
 * Whether node_modules holds what package-lock.json asks for. npm keeps what it installed in
 * node_modules/.package-lock.json, so the two are compared by content: times of files mean nothing after a checkout.
 */
function installed() {
  const wanted = packagesOf('package-lock.json')
  const found = packagesOf('node_modules/.package-lock.json')
  if (!wanted)
    throw new Failure(
      'package-lock.json is missing or damaged: restore it (git checkout package-lock.json).',
    )
  if (!found) return false
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === '' || found[path]?.version === version || (optional && !found[path]),
  )
}

/**
 * @param {string} file
 * @returns {Record<string, LockedPackage> | undefined}
 */
function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages
  } catch {
    return undefined
  }
}

/**
 * Links the package's own commands where npx looks first. npm links the commands of dependencies only; without
 * this, `npx mesos-master` in the clone would install the package into npx's cache at every first use.
 */
function linkBins() {
  /** @type {Record<string, string>} */
  const bins = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin
  const folder = join(root, 'node_modules/.bin')
  mkdirSync(folder, { recursive: true })
  for (const [name, file] of Object.entries(bins)) {
    const link = join(folder, name)
    const target = join('..', '..', file)
    if (linkTarget(link) === target) continue
    rmSync(link, { force: true })
    symlinkSync(target, link)
  }
}

/** @param {string} path */
function linkTarget(path) {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    ? readlinkSync(path)
    : undefined
}
