// `mkdir -p`. One of the few files that may touch the world.

import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

const MODE = 0o755

/**
 * Makes a directory and those above it; fine if it is there. Throws the system's error. Node's own recursive mkdir
 * never returns where a directory cannot be made though the one above it exists, as in /proc.
 */
export function makeDirectories(path: string): void {
  const missing: string[] = []
  let at = resolve(path)
  while (statSync(at, { throwIfNoEntry: false }) === undefined) {
    missing.push(at)
    at = dirname(at)
  }
  for (const directory of missing.toReversed()) make(directory)
}

function make(path: string): void {
  try {
    mkdirSync(path, MODE)
  } catch (error) {
    // Somebody else made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
