// What all chores share: where the repository is, how its files are listed, and how a program is run.

import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's top folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A chore that could not be done, for a reason its message tells the user; no stack trace is needed. */
export class Failure extends Error {}

/**
 * Files below a folder, as sorted paths relative to the top with `/`; none when there is no such folder.
 * @param {string} folder
 * @returns {string[]}
 */
export function filesBelow(folder) {
  /** @type {import('node:fs').Dirent[]} */
  let entries
  try {
    entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return []
    throw error
  }
  return entries
    .filter(entry => entry.isFile())
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

/**
 * Runs a program at the top folder with this process' input and output.
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<number>} its exit status; 1 when a signal ended it
 */
export function run(program, args) {
  return new Promise((resolve, reject) => {
    spawn(program, args, { cwd: root, stdio: 'inherit' })
      .on('error', reject)
      .on('exit', status => resolve(status ?? 1))
  })
}

/**
 * Runs a program at the top folder and keeps what it prints, both streams in the order they came. Without colours,
 * unless this process writes to a terminal.
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<{ status: number, output: string }>}
 */
export function capture(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }) },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', text => (output += text))
    }
    child.on('error', reject).on('close', status => resolve({ status: status ?? 1, output }))
  })
}
