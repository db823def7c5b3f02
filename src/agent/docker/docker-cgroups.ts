// The control groups that Docker made for a container, found by its first process. One of the few files that may touch the world:
// reading them costs no process.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { readStat } from '../process-table.ts'
import type { Cgroup, Cgroups } from '../containerizer/cgroup.ts'

export class DockerCgroups implements Cgroups {
  readonly version: 1 | 2
  readonly #hierarchy: string
  /** By container, the group's path by controller; under v2 that of ''. */
  readonly #paths = new Map<string, ReadonlyMap<string, string>>()

  constructor(hierarchy: string) {
    this.#hierarchy = hierarchy
    this.version = existsSync(`${hierarchy}/cgroup.controllers`) ? 2 : 1
  }

  /** Remembers where a container is. If that cannot be known, it has no statistics. */
  add(containerId: string, pid: number): void {
    try {
      this.#paths.set(containerId, parseCgroups(readFileSync(`/proc/${pid}/cgroup`, 'utf8')))
    } catch {
      // It has ended.
    }
  }

  remove(containerId: string): void {
    this.#paths.delete(containerId)
  }

  has(controller: string): boolean {
    return this.version === 2 || existsSync(`${this.#hierarchy}/${controller}`)
  }

  of(containerId: string, controller: string): Cgroup {
    const path = this.#paths.get(containerId)?.get(this.version === 2 ? '' : controller)
    // That of the machine is not the container's.
    if (path === undefined || path === '/') throw new Error(`no group for ${controller} is known`)
    const directory = `${this.#hierarchy}${this.version === 2 ? '' : `/${controller}`}${path}`
    return {
      write: (file, value) => writeFileSync(`${directory}/${file}`, value, { flag: 'r+' }),
      read: file => readFileSync(`${directory}/${file}`, 'utf8'),
      measure: file => readFileSync(`${directory}/${file}`, 'utf8'),
    }
  }
}

/** Lines `4:memory:/docker/…`, and `0::/…` for v2. */
export function parseCgroups(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined || path.split('/').includes('..')) continue
    for (const name of controllers!.split(',')) paths.set(name, path)
  }
  return paths
}

/**
 * Kills the processes of a container that have a variable in their environment, until none is left or it cannot be known. What runs
 * may have children meanwhile, which have it too.
 */
export function killMarked(cgroups: DockerCgroups, containerId: string, variable: string): void {
  for (let isFound = true, looks = 0; isFound && looks < MAX_LOOKS; looks++) {
    isFound = false
    let pids: string[]
    try {
      pids = cgroups.of(containerId, 'memory').read('cgroup.procs').split('\n')
    } catch {
      return
    }
    for (const pid of pids) {
      if (!/^\d+$/.test(pid) || !hasVariable(pid, variable)) continue
      isFound = true
      signal(Number(pid))
    }
  }
}

const MAX_LOOKS = 5

function hasVariable(pid: string, variable: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(variable)
  } catch {
    return false
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** When a process began, by which it is told from later ones with its number; undefined if it is not there to be seen. */
export const startOf = (pid: number): string | undefined =>
  pid > 0 ? readStat(pid)?.start : undefined

/** Ends a container's first process, and so all of it, where Docker does not. */
export function killDirectly(pid: number, start: string | undefined): void {
  if (start !== undefined && startOf(pid) === start) signal(pid)
}
