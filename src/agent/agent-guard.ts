// Starts and ends the guard of this agent: the process that ends tasks when the agent dies, however it dies; those that survive it
// only if no other agent comes in time. One of the few files that may touch the world.
//
// Agents of one work directory have one *token*, so that the records and marks of what survived are the next one's own. Each has a
// *life* of its own, and with it a lease. An agent that takes over
//
// 1. removes the leases of dead agents of its token: what they were just starting ends itself,
// 2. ends their guard, which is on record in `guards/<token>`: it must not end what this one launches,
// 3. has what does not survive ended, whether or not the guard had come to that,
// 4. takes a lease, and starts a guard; launches only when that one is on record.
//
// If it dies in between, whoever survived is watched by nobody until an agent starts: one of this work directory, or another
// one with the same runtime directory, which gives such tokens a guard (`#endOrphans`).

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { messageOf, UserError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { lives } from './adopted-processes.ts'
import { recordToken, survivalOf, textOf } from './container-records.ts'
import { makeDirectories } from './make-directories.ts'
import { containersDir, dockerContainersDir } from './paths.ts'
import { isAnyLeftBehind, readStat } from './process-table.ts'
import { DEFAULT_SETTINGS } from './settings.ts'
import { GUARD } from './shell-scripts.ts'

const SHELL = '/bin/sh'

/** A guard that ends sooner than this is not started again: something is wrong with the machine. */
const GUARD_MIN_LIFE_MS = 1_000
/** What was killed is a moment in dying. */
const AGAIN_MS = 5
const MAX_DYING_MS = 5_000

export interface AgentGuardOptions {
  /** Made if need be. May be shared by several agents. */
  readonly runtimeDir: string
  readonly log: Logger
  /** Names the containers of this agent and of those before it; 24 hexadecimal digits. Default: a new one. */
  readonly token?: string
  /** How long containers that survive may be without an agent. */
  readonly recoveryTimeoutMs?: number
  /** Directories that the guard removes in the end, if nothing is in them. */
  readonly removes?: readonly string[]
}

export const newToken = (): string => randomBytes(12).toString('hex')
export const isToken = (text: string): boolean => /^[0-9a-f]{24}$/.test(text)

export class AgentGuard {
  readonly runtimeDir: string
  /** Names this agent's containers among those of others with the same runtime directory. */
  readonly token: string
  readonly #life = randomBytes(4).toString('hex')
  readonly #log: Logger
  readonly #patienceS: number
  #guard: ChildProcess | undefined
  #closed = false

  private constructor(options: AgentGuardOptions) {
    const {
      runtimeDir,
      log,
      token,
      recoveryTimeoutMs = DEFAULT_SETTINGS.recoveryTimeoutMs,
    } = options
    this.runtimeDir = runtimeDir
    this.token = token ?? newToken()
    this.#log = log
    this.#patienceS = recoveryTimeoutMs / 1_000
  }

  /**
   * Makes the runtime directory, takes over from the agent before this one, ends what agents left there whose guards died
   * with them, and starts this agent's guard. Rejects with a `UserError` if the directory cannot be used.
   */
  static async start(options: AgentGuardOptions): Promise<AgentGuard> {
    const guard = new AgentGuard(options)
    const { runtimeDir } = options
    try {
      makeDirectories(containersDir(runtimeDir))
      makeDirectories(guard.#leasesDir)
      makeDirectories(guard.#guardsDir)
      guard.#forgetOtherBoots()
      await guard.#takeOver()
      recordToken(runtimeDir, guard.token)
      guard.#sweep()
      guard.#endOrphans()
      writeFileSync(guard.leasePath, leaseText(options.removes ?? []))
    } catch (error) {
      if (error instanceof UserError) throw error
      throw new UserError(
        'not_permitted',
        `The runtime directory '${runtimeDir}' cannot be used: ${messageOf(error)}.`,
        { hint: 'Give a directory that the agent may write to with --runtime_dir.', cause: error },
      )
    }
    await guard.#start()
    return guard
  }

  /** While this file is there, the guard watches. */
  get leasePath(): string {
    return `${this.#leasesDir}/${this.token}.${this.#life}`
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /**
   * Kills all containers that do not survive, as the end of the process would. Resolves when that is done; a guard that has
   * something left to watch goes on without us.
   */
  async close(): Promise<void> {
    this.#closed = true
    const guard = this.#guard
    if (guard && guard.exitCode === null) {
      await this.#dismiss(guard)
      // One that has something left to watch must not keep us.
      guard.unref()
      refOf(guard.stdout, false)
    }
    // A guard that was killed could not give it back.
    rmSync(this.leasePath, { force: true })
  }

  #dismiss(guard: ChildProcess): Promise<void> {
    return new Promise(resolve => {
      guard.once('exit', () => resolve())
      onLine(guard, 'done', resolve)
      guard.ref()
      refOf(guard.stdout, true)
      guard.stdin?.end()
    })
  }

  get #leasesDir(): string {
    return `${this.runtimeDir}/leases`
  }

  get #guardsDir(): string {
    return `${this.runtimeDir}/guards`
  }

  /** Process ids and start times of another boot name other processes. All that is recorded of it is gone. */
  #forgetOtherBoots(): void {
    const path = `${this.runtimeDir}/boot_id`
    const boot = textOf('/proc/sys/kernel/random/boot_id')
    const before = textOf(path)
    if (boot === undefined || boot === before) return
    if (before !== undefined) {
      for (const directory of [containersDir(this.runtimeDir), this.#leasesDir, this.#guardsDir]) {
        for (const name of readdirSync(directory))
          rmSync(`${directory}/${name}`, { recursive: true, force: true })
      }
    }
    writeFileSync(path, boot)
  }

  async #takeOver(): Promise<void> {
    const leases = readdirSync(this.#leasesDir).filter(name => name.startsWith(`${this.token}.`))
    for (const name of leases) {
      if (!isAlive(textOf(`${this.#leasesDir}/${name}`))) continue
      throw new UserError('path_in_use', 'Another agent of this work directory runs.', {
        hint: `Its process id is in ${this.#leasesDir}/${name}.`,
      })
    }
    for (const name of leases) rmSync(`${this.#leasesDir}/${name}`, { force: true })
    await this.#endGuard()
    if (!this.#hasSomethingToEnd()) return
    const sweeper = spawnGuard([this.runtimeDir, this.token, this.leasePath, ''])
    sweeper.stdin?.end()
    await new Promise<void>(resolve => {
      sweeper.ref()
      sweeper.once('exit', () => resolve())
      sweeper.once('error', () => resolve())
    })
  }

  /**
   * Whether anything is left but what survives its agent. What a guard does in a shell takes it some milliseconds for each
   * container and process, in which an agent with a thousand of them would not be there.
   */
  #hasSomethingToEnd(): boolean {
    const { runtimeDir, token } = this
    const isSpared = (id: string): boolean => survivalOf(runtimeDir, id) === token
    if (readdirSync(containersDir(runtimeDir)).some(id => !isSpared(id))) return true
    const docker = dockerContainersDir(runtimeDir, token)
    if (existsSync(docker) && readdirSync(docker).some(id => !isSpared(id))) return true
    return isAnyLeftBehind(token, isSpared)
  }

  /** With all that it has started itself. */
  async #endGuard(): Promise<void> {
    const path = `${this.#guardsDir}/${this.token}`
    const record = textOf(path)
    for (let waitedMs = 0; isAlive(record) && waitedMs < MAX_DYING_MS; waitedMs += AGAIN_MS) {
      try {
        process.kill(-Number.parseInt(record!, 10), 'SIGKILL')
      } catch {
        // It has ended.
      }
      await new Promise(resolve => setTimeout(resolve, AGAIN_MS))
    }
    rmSync(path, { force: true })
  }

  /** An agent that is killed while it makes or removes a record leaves its directory. With other agents it may be theirs. */
  #sweep(): void {
    if (readdirSync(this.#leasesDir).length > 0) return
    const directory = containersDir(this.runtimeDir)
    for (const name of readdirSync(directory)) {
      try {
        rmdirSync(`${directory}/${name}`)
      } catch {
        // It is not empty.
      }
    }
  }

  /** Tokens whose agents do not live any more, nor their guards: each gets a guard that acts now. */
  #endOrphans(): void {
    const leases = new Map<string, string>()
    for (const name of readdirSync(this.#leasesDir)) leases.set(name.split('.')[0]!, name)
    const tokens = new Set([...leases.keys(), ...readdirSync(this.#guardsDir)])
    for (const token of tokens) {
      if (!isToken(token) || token === this.token) continue
      if (isAlive(textOf(`${this.#guardsDir}/${token}`))) continue
      const lease = `${this.#leasesDir}/${leases.get(token) ?? `${token}.none`}`
      if (isAlive(textOf(lease))) continue
      this.#log.warn(
        { token },
        'ending what an agent left behind that died together with its guard',
      )
      if (!existsSync(lease)) writeFileSync(lease, leaseText([]))
      const guard = spawnGuard([this.runtimeDir, token, lease, String(this.#patienceS)])
      guard.stdin?.end()
    }
  }

  /** Resolves when the guard is on record. */
  async #start(): Promise<void> {
    const startedAtMs = performance.now()
    const guard = spawnGuard([this.runtimeDir, this.token, this.leasePath, String(this.#patienceS)])
    this.#guard = guard
    await new Promise<void>(resolve => {
      const ended = (why: string): void => {
        resolve()
        if (this.#closed) return
        this.#log.error({ why }, 'the guard that ends tasks when the agent dies has ended itself')
        if (performance.now() - startedAtMs >= GUARD_MIN_LIFE_MS) void this.#start()
      }
      onLine(guard, 'watching', resolve)
      guard.once('exit', (code, by) => ended(by ?? `exit status ${code}`))
      guard.once('error', error => ended(error.message))
      guard.ref()
    })
    // The guard must not keep an agent alive that has nothing else to do.
    guard.unref()
    refOf(guard.stdout, false)
  }
}

/** Whether an agent of this token is at work, or a guard that ends what it left. */
export function isWatched(runtimeDir: string, token: string): boolean {
  if (isAlive(textOf(`${runtimeDir}/guards/${token}`))) return true
  const leases = `${runtimeDir}/leases`
  if (!existsSync(leases)) return false
  return readdirSync(leases).some(
    name => name.startsWith(`${token}.`) && isAlive(textOf(`${leases}/${name}`)),
  )
}

function spawnGuard(args: readonly string[]): ChildProcess {
  const guard = spawn(SHELL, ['-c', GUARD, 'mesos-guard', ...args], {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  guard.unref()
  guard.stdin?.on('error', () => {})
  guard.stdout?.on('error', () => {})
  guard.stdout?.resume()
  refOf(guard.stdin, false)
  refOf(guard.stdout, false)
  return guard
}

function onLine(guard: ChildProcess, line: string, act: () => void): void {
  guard.stdout?.on('data', (bytes: Buffer) => {
    if (bytes.toString('latin1').includes(line)) act()
  })
}

/** Whether a pipe keeps this process alive. */
function refOf(pipe: unknown, keeps: boolean): void {
  const socket = pipe as { ref?: () => void; unref?: () => void } | null
  if (keeps) socket?.ref?.()
  else socket?.unref?.()
}

/** Who holds a lease: its pid and start time. Below it, what the guard is to remove. */
function leaseText(removes: readonly string[]): string {
  return [`${process.pid} ${readStat(process.pid)?.start ?? ''}`, ...removes, ''].join('\n')
}

/** Whether the process whose pid and start time a text begins with lives. */
function isAlive(text: string | undefined): boolean {
  const [pid, start] = text?.split('\n')[0]!.split(' ') ?? []
  return start !== undefined && start !== '' && lives(Number(pid), start)
}
