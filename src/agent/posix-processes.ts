// Starts and kills real processes, in sessions of their own. One of the few files that may touch the world.

import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import type { Logger } from '../base/log.ts'
import { AdoptedProcesses, lives } from './adopted-processes.ts'
import { AgentGuard, type AgentGuardOptions } from './agent-guard.ts'
import type { Input } from './attachment.ts'
import { emptyPlan, type LaunchPlan } from './containerizer/container.ts'
import type { Entrance, Launcher, StartedProcess } from './containerizer/launcher.ts'
import { Spawner } from './containerizer/spawn.ts'
import { terminalPrograms } from './containerizer/system-programs.ts'
import { splitEnvironment } from './late-environment.ts'
import { BASH, named } from './argv0.ts'
import type { ContainerLogger } from './logger/container-logger.ts'
import { sandboxLogger } from './logger/sandbox-logger.ts'
import { makeDirectories } from './make-directories.ts'
import {
  forgetSurvival,
  readEnd,
  readPid,
  recordedContainers,
  type RecordedPid,
  recordSurvival,
  survivalOf,
} from './container-records.ts'
import { containerRuntimeDir, pidPath, statusPath, survivesPath } from './paths.ts'
import type { KillSignal, LaunchedProcess, LaunchSpec } from './processes.ts'
import { markOf, ProcessTable, readStat, type Stat } from './process-table.ts'
import {
  CONTAINER_MARK,
  EXEC,
  EXEC_WITH_NAME,
  PRELUDE_FAILED_STATUS,
  SUPERVISE,
} from './shell-scripts.ts'
import { endedBySignal, exitedWith } from './wait-status.ts'

const SHELL = '/bin/sh'

/** What ended containers left behind is looked for this soon, once for all that ended meanwhile. */
const SWEEP_MS = 250
/** Looking may take this part of the agent's time at most, however many processes the machine has. */
const SWEEP_SHARE = 0.05

interface Container {
  readonly id: string
  readonly pid: number
  /** Its start time, if it is no child: its pid may become another one's before we see that it has ended. */
  readonly start?: string
  /** What `killTree` signalled, to be killed for good when the process itself has ended. */
  readonly signalled: Map<number, Stat>
}

export class PosixProcesses implements Launcher {
  readonly #guard: AgentGuard
  readonly #spawner: Spawner
  readonly #log: Logger
  readonly #containers = new Map<number, Container>()
  /** Containers whose process has not ended, or is being started. */
  readonly #alive = new Set<string>()
  readonly #table = new ProcessTable()
  readonly #adopted = new AdoptedProcesses()
  #kills = new Map<number, KillSignal>()
  #sweep: NodeJS.Timeout | undefined
  #lastSweepMs = 0

  private constructor(guard: AgentGuard, log: Logger, logger: ContainerLogger) {
    this.#guard = guard
    this.#spawner = new Spawner(guard, terminalPrograms, logger)
    this.#log = log
  }

  /** As `AgentGuard.start`, whose runtime directory it uses. */
  static async start(
    options: AgentGuardOptions & { readonly logger?: ContainerLogger },
  ): Promise<PosixProcesses> {
    const { log, logger = sandboxLogger } = options
    return new PosixProcesses(await AgentGuard.start(options), log, logger)
  }

