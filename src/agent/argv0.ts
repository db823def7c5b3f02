// What a program sees as its own name. One of the few files that may touch the world.

import { existsSync } from 'node:fs'
import type { LaunchSpec } from './processes.ts'

export const BASH = '/bin/bash'

/**
 * A command line that gives the program another name for itself, where bash can do that. Nearly all programs are content with
 * their path, which is what they see without. `bash`: how it is called in a container with a root file system of its own.
 */
export function named(
  { argv, argv0 }: Pick<LaunchSpec, 'argv' | 'argv0'>,
  bash: readonly string[] = [BASH],
): readonly string[] {
  if (argv0 === undefined || argv0 === argv[0] || !existsSync(BASH)) return argv
  return [...bash, '-c', 'name=$1; shift; exec -a "$name" "$@"', 'bash', argv0, ...argv]
}
