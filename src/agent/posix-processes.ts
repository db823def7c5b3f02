// Starts and kills real processes, in sessions of their own. One of the few files that may touch the world.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { messageOf, UserError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { containerRuntimeDir, containersDir, pidPath } from './paths.ts'
import type { KillSignal, LaunchedProcess, LaunchSpec, Processes } from './processes.ts'
import { EXEC, EXEC_WITH_NAME, GUARD } from './shell-scripts.ts'
import { endedBySignal, exitedWith } from './wait-status.ts'

const SHELL = '/bin/sh'
const BASH = '/bin/bash'

/** A guard that ends sooner than this is not started again: something is wrong with the machine. */
const GUARD_MIN_LIFE_MS = 1_000

/** What `/proc/<pid>/stat` says of a process. */
interface Stat {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  /** Clock ticks since boot; with the pid it names a process for ever. */
  readonly start: string
}

interface Container {
  readonly child: ChildProcess
  readonly pid: number
  /** What `killTree` signalled, to be killed for good when the process itself has ended. */
  readonly signalled: Map<number, Stat>
}

export interface PosixProcessesOptions {
  /** Made if need be. May be shared by several agents. */
  readonly runtimeDir: string
  readonly log: Logger
}

export class PosixProcesses implements Processes {
  readonly #runtimeDir: string
  readonly #log: Logger
  readonly #token = randomBytes(12).toString('hex')
  readonly #containers = new Map<number, Container>()
  #kills = new Map<number, KillSignal>()
  #guard: ChildProcess | undefined
  #closed = false

  private constructor(options: PosixProcessesOptions) {
    this.#runtimeDir = options.runtimeDir
    this.#log = options.log
  }

