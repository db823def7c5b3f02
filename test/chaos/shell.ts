// Commands of the system that are over at once.

import { execFileSync } from 'node:child_process'

/** Runs `ip` with these words. Throws with what it said. */
export function ip(...words: readonly string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

export function succeeds(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch {
    return false
  }
}
