// Starts and kills real processes, in sessions of their own. One of the few files that may touch the world.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { messageOf, UserError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { makeDirectories } from './make-directories.ts'
import { containerRuntimeDir, containersDir, pidPath } from './paths.ts'
import type { KillSignal, LaunchedProcess, LaunchSpec, Processes } from './processes.ts'
import { markOf, ProcessTable, readStat, type Stat } from './process-table.ts'
import {
  CONTAINER_MARK,
  EXEC,
  EXEC_WITH_NAME,
  GUARD,
  PRELUDE_FAILED_STATUS,
} from './shell-scripts.ts'
import { endedBySignal, exitedWith } from './wait-status.ts'

const SHELL = '/bin/sh'
const BASH = '/bin/bash'

/** A guard that ends sooner than this is not started again: something is wrong with the machine. */
const GUARD_MIN_LIFE_MS = 1_000

/** What ended containers left behind is looked for this soon, once for all that ended meanwhile. */
const SWEEP_MS = 250
/** Looking may take this part of the agent's time at most, however many processes the machine has. */
const SWEEP_SHARE = 0.05

interface Container {
  readonly id: string
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
  /** Containers whose process has not ended, or is being started. */
  readonly #alive = new Set<string>()
  readonly #table = new ProcessTable()
  #kills = new Map<number, KillSignal>()
  #guard: ChildProcess | undefined
  #sweep: NodeJS.Timeout | undefined
  #lastSweepMs = 0
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
      makeDirectories(containersDir(options.runtimeDir))
      makeDirectories(processes.#leasesDir)
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
    const id = spec.containerId
    this.#alive.add(id)
    let child: ChildProcess
    try {
      child = await this.#spawn(spec)
    } catch (error) {
      this.#alive.delete(id)
      throw error
    }
    const pid = child.pid!
    const container: Container = { id, child, pid, signalled: new Map() }
    this.#containers.set(pid, container)
    let whyNeverRan: string | undefined
    const exited = new Promise<number>(resolve => {
      child.once('exit', (code, signal) => {
        this.#containers.delete(pid)
        this.#alive.delete(id)
        this.#endRest(container)
        // The prelude takes its record back when it gives up; a program's own record is there until it is forgotten.
        if (code === PRELUDE_FAILED_STATUS && !existsSync(pidPath(this.#runtimeDir, id))) {
          whyNeverRan = `it could not be put on record: ${pidPath(this.#runtimeDir, id)} could not be written`
        }
        void this.#forget(spec.containerId)
        // When the agent ends it kills all; that is no end of the task's own to be reported.
        if (this.#closed) return
        resolve(signal ? endedBySignal(constants.signals[signal]) : exitedWith(code ?? 0))
      })
    })
    return { pid, exited, whyNeverRan: () => whyNeverRan }
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
      makeDirectories(containerRuntimeDir(this.#runtimeDir, spec.containerId))
      const [stdoutPath, stderrPath] = [spec.stdoutPath, spec.stderrPath]
      files.push(openSync(stdoutPath, 'a', 0o644))
      files.push(openSync(stderrPath, 'a', 0o644))
      const [program, args] = this.#commandLine(spec)
      const child = spawn(program, args, {
        cwd: spec.cwd,
        env: { ...spec.env, [CONTAINER_MARK]: markOf(this.#token, spec.containerId) },
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
    if (this.#closed || this.#sweep) return
    const waitMs = Math.max(SWEEP_MS, this.#lastSweepMs / SWEEP_SHARE)
    this.#sweep = setTimeout(() => this.#killLeftBehind(), waitMs).unref()
  }

  /** What left the session of a container and outlived it. */
  #killLeftBehind(): void {
    this.#sweep = undefined
    if (this.#closed) return
    const startedAtMs = performance.now()
    killForGood(() => this.#table.leftBehind(this.#token, id => this.#alive.has(id)))
    this.#lastSweepMs = performance.now() - startedAtMs
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
      for (const { pid } of this.#membersOf(terms)) signal(pid, 'SIGTERM')
    }
    if (deaths.length > 0) killForGood(() => this.#membersOf(deaths))
  }

  #membersOf(roots: readonly number[]): Stat[] {
    const marks = new Map<number, string>()
    for (const root of roots) {
      const container = this.#containers.get(root)
      if (container) marks.set(root, markOf(this.#token, container.id))
    }
    const trees = this.#table.trees(marks)
    for (const [root, stats] of trees) this.#remember(root, stats)
    return [...trees.values()].flat()
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

/** Stops what it finds and looks again, until there is nothing new: what is stopped has no more children. */
function killForGood(find: () => readonly Stat[]): void {
  const stopped = new Set<number>()
  for (let isNew = true; isNew; ) {
    isNew = false
    for (const { pid } of find()) {
      if (stopped.has(pid)) continue
      stopped.add(pid)
      isNew = true
      signal(pid, 'SIGSTOP')
    }
  }
  for (const pid of stopped) signal(pid, 'SIGKILL')
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
