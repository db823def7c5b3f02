// The control groups of this agent's containers, in the file system where the kernel shows them. One of the few files
// that may touch the world.
//
//   v1: <hierarchy>/<controller>/<root>/<container id>     one group for each controller, and freezer always
//   v2: <hierarchy>/<root>/<container id>/leaf             one group, with the processes in its leaf
//
// What joins a container has the same below <container id>, without limits of its own.
//
// The layout is Mesos'. In v2 limits are set above the leaf: a group whose controllers are handed down has no processes.

import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Cgroup, Cgroups } from './cgroup.ts'
import { KeptFiles } from './kept-files.ts'
import { JOINED } from './launcher.ts'

/** The controller by which a container's processes are found, and stopped, under v1. */
const FREEZER = 'freezer'
const CPUSET = 'cpuset'
const CPUSET_FILES = ['cpuset.cpus', 'cpuset.mems']

export interface CgroupTreeOptions {
  /** `--cgroups_hierarchy`. */
  readonly hierarchy: string
  /** `--cgroups_root`. */
  readonly root: string
}

export class CgroupTree implements Cgroups {
  readonly #kept = new KeptFiles()
  readonly version: 1 | 2
  readonly #hierarchy: string
  readonly #root: string

  private constructor({ hierarchy, root }: CgroupTreeOptions) {
    this.#hierarchy = hierarchy
    this.#root = root
    this.version = existsSync(`${hierarchy}/cgroup.controllers`) ? 2 : 1
  }

  /** Throws a `UserError` where there are no control groups that this process may use. */
  static open(options: CgroupTreeOptions): CgroupTree {
    const why = whyNoCgroups(options.hierarchy)
    if (why !== undefined) {
      throw new UserError('not_permitted', `Control groups cannot be used: ${why}.`, {
        hint: "Run the agent as root on a machine with control groups, name another '--cgroups_hierarchy', or use '--launcher=posix'.",
      })
    }
    return new CgroupTree(options)
  }

  has(controller: string): boolean {
    if (this.version === 1) return existsSync(`${this.#hierarchy}/${controller}/tasks`)
    return this.#read(`${this.#hierarchy}/cgroup.controllers`)
      .trim()
      .split(' ')
      .includes(controller)
  }

  of(containerId: string, controller: string): Cgroup {
    const directory = this.#directory(controller, containerId)
    return {
      write: (file, value) => this.#write(`${directory}/${file}`, value),
      read: file => this.#read(`${directory}/${file}`),
      measure: file => this.#kept.read(containerId, `${directory}/${file}`),
    }
  }

  /** The directories of a container. All of its processes are in the first one, or below it. */
  directories(containerId: string, controllers: readonly string[]): string[] {
    if (this.version === 2) return [this.#directory('', containerId)]
    return this.#of(controllers).map(controller => this.#directory(controller, containerId))
  }

  /** Files that take a `0` from a process that wants to be in the container's groups. */
  doors(containerId: string, controllers: readonly string[]): string[] {
    if (this.version === 2) return [`${this.#directory('', containerId)}/leaf/cgroup.procs`]
    // Not cgroup.procs: for all threads of a process the kernel takes a lock that waits for every fork on the machine, for
    // milliseconds. A shell has one thread, and for that one, moving itself, it takes none.
    return this.#of(controllers).map(name => `${this.#directory(name, containerId)}/tasks`)
  }

  /** Makes the groups of a container. */
  create(containerId: string, controllers: readonly string[]): void {
    if (this.version === 2) {
      const top = this.#parent('')
      const directory = this.#directory('', containerId)
      this.#make(directory, () => this.#makeUnifiedRoot(top, controllers))
      return mkdirSync(`${directory}/leaf`)
    }
    for (const controller of this.#of(controllers)) {
      const parent = this.#parent(controller)
      const directory = this.#directory(controller, containerId)
      this.#make(directory, () => this.#makeRoot(controller, parent))
      if (controller === CPUSET) this.#inherit(dirname(directory), directory)
    }
  }

  /** The processes of a container, by their ids outside of it. */
  members(containerId: string): number[] {
    const pids: number[] = []
    for (const directory of below(this.#home(containerId))) {
      const text = this.#try(() => this.#read(`${directory}/cgroup.procs`)) ?? ''
      for (const line of text.split('\n')) if (line !== '') pids.push(Number(line))
    }
    return pids
  }

  /** Kills all that is in a container, however fast it forks. What is in the kernel at the time dies when it leaves it. */
  kill(containerId: string): void {
    const home = this.#home(containerId)
    if (
      this.version === 2 &&
      this.#try(() => this.#write(`${home}/cgroup.kill`, '1')) !== undefined
    )
      return
    const freeze = (isFrozen: boolean): void => {
      this.#try(() =>
        this.version === 2
          ? this.#write(`${home}/cgroup.freeze`, isFrozen ? '1' : '0')
          : this.#write(`${home}/freezer.state`, isFrozen ? 'FROZEN' : 'THAWED'),
      )
    }
    // What is frozen has no more children, so that nothing escapes between the look and the kill.
    freeze(true)
    for (const pid of this.members(containerId)) this.#try(() => process.kill(pid, 'SIGKILL'))
    freeze(false)
  }

  /** Removes a container's groups, with those that were made inside. False: something is in them still. */
  remove(containerId: string, controllers: readonly string[]): boolean {
    this.#kept.drop(containerId)
    const left = this.directories(containerId, controllers).filter(group => !removeGroup(group))
    return left.length === 0
  }

  /** The groups of `--cgroups_root`: all agents with the same root share them. */
  roots(controllers: readonly string[]): string[] {
    const all = this.version === 2 ? [''] : this.#of(controllers)
    return all.map(controller => this.#parent(controller))
  }

  #of(controllers: readonly string[]): string[] {
    return [FREEZER, ...controllers.filter(name => name !== FREEZER)]
  }

  #home(containerId: string): string {
    return this.#directory(FREEZER, containerId)
  }