  async launch(spec: LaunchSpec, plan: LaunchPlan = emptyPlan()): Promise<StartedProcess> {
    const id = spec.containerId
    this.#alive.add(id)
    let child: ChildProcess
    try {
      child = await this.#spawn(spec, plan)
    } catch (error) {
      this.#alive.delete(id)
      throw error
    }
    const pid = child.pid!
    const container: Container = { id, pid, signalled: new Map() }
    this.#containers.set(pid, container)
    let whyNeverRan: string | undefined
    const exited = new Promise<number>(resolve => {
      child.once('exit', (code, signal) => {
        // When the agent ends it kills all; that is no end of the task's own to be reported. What survives is the next one's.
        if (this.#closed) return
        this.#ended(container)
        // The prelude takes its record back when it gives up; a program's own record is there until it is forgotten.
        if (code === PRELUDE_FAILED_STATUS && !existsSync(pidPath(this.#runtimeDir, id))) {
          whyNeverRan = `it could not be put on record: ${pidPath(this.#runtimeDir, id)} could not be written`
        }
        const end = spec.survives ? readEnd(this.#runtimeDir, id) : undefined
        this.#clear(id)
        if (end && 'waitStatus' in end) resolve(end.waitStatus)
        else resolve(signal ? endedBySignal(constants.signals[signal]) : exitedWith(code ?? 0))
      })
    })
    const ends = this.#spawner.ends(child, { spec, plan })
    return { pid, exited, whyNeverRan: () => whyNeverRan, ...ends }
  }

  input(containerId: string): Input | undefined {
    return this.#spawner.input(containerId)
  }

  /** By its mark it is the container's, and ends with it. */
  entrance(containerId: string, pid: number): Entrance | undefined {
    if (!this.#containers.has(pid)) return undefined
    return { front: [], env: { [CONTAINER_MARK]: markOf(this.#token, containerId) }, pid }
  }

  /** Adopts the containers that are known and on record. All else that agents of this token left is ended. */
  async recover(known: ReadonlySet<string>): Promise<ReadonlyMap<string, LaunchedProcess>> {
    const found = new Map<string, LaunchedProcess>()
    for (const id of recordedContainers(this.#runtimeDir)) {
      const isOurs = survivalOf(this.#runtimeDir, id) === this.#token
      if (isOurs && !known.has(id)) forgetSurvival(this.#runtimeDir, id)
      const record = readPid(this.#runtimeDir, id)
      if (record ? record.token !== this.#token : !isOurs) continue
      if (record && known.has(id)) found.set(id, this.#adopt(id, record))
      else await this.#end(id, record)
    }
    return found
  }

  #adopt(id: string, { pid, start }: RecordedPid): LaunchedProcess {
    const container: Container = { id, pid, start, signalled: new Map() }
    this.#containers.set(pid, container)
    this.#alive.add(id)
    const wait = async (): Promise<number> => {
      await this.#adopted.ended(pid, start)
      // The agent ends: somebody else will ask.
      if (this.#closed) return new Promise<number>(() => {})
      this.#ended(container)
      const end = readEnd(this.#runtimeDir, id)
      this.#clear(id)
      return end && 'waitStatus' in end ? end.waitStatus : endedBySignal(constants.signals.SIGKILL)
    }
    return { pid, exited: wait() }
  }

  forget(containerId: string): void {
    forgetSurvival(this.#runtimeDir, containerId)
    if (!this.#alive.has(containerId)) this.#clear(containerId)
  }

  /** It has ended. What survives agents stays on record until it is forgotten. */
  #clear(id: string): void {
    if (survivalOf(this.#runtimeDir, id) === undefined) void this.#forget(id)
  }

  /** Something that nobody asks for any more; if it is just being started, it will find that and end. */
  async #end(id: string, record: RecordedPid | undefined): Promise<void> {
    forgetSurvival(this.#runtimeDir, id)
    const late = record ?? readPid(this.#runtimeDir, id)
    if (late && lives(late.pid, late.start)) {
      this.#containers.set(late.pid, { id, pid: late.pid, signalled: new Map() })
      killForGood(() => this.#membersOf([late.pid]))
      this.#containers.delete(late.pid)
    }
    await this.#forget(id)
  }

  /** The process that was started has. */
  #ended(container: Container): void {
    this.#containers.delete(container.pid)
    this.#alive.delete(container.id)
    this.#kills.delete(container.pid)
    this.#endRest(container)
  }

  killTree(pid: number, signal: KillSignal): void {
    // Who ends because the agent does must not take along what survives it.
    if (this.#closed) return
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
    this.#adopted.close()
    return this.#guard.close()
  }

  get #runtimeDir(): string {
    return this.#guard.runtimeDir
  }

  get #token(): string {
    return this.#guard.token
  }

  get #closed(): boolean {
    return this.#guard.isClosed
  }

  async #spawn(spec: LaunchSpec, plan: LaunchPlan): Promise<ChildProcess> {
    try {
      makeDirectories(containerRuntimeDir(this.#runtimeDir, spec.containerId))
      if (spec.survives) recordSurvival(this.#runtimeDir, spec.containerId, this.#token)
      const { initially, front } = splitEnvironment(spec.env)
      const command = this.#commandLine(spec, [...plan.prefix.flat(), ...front])
      const env = { ...initially, [CONTAINER_MARK]: markOf(this.#token, spec.containerId) }
      return await this.#spawner.start({ spec, plan, command, env })
    } catch (error) {
      void this.#forget(spec.containerId)
      throw error
    }
  }

  #commandLine(spec: LaunchSpec, prefix: readonly string[]): [string, ...string[]] {
    const id = spec.containerId
    const pidFile = pidPath(this.#runtimeDir, id)
    const { argv, argv0 } = spec
    if (spec.survives) {
      const lease = survivesPath(this.#runtimeDir, id)
      const record = [statusPath(this.#runtimeDir, id), pidFile, lease, this.#token]
      return [SHELL, '-c', SUPERVISE, 'sh', ...record, ...prefix, ...named(spec)]
    }
    const record = [pidFile, this.#guard.leasePath, this.#token]
    if (argv0 === undefined || argv0 === argv[0]) {
      return [SHELL, '-c', EXEC, 'sh', ...record, ...prefix, ...argv]
    }
    if (prefix.length > 0) return [SHELL, '-c', EXEC, 'sh', ...record, ...prefix, ...named(spec)]
    // Without bash the program sees its path as its name, which nearly all programs are content with.
    if (!existsSync(BASH)) return [SHELL, '-c', EXEC, 'sh', ...record, ...argv]
    return [BASH, '-c', EXEC_WITH_NAME, 'bash', ...record, argv0, ...argv]
  }

  /** The process has ended: what it left in its group, and what a kill had found below it, has to go as well. */
  #endRest({ pid, start, signalled }: Container): void {
    // A pid is not given away while a group has its number; if another process has it, there is no such group any more.
    const other = start === undefined ? undefined : readStat(pid)
    if (other === undefined || other.start === start) signal(-pid, 'SIGKILL')
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
      if (!container) continue
      if (container.start !== undefined && !lives(root, container.start)) continue
      marks.set(root, markOf(this.#token, container.id))
    }
    const trees = this.#table.trees(marks)
    for (const [root, stats] of trees) this.#remember(root, stats)
    return [...trees.values()].flat()
  }

  #remember(root: number, stats: readonly Stat[]): void {
    const container = this.#containers.get(root)
    for (const stat of stats) container?.signalled.set(stat.pid, stat)
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

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // Ended meanwhile. A process of another user cannot be below one of ours, except through setuid programs.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}
