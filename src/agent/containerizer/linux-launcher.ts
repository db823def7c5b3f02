// The linux launcher: each container in control groups and, if isolators want it, namespaces of its own. One of the few
// files that may touch the world.
//
// Groups are made and limits set by the agent; the container's init (linux-script.ts) goes in by itself. A launch is two or
// three programs that become each other, and no message travels back and forth. While a container lives there are in
// <runtime_dir>/containers/<id>:
//
//   cgroups    the agent's token and the container's groups, written before they are made
//   pid        the process that the agent started, its start time, the token
//   status     how the program ended, written by the init; there and empty before
//   survives   if it outlives its agent: the token of the agents whose it is
//
// so that whoever comes after an agent that died can tell what runs, end it, and learn how it ended.

import type { ChildProcess } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { constants } from 'node:os'
import { messageOf, UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import { AdoptedProcesses, lives } from '../adopted-processes.ts'
import {
  forgetSurvival,
  readEnd,
  readPid,
  recordCgroups,
  recordedContainers,
  type RecordedPid,
  recordSurvival,
  survivalOf,
  textOf,
} from '../container-records.ts'
import type { AgentGuard } from '../agent-guard.ts'
import { splitEnvironment } from '../late-environment.ts'
import type { ContainerLogger } from '../logger/container-logger.ts'
import { makeDirectories } from '../make-directories.ts'
import type { Input } from '../attachment.ts'
import {
  cgroupsPath,
  containerRuntimeDir,
  inputPath,
  pidPath,
  secretsDir,
  statusPath,
  survivesPath,
  terminalPath,
} from '../paths.ts'
import { BASH, named } from '../argv0.ts'
import { readStat } from '../process-table.ts'
import type { KillSignal, LaunchedProcess, LaunchSpec } from '../processes.ts'
import { endedBySignal } from '../wait-status.ts'
import type { CgroupTree } from './cgroup-tree.ts'
import type { LaunchPlan } from './container.ts'
import type { Entrance, Launcher, StartedProcess } from './launcher.ts'
import { Spawner } from './spawn.ts'
import { terminalPrograms } from './system-programs.ts'
import type { MountPrograms } from './mount-script.ts'
import { mountWords } from './mounts.ts'
import {
  enterCommand,
  initCommand,
  parseEnd,
  type RecordedEnd,
  UNFINISHED_FD,
} from './linux-script.ts'

const SHELL = '/bin/sh'

/** Of its children: a shell, unshare(1) in its place, and the init. */
const MAX_STEPS = 3

/** Looks again this soon for what is not yet there to be signalled, or not yet gone; each time later. */
const AGAIN_MS = 10
const MAX_AGAIN_MS = 500

export interface LinuxLauncherOptions {
  readonly guard: AgentGuard
  readonly tree: CgroupTree
  /** Controllers of the groups that every container gets. */
  readonly controllers: readonly string[]
  /** Where unshare(1) is. */
  readonly unshare: string
  /** Where nsenter(1) is. */
  readonly nsenter: string
  /** Where setsid(1) is. */
  readonly setsid: string
  readonly programs: MountPrograms
  readonly logger: ContainerLogger
  /** How long groups may take to be empty, until it is complained of. */
  readonly destroyTimeoutMs: number
  readonly log: Logger
}

interface Container {
  readonly id: string
  /** The process that an agent started; it may be outside of the groups. */
  readonly pid: number
  /** Its start time, if it is no child: its pid may become another one's before we see that it has ended. */
  readonly start?: string | undefined
  /** Its init's child is an nsenter(1) that waits for what it has put into a pid namespace. */
  readonly isBehindDoor?: boolean
  kill: KillSignal | undefined
}

export class LinuxLauncher implements Launcher {
  readonly #o: LinuxLauncherOptions
  readonly #containers = new Map<number, Container>()
  readonly #adopted = new AdoptedProcesses()
  readonly #spawner: Spawner

  constructor(options: LinuxLauncherOptions) {
    this.#o = options
    this.#spawner = new Spawner(options.guard, terminalPrograms, options.logger)
  }

  prepare({ containerId, survives }: LaunchSpec): void {
    const { guard, tree, controllers } = this.#o
    // The guard has looked for what is there, or will not look again.
    if (guard.isClosed) throw new UserError('unavailable', 'The agent ends.')
    makeDirectories(containerRuntimeDir(guard.runtimeDir, containerId))
    if (survives) recordSurvival(guard.runtimeDir, containerId, guard.token)
    const groups = tree.directories(containerId, controllers)
    recordCgroups(guard.runtimeDir, containerId, guard.token, groups)
    tree.create(containerId, controllers)
  }

  async launch(spec: LaunchSpec, plan: LaunchPlan): Promise<StartedProcess> {
    const { guard } = this.#o
    const id = spec.containerId
    const child = await this.#spawn(spec, plan)
    const pid = child.pid!
    const isBehindDoor = plan.joins?.namespaces.has('pid') ?? false
    const container: Container = { id, pid, isBehindDoor, kill: undefined }
    this.#containers.set(pid, container)
    let whyNeverRan: string | undefined
    const exited = new Promise<number>(resolve => {
      child.once('exit', (code, signal) => {
        this.#containers.delete(pid)
        // When the agent ends it kills all; that is no end of the task's own to be reported.
        if (guard.isClosed) return
        const end = this.#end(container, code, signal)
        if ('whyNeverRan' in end) whyNeverRan = end.whyNeverRan
        resolve('waitStatus' in end ? end.waitStatus : 0)
      })
    })
    // The groups are the record that counts, and were there before; this one says to people and to the next agent whom to wait for.
    const start = readStat(pid)?.start ?? ''
    try {
      writeFileSync(pidPath(guard.runtimeDir, id), `${pid}\n${start} ${guard.token}\n`)
    } catch (error) {
      this.#o.log.warn({ container: id, error: messageOf(error) }, 'a pid could not be recorded')
    }
    return {
      pid,
      exited,
      whyNeverRan: () => whyNeverRan,
      ...this.#spawner.ends(child, { spec, plan }),
    }
  }

  input(containerId: string): Input | undefined {
    return this.#spawner.input(containerId)
  }

  async recover(known: ReadonlySet<string>): Promise<ReadonlyMap<string, LaunchedProcess>> {
    const { guard, tree, log } = this.#o
    const found = new Map<string, LaunchedProcess>()
    for (const id of recordedContainers(guard.runtimeDir)) {
      if (!isRecordedFor(guard, id)) continue
      const record = readPid(guard.runtimeDir, id)
      const end = readEnd(guard.runtimeDir, id)
      const isLeft =
        end !== undefined ||
        (record && lives(record.pid, record.start)) ||
        tree.members(id).length > 0
      if (known.has(id) && isLeft) {
        found.set(id, this.#adopt(id, record))
        continue
      }
      // If it is just being started, it will find that.
      forgetSurvival(guard.runtimeDir, id)
      if (isLeft) log.info({ container: id }, 'ending a container that nobody asks for any more')
      await this.release(id)
    }
    return found
  }

  #adopt(id: string, record: RecordedPid | undefined): LaunchedProcess {
    const { guard, tree } = this.#o
    const pid = record?.pid ?? tree.members(id)[0] ?? 0
    this.#containers.set(pid, { id, pid, start: record?.start ?? '', kill: undefined })
    let whyNeverRan: string | undefined
    const wait = async (): Promise<number> => {
      if (record) await this.#adopted.ended(record.pid, record.start)
      // The agent died before it could write down whom it had started.
      else {
        for (let [first] = tree.members(id); first !== undefined; [first] = tree.members(id))
          await this.#adopted.ended(first, readStat(first)?.start ?? '')
      }
      // The agent ends: somebody else will ask.
      if (guard.isClosed) return new Promise<number>(() => {})
      this.#containers.delete(pid)
      const end = readEnd(guard.runtimeDir, id)
      if (end && 'whyNeverRan' in end) whyNeverRan = end.whyNeverRan
      return end && 'waitStatus' in end ? end.waitStatus : endedBySignal(constants.signals.SIGKILL)
    }
    return { pid, exited: wait(), whyNeverRan: () => whyNeverRan }
  }

  entrance(
    containerId: string,
    pid: number,
    { namespaces, root, network }: LaunchPlan,
  ): Entrance | undefined {
    const { tree, controllers, nsenter } = this.#o
    if (!this.#containers.has(pid)) return undefined
    const inside = this.#inside(containerId, pid)
    if (inside === undefined || existsSync(`/proc/${inside}/fd/${UNFINISHED_FD}`)) return undefined
    const doors = tree.doors(containerId, controllers)
    return {
      front: enterCommand({ sh: SHELL, nsenter, pid: inside, namespaces, root, network, doors }),
      env: {},
      pid: inside,
    }
  }

  /** Its init: of all that is in its groups the process that is nearest to the one that was started, or that one itself. */
  #inside(containerId: string, started: number): number | undefined {
    let nearest: { readonly pid: number; readonly steps: number } | undefined
    for (const pid of this.#o.tree.members(containerId)) {
      let steps = 0
      for (let at: number | undefined = pid; at !== started && steps <= MAX_STEPS; steps++) {
        at = at === undefined ? undefined : readStat(at)?.parent
      }
      if (steps <= MAX_STEPS && steps < (nearest?.steps ?? Infinity)) nearest = { pid, steps }
    }
    return nearest?.pid
  }

  killTree(pid: number, signal: KillSignal): void {
    const container = this.#containers.get(pid)
    // Who ends because the agent does must not take along what survives it.
    if (this.#o.guard.isClosed) return
    if (!container || container.kill === 'SIGKILL' || container.kill === signal) return
    container.kill = signal
    if (signal === 'SIGKILL') this.#destroy(container, AGAIN_MS)
    else this.#terminate(container, AGAIN_MS)
  }

  async release(containerId: string): Promise<void> {
    const { guard, tree, controllers, destroyTimeoutMs, log } = this.#o
    let waitedMs = 0
    for (
      let waitMs = 1;
      !tree.remove(containerId, controllers);
      waitMs = Math.min(2 * waitMs, MAX_AGAIN_MS)
    ) {
      if (guard.isClosed) return
      // What its first process left behind.
      tree.kill(containerId)
      await new Promise(resolve => setTimeout(resolve, waitMs))
      waitedMs += waitMs
      if (waitedMs < destroyTimeoutMs) continue
      return log.error(
        { container: containerId, processes: tree.members(containerId) },
        'the control groups of a container could not be removed',
      )
    }
    if (survivalOf(guard.runtimeDir, containerId) === undefined) this.#forget(containerId)
  }

  forget(containerId: string): void {
    forgetSurvival(this.#o.guard.runtimeDir, containerId)
    // One that still runs is cleared away when it has ended.
    for (const { id } of this.#containers.values()) if (id === containerId) return
    this.#forget(containerId)
  }

  /**
   * The record by which the guard finds the groups goes last. Files are known by name, which saves a look; the directory nobody
   * waits for, since some disks take a millisecond.
   */
  #forget(containerId: string): void {
    const { guard, log } = this.#o
    const directory = containerRuntimeDir(guard.runtimeDir, containerId)
    const failed = (error: unknown): void => {
      // It was never prepared; or it is asked for twice: when the container is gone, and when its end is on disk.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      log.warn({ directory, error }, 'a runtime directory could not be removed')
    }
    try {
      for (const path of RECORDS) {
        rmSync(path(guard.runtimeDir, containerId), { force: true })
      }
      rmdir(directory).catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  close(): Promise<void> {
    this.#adopted.close()
    return this.#o.guard.close()
  }

  #spawn(spec: LaunchSpec, plan: LaunchPlan): Promise<ChildProcess> {
    const { guard, tree, controllers, unshare, nsenter, setsid, programs } = this.#o
    const id = spec.containerId
    const { initially, front } = splitEnvironment(spec.env)
    const command = initCommand({
      sh: SHELL,
      unshare,
      nsenter,
      setsid,
      plan,
      mounts: plan.joins
        ? []
        : mountWords(plan, { sandbox: spec.cwd, secretsDir: secretsDir(guard.runtimeDir) }),
      programs,
      sandbox: spec.cwd,
      statusPath: statusPath(guard.runtimeDir, id),
      leasePath: spec.survives ? survivesPath(guard.runtimeDir, id) : guard.leasePath,
      doors: tree.doors(id, controllers),
      front,
      argv: named(spec, plan.root?.toolbox.command(BASH)),
    })
    return this.#spawner.start({ spec, plan, command, env: initially })
  }

  /**
   * How it ended: the init wrote it down, unless it was killed itself, or never was there. unshare(1) in front of it is no
   * witness: whether it passes on that its child was killed depends on its version.
   */
  #end({ id, kill }: Container, code: number | null, signal: NodeJS.Signals | null): RecordedEnd {
    // The init makes the file before it does anything else.
    const text = textOf(statusPath(this.#o.guard.runtimeDir, id))
    const end = parseEnd(text ?? '')
    if (end) return end
    if (signal) return { waitStatus: endedBySignal(constants.signals[signal]) }
    if (text !== undefined || kill === 'SIGKILL') {
      return { waitStatus: endedBySignal(constants.signals.SIGKILL) }
    }
    return { whyNeverRan: `its namespaces could not be made, or its status not written (${code})` }
  }

  /**
   * SIGTERM to all but the init, which has to tell how they end. In a pid namespace the init is process 1, to which the
   * kernel passes no signal that it does not handle, either. Nor to an nsenter that waits: it would end at once, and what joined a
   * container would be killed with it, before it could end by itself.
   */
  #terminate(container: Container, againMs: number): void {
    const { id, pid, isBehindDoor } = container
    if (container.kill !== 'SIGTERM' || !this.#containers.has(pid)) return
    const members = this.#o.tree.members(id)
    const init = members.includes(pid) ? pid : this.#inside(id, pid)
    const told = members.filter(
      member => member !== init && !(isBehindDoor && readStat(member)?.parent === init),
    )
    for (const member of told) signalTo(member, 'SIGTERM')
    // An init alone has not started its program yet.
    if (told.length > 0 || againMs > MAX_AGAIN_MS) return
    this.#again(() => this.#terminate(container, againMs * 2), againMs)
  }

  /** Kills everything that is in the groups, and whoever is on the way there, until the first process has ended. */
  #destroy(container: Container, againMs: number): void {
    const { id, pid, start } = container
    if (!this.#containers.has(pid)) return
    this.#o.tree.kill(id)
    if (start === undefined || lives(pid, start)) signalTo(-pid, 'SIGKILL')
    this.#again(() => this.#destroy(container, Math.min(againMs * 2, MAX_AGAIN_MS)), againMs)
  }

  #again(act: () => void, ms: number): void {
    setTimeout(() => {
      if (!this.#o.guard.isClosed) act()
    }, ms).unref()
  }
}

const RECORDS = [survivesPath, terminalPath, inputPath, statusPath, pidPath, cgroupsPath]

/** Whether it is a container of agents of this token. */
function isRecordedFor({ runtimeDir, token }: AgentGuard, id: string): boolean {
  if (survivalOf(runtimeDir, id) === token) return true
  return textOf(cgroupsPath(runtimeDir, id))?.startsWith(`${token}\n`) ?? false
}

function signalTo(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // Ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