  #parent(controller: string): string {
    const top = this.version === 2 ? this.#hierarchy : `${this.#hierarchy}/${controller}`
    return `${top}/${this.#root}`
  }

  #directory(controller: string, containerId: string): string {
    return `${this.#parent(controller)}/${groupOf(containerId)}`
  }

  /** The group above is made when it is missing: another agent's end may have taken it away at any time. */
  #make(directory: string, makeParent: () => void): void {
    for (let tries = 0; ; tries++) {
      const code = codeOf(() => mkdirSync(directory))
      if (code === undefined) return
      // Where two controllers share a hierarchy, they share the group.
      if (code === 'EEXIST') return
      if (code !== 'ENOENT' || tries === 3) throw new Error(`${code}, mkdir '${directory}'`)
      makeParent()
    }
  }

  #makeRoot(controller: string, parent: string): void {
    const top = `${this.#hierarchy}/${controller}`
    mkdirSync(parent, { recursive: true })
    if (controller !== CPUSET) return
    let above = top
    for (const name of this.#root.split('/')) {
      this.#inherit(above, `${above}/${name}`)
      above = `${above}/${name}`
    }
  }

  #makeUnifiedRoot(parent: string, controllers: readonly string[]): void {
    mkdirSync(parent, { recursive: true })
    let at = this.#hierarchy
    const wanted = controllers.map(name => `+${name}`).join(' ')
    for (const name of ['', ...this.#root.split('/')]) {
      if (name !== '') at = `${at}/${name}`
      if (wanted !== '') this.#write(`${at}/cgroup.subtree_control`, wanted)
    }
  }

  /** A new cpuset of v1 has no processors and no memory, and takes in no process until it has. */
  #inherit(parent: string, child: string): void {
    for (const file of CPUSET_FILES) {
      if (this.#read(`${child}/${file}`).trim() !== '') continue
      this.#write(`${child}/${file}`, this.#read(`${parent}/${file}`).trim())
    }
  }

  #write(path: string, value: string): true {
    // Never makes a file: what is not there, the kernel does not have.
    writeFileSync(path, value, { flag: 'r+' })
    return true
  }

  #read(path: string): string {
    return readFileSync(path, 'utf8')
  }

  #try<T>(act: () => T): T | undefined {
    try {
      return act()
    } catch {
      return undefined
    }
  }
}

/** What joins a container is in groups inside of that one's. */
function groupOf(containerId: string): string {
  return containerId.replace(JOINED, '/')
}

/** Why this process cannot make control groups there; undefined if it can. */
export function whyNoCgroups(hierarchy: string): string | undefined {
  const isUnified = existsSync(`${hierarchy}/cgroup.controllers`)
  const home = isUnified ? hierarchy : `${hierarchy}/${FREEZER}`
  if (!isUnified && !existsSync(`${home}/tasks`)) {
    return `neither cgroup v2 nor a freezer of cgroup v1 is mounted at '${hierarchy}'`
  }
  if (process.geteuid?.() !== 0) return 'this process does not run as root'
  try {
    accessSync(home, constants.W_OK)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function removeGroup(directory: string): boolean {
  const code = codeOf(() => rmdirSync(directory))
  if (code === undefined || code === 'ENOENT') return true
  for (const inside of below(directory).toReversed()) codeOf(() => rmdirSync(inside))
  return !existsSync(directory)
}

/** A directory and those inside it, each after the one that it is in. */
function below(directory: string): string[] {
  let entries: string[] = []
  try {
    entries = readdirSync(directory, { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    return [directory]
  }
  return [directory, ...entries.flatMap(name => below(`${directory}/${name}`))]
}

function codeOf(act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}
