// What a cluster has on this machine besides its masters and agents: processes, control groups, mounts, namespaces, files.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

export interface FoundProcess {
  readonly pid: number
  readonly words: readonly string[]
  readonly environment: ReadonlyMap<string, string>
}

export interface Traces {
  /** All that the cluster writes is below it. */
  readonly dir: string
  /** The name of its control groups. */
  readonly cgroupsRoot: string
}

const NAMESPACES = ['pid', 'mnt', 'ipc', 'net', 'uts', 'cgroup']

/** Processes that have the cluster's directory in their command, their environment or under their feet, or are in its groups. */
export function processesOf({ dir, cgroupsRoot }: Traces): FoundProcess[] {
  return pids().flatMap(pid => {
    const command = textOf(`/proc/${pid}/cmdline`)
    const environment = textOf(`/proc/${pid}/environ`)
    const places = [command, environment, linkOf(`/proc/${pid}/cwd`)]
    const groups = textOf(`/proc/${pid}/cgroup`)
    if (!places.some(text => text.includes(dir)) && !groups.includes(`/${cgroupsRoot}/`)) return []
    if (isOver(pid)) return []
    const variables = environment.split('\0').map((line): [string, string] => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    })
    return [{ pid, words: command.split('\0'), environment: new Map(variables) }]
  })
}

export const isGuard = ({ words }: FoundProcess): boolean => words[3] === 'mesos-guard'

/** Below the cluster's own group, in all hierarchies. */
export function groupsOf({ cgroupsRoot }: Traces): string[] {
  const hierarchies = [
    '/sys/fs/cgroup',
    ...namesIn('/sys/fs/cgroup').map(name => join('/sys/fs/cgroup', name)),
  ]
  return hierarchies.flatMap(hierarchy => directoriesBelow(join(hierarchy, cgroupsRoot)))
}

/** The cluster's own group itself. */
export function rootsOf({ cgroupsRoot }: Traces): string[] {
  return ['', ...namesIn('/sys/fs/cgroup')]
    .filter(name => namesIn(join('/sys/fs/cgroup', name)).includes(cgroupsRoot))
    .map(name => join('/sys/fs/cgroup', name, cgroupsRoot))
}

/** Mounts of this machine in the cluster's directory. */
export function mountsOf({ dir }: Traces): string[] {
  return textOf('/proc/self/mountinfo')
    .split('\n')
    .filter(line => line.includes(dir))
}

/** Namespaces that a process holds by an open file. */
export function heldNamespaces(pid: number): string[] {
  return namesIn(`/proc/${pid}/fd`)
    .map(fd => linkOf(`/proc/${pid}/fd/${fd}`))
    .filter(link => /^(pid|mnt|ipc|net|uts|cgroup):\[/.test(link))
}

/** Those that the cluster's processes were seen in, and when last; not this process' own. */
export class SeenNamespaces {
  readonly #seen = new Map<string, number>()
  readonly #own = new Set(namespacesOf('self'))

  look(processes: readonly FoundProcess[]): void {
    const now = ticksSinceBoot()
    for (const { pid } of processes) {
      for (const name of namespacesOf(pid)) if (!this.#own.has(name)) this.#seen.set(name, now)
    }
  }

  /**
   * Who is in one still, whatever it has made of itself. Numbers of namespaces are given again: one who came later is in
   * another one.
   */
  inhabitants(): string[] {
    return pids().flatMap(pid => {
      const since = startOf(pid)
      const isIn = namespacesOf(pid).find(name => since <= (this.#seen.get(name) ?? -1))
      return isIn && !isOver(pid) ? [`${pid} in ${isIn}: ${commandOf(pid)}`] : []
    })
  }
}

/** Sandboxes in an agent's work directory. */
export function sandboxesIn(workDir: string): string[] {
  return pathsBelow(join(workDir, 'slaves')).filter(
    path => /\/runs\/[^/]+$/.test(path) && !path.endsWith('/latest'),
  )
}

/** What the next agent would have to know of tasks. */
export function checkpointsIn(workDir: string): string[] {
  return pathsBelow(join(workDir, 'meta')).filter(path => /\/tasks\/[^/]+/.test(path))
}

export const containersIn = (runtimeDir: string): string[] =>
  namesIn(join(runtimeDir, 'containers'))

const TICKS_A_SECOND = 100

const ticksSinceBoot = (): number => Number(textOf('/proc/uptime').split(' ')[0]) * TICKS_A_SECOND

function fieldsOf(pid: number): string[] {
  const stat = textOf(`/proc/${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

const startOf = (pid: number): number => Number(fieldsOf(pid)[19] ?? Number.MAX_VALUE)
/** It has ended, and is only not buried. */
const isOver = (pid: number): boolean => ['Z', 'X', ''].includes(fieldsOf(pid)[0]!)

export const commandOf = (pid: number): string =>
  textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').replaceAll('\n', ' ').slice(0, 200)

function namespacesOf(pid: number | 'self'): string[] {
  return NAMESPACES.map(name => linkOf(`/proc/${pid}/ns/${name}`)).filter(link => link !== '')
}

const pids = (): number[] =>
  namesIn('/proc').flatMap(name => (/^\d+$/.test(name) ? [Number(name)] : []))

function directoriesBelow(directory: string): string[] {
  return attempt<string[]>([], () =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(entry => join(entry.parentPath, entry.name)),
  )
}

const pathsBelow = (directory: string): string[] =>
  attempt<string[]>([], () => readdirSync(directory, { recursive: true }).map(String))
const namesIn = (directory: string): string[] => attempt<string[]>([], () => readdirSync(directory))
const textOf = (path: string): string => attempt('', () => readFileSync(path, 'latin1'))
const linkOf = (path: string): string => attempt('', () => readlinkSync(path))

/** Processes end and files go while they are looked at. */
function attempt<T>(otherwise: T, read: () => T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}