  /**
   * Makes the runtime directory, ends what agents left there whose guards died with them, and starts this agent's
   * guard. Throws a `UserError` if the directory cannot be used.
   */
  static start(options: PosixProcessesOptions): PosixProcesses {
    const processes = new PosixProcesses(options)
    try {
      mkdirSync(containersDir(options.runtimeDir), { recursive: true, mode: 0o755 })
      mkdirSync(processes.#leasesDir, { recursive: true, mode: 0o755 })
      processes.#endOrphans()
      writeFileSync(processes.#leasePath, leaseText())
    } catch (error) {
      throw new UserError(
        'not_permitted',
        `The runtime directory '${options.runtimeDir}' cannot be used: ${messageOf(error)}.`,
        { hint: 'Give a directory that the agent may write to with --runtime_dir.', cause: error },
      )
    }
    processes.#startGuard()
    return processes
  }

  async launch(spec: LaunchSpec): Promise<LaunchedProcess> {
    const child = await this.#spawn(spec)
    const pid = child.pid!
    const container: Container = { child, pid, signalled: new Map() }
    this.#containers.set(pid, container)
    const exited = new Promise<number>(resolve => {
      child.once('exit', (code, signal) => {
        this.#containers.delete(pid)
        this.#endRest(container)
        void this.#forget(spec.containerId)
        // When the agent ends it kills all; that is no end of the task's own to be reported.
        if (this.#closed) return
        resolve(signal ? endedBySignal(constants.signals[signal]) : exitedWith(code ?? 0))
      })
    })
    return { pid, exited }
  }

  killTree(pid: number, signal: KillSignal): void {
    if (!this.#containers.has(pid) || this.#kills.get(pid) === 'SIGKILL') return
    this.#kills.set(pid, signal)
    // One look at /proc serves all kills of a moment, such as those of a framework that ends.
    if (this.#kills.size === 1) setImmediate(() => this.#killAll())
  }

  /**
   * Kills all containers and ends the guard, as the end of the process would. Resolves when the guard is done. No
   * `exited` resolves from then on: nothing is to be said of tasks that only ended because their agent did.
   */
  close(): Promise<void> {
    this.#closed = true
    const guard = this.#guard
    if (!guard || guard.exitCode !== null) return Promise.resolve()
    return new Promise(resolve => {
      guard.once('exit', () => resolve())
      guard.ref()
      guard.stdin?.end()
    })
  }

  get #leasesDir(): string {
    return `${this.#runtimeDir}/leases`
  }

  get #leasePath(): string {
    return `${this.#leasesDir}/${this.#token}`
  }

  #spawn(spec: LaunchSpec): Promise<ChildProcess> {
    const files: number[] = []
    const failed = (error: unknown): UserError =>
      new UserError('internal', `The process could not be started: ${messageOf(error)}`, {
        cause: error,
      })
    try {
      mkdirSync(containerRuntimeDir(this.#runtimeDir, spec.containerId), { recursive: true })
      const [stdoutPath, stderrPath] = [spec.stdoutPath, spec.stderrPath]
      files.push(openSync(stdoutPath, 'a', 0o644))
      files.push(openSync(stderrPath, 'a', 0o644))
      const [program, args] = this.#commandLine(spec)
      const child = spawn(program, args, {
        cwd: spec.cwd,
        env: spec.env,
        stdio: ['ignore', files[0]!, files[1]!],
        // A session of its own: a Ctrl-C in the agent's terminal is not meant for tasks.
        detached: true,
      })
      if (child.pid !== undefined) return Promise.resolve(child)
      return new Promise((_, reject) => {
        child.once('error', error => {
          void this.#forget(spec.containerId)
          reject(failed(error))
        })
      })
    } catch (error) {
      void this.#forget(spec.containerId)
      return Promise.reject(failed(error))
    } finally {
      for (const file of files) closeSync(file)
    }
  }

  #commandLine(spec: LaunchSpec): [string, string[]] {
    const record = [pidPath(this.#runtimeDir, spec.containerId), this.#leasePath, this.#token]
    const { argv, argv0 } = spec
    if (argv0 === undefined || argv0 === argv[0]) {
      return [SHELL, ['-c', EXEC, 'sh', ...record, ...argv]]
    }
    // Without bash the program sees its path as its name, which nearly all programs are content with.
    if (!existsSync(BASH)) return [SHELL, ['-c', EXEC, 'sh', ...record, ...argv]]
    return [BASH, ['-c', EXEC_WITH_NAME, 'bash', ...record, argv0, ...argv]]
  }

  /** The process has ended: what it left in its group, and what a kill had found below it, has to go as well. */
  #endRest({ pid, signalled }: Container): void {
    signal(-pid, 'SIGKILL')
    for (const stat of signalled.values()) {
      if (stat.pid !== pid && readStat(stat.pid)?.start === stat.start) signal(stat.pid, 'SIGKILL')
    }
  }

  async #forget(containerId: string): Promise<void> {
    const directory = containerRuntimeDir(this.#runtimeDir, containerId)
    await rm(directory, { recursive: true, force: true }).catch((error: unknown) => {
      this.#log.warn({ directory, error }, 'a runtime directory could not be removed')
    })
  }

  #killAll(): void {
    const kills = this.#kills
    this.#kills = new Map()
    const terms = [...kills].filter(([, kind]) => kind === 'SIGTERM').map(([pid]) => pid)
    const deaths = [...kills].filter(([, kind]) => kind === 'SIGKILL').map(([pid]) => pid)
    if (terms.length > 0) {
      for (const [root, stats] of trees(terms, allStats())) {
        this.#remember(root, stats)
        for (const { pid } of stats) signal(pid, 'SIGTERM')
      }
    }
    if (deaths.length > 0) this.#killForGood(deaths)
  }

  /** Stops what it finds and looks again, until there is nothing new: what is stopped has no more children. */
  #killForGood(roots: readonly number[]): void {
    const stopped = new Set<number>()
    for (let isNew = true; isNew; ) {
      isNew = false
      for (const [root, stats] of trees(roots, allStats())) {
        this.#remember(root, stats)
        for (const { pid } of stats) {
          if (stopped.has(pid)) continue
          stopped.add(pid)
          isNew = true
          signal(pid, 'SIGSTOP')
        }
      }
    }
    for (const pid of stopped) signal(pid, 'SIGKILL')
  }

  #remember(root: number, stats: readonly Stat[]): void {
    const container = this.#containers.get(root)
    for (const stat of stats) container?.signalled.set(stat.pid, stat)
  }

  /** Leases whose agents do not live any more belong to guards that died as well: each gets a guard that acts now. */
  #endOrphans(): void {
    for (const token of readdirSync(this.#leasesDir)) {
      if (!/^[0-9a-f]{24}$/.test(token) || leaseIsHeld(`${this.#leasesDir}/${token}`)) continue
      this.#log.warn(
        { token },
        'ending what an agent left behind that died together with its guard',
      )
      const guard = spawnGuard(this.#runtimeDir, token)
      guard.stdin?.end()
    }
  }

  #startGuard(): void {
    const startedAtMs = performance.now()
    const guard = spawnGuard(this.#runtimeDir, this.#token)
    this.#guard = guard
    const ended = (why: string): void => {
      if (this.#closed) return
      this.#log.error({ why }, 'the guard that ends tasks when the agent dies has ended itself')
      if (performance.now() - startedAtMs >= GUARD_MIN_LIFE_MS) this.#startGuard()
    }
    guard.once('exit', (code, by) => ended(by ?? `exit status ${code}`))
    guard.once('error', error => ended(error.message))
  }
}

function spawnGuard(runtimeDir: string, token: string): ChildProcess {
  const guard = spawn(SHELL, ['-c', GUARD, 'mesos-guard', runtimeDir, token], {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  // The guard must not keep an agent alive that has nothing else to do.
  guard.unref()
  const { stdin } = guard as { stdin: (NodeJS.WritableStream & { unref?: () => void }) | null }
  stdin?.on('error', () => {})
  stdin?.unref?.()
  return guard
}

/** Who holds a lease: its pid and start time. */
function leaseText(): string {
  return `${process.pid} ${readStat(process.pid)?.start ?? ''}\n`
}

function leaseIsHeld(path: string): boolean {
  const [pid, start] = readFileSync(path, 'utf8').trim().split(' ')
  return pid !== undefined && readStat(Number(pid))?.start === start
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // Ended meanwhile. A process of another user cannot be below one of ours, except through setuid programs.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

function readStat(pid: number): Stat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The second field is the program's name in parentheses and may contain both blanks and parentheses.
  const [, parent, group, session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const start = rest[15]!
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), start }
}

function allStats(): Stat[] {
  const stats: Stat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readStat(Number(name))
    if (stat) stats.push(stat)
  }
  return stats
}

/** For each root: itself, its group and session, and all descendants of these. */
function trees(roots: readonly number[], stats: readonly Stat[]): Map<number, Stat[]> {
  const children = new Map<number, Stat[]>()
  for (const stat of stats) {
    const siblings = children.get(stat.parent)
    if (siblings) siblings.push(stat)
    else children.set(stat.parent, [stat])
  }
  const byRoot = new Map<number, Stat[]>(roots.map(root => [root, []]))
  for (const stat of stats) {
    const root = byRoot.has(stat.pid)
      ? stat.pid
      : byRoot.has(stat.session)
        ? stat.session
        : stat.group
    byRoot.get(root)?.push(stat)
  }
  for (const members of byRoot.values()) {
    const seen = new Set(members.map(({ pid }) => pid))
    // The list grows while it is walked, until the last descendant has no children.
    for (const { pid } of members) {
      for (const child of children.get(pid) ?? []) {
        if (seen.has(child.pid)) continue
        seen.add(child.pid)
        members.push(child)
      }
    }
  }
  return byRoot
}
