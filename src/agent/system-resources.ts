// Looks at the machine. One of the few files that may touch the world.

import { statfs } from 'node:fs/promises'
import { availableParallelism, tmpdir, totalmem, userInfo } from 'node:os'
import type { Machine } from './machine.ts'

/** What this machine has; `workDir` must exist, for the disk is the one it is on. */
export async function systemMachine(workDir: string): Promise<Machine> {
  const disk = await statfs(workDir).catch(() => undefined)
  return {
    // As far as this process may use them, as is the case below a cpuset.
    cpus: availableParallelism(),
    memBytes: totalmem(),
    diskFreeBytes: disk && disk.bavail * disk.bsize,
    user: systemUser(),
    path: process.env['PATH'],
  }
}

/** The account this process runs under; its number where it has no name. */
export function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.geteuid?.() ?? '')
  }
}

/** `--runtime_dir` where it is not given, as in Mesos. */
export function defaultRuntimeDir(): string {
  return process.geteuid?.() === 0 ? '/var/run/mesos' : `${tmpdir()}/mesos/runtime`
}
