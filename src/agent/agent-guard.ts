// Starts and ends the guard of this agent: the process that ends all tasks when the agent dies, however it dies. One of the
// few files that may touch the world.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { messageOf, UserError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { makeDirectories } from './make-directories.ts'
import { containersDir } from './paths.ts'
import { readStat } from './process-table.ts'
import { GUARD } from './shell-scripts.ts'

const SHELL = '/bin/sh'

/** A guard that ends sooner than this is not started again: something is wrong with the machine. */
const GUARD_MIN_LIFE_MS = 1_000

export interface AgentGuardOptions {
  /** Made if need be. May be shared by several agents. */
  readonly runtimeDir: string
  readonly log: Logger
  /** Directories that the guard removes in the end, if nothing is in them. */
  readonly removes?: readonly string[]
}

export class AgentGuard {
  readonly runtimeDir: string
  /** Names this agent's containers among those of others with the same runtime directory. */
  readonly token = randomBytes(12).toString('hex')
  readonly #log: Logger
  #guard: ChildProcess | undefined
  #closed = false

  private constructor(options: AgentGuardOptions) {
    this.runtimeDir = options.runtimeDir
    this.#log = options.log
  }

  /**
   * Makes the runtime directory, ends what agents left there whose guards died with them, and starts this agent's
   * guard. Throws a `UserError` if the directory cannot be used.
   */
  static start(options: AgentGuardOptions): AgentGuard {
    const guard = new AgentGuard(options)
    try {
      makeDirectories(containersDir(options.runtimeDir))
      makeDirectories(guard.#leasesDir)
      guard.#sweep()
      guard.#endOrphans()
      writeFileSync(guard.leasePath, leaseText(options.removes ?? []))
    } catch (error) {
      throw new UserError(
        'not_permitted',
        `The runtime directory '${options.runtimeDir}' cannot be used: ${messageOf(error)}.`,
        { hint: 'Give a directory that the agent may write to with --runtime_dir.', cause: error },
      )
    }
    guard.#start()
    return guard
  }

  /** While this file is there, the guard watches. */
  get leasePath(): string {
    return `${this.#leasesDir}/${this.token}`
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Kills all containers and ends the guard, as the end of the process would. Resolves when the guard is done. */
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
    return `${this.runtimeDir}/leases`
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

  /** Leases whose agents do not live any more belong to guards that died as well: each gets a guard that acts now. */
  #endOrphans(): void {
    for (const token of readdirSync(this.#leasesDir)) {
      if (!/^[0-9a-f]{24}$/.test(token) || leaseIsHeld(`${this.#leasesDir}/${token}`)) continue
      this.#log.warn(
        { token },
        'ending what an agent left behind that died together with its guard',
      )
      const guard = spawnGuard(this.runtimeDir, token)
      guard.stdin?.end()
    }
  }

  #start(): void {
    const startedAtMs = performance.now()
    const guard = spawnGuard(this.runtimeDir, this.token)
    this.#guard = guard
    const ended = (why: string): void => {
      if (this.#closed) return
      this.#log.error({ why }, 'the guard that ends tasks when the agent dies has ended itself')
      if (performance.now() - startedAtMs >= GUARD_MIN_LIFE_MS) this.#start()
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

/** Who holds a lease: its pid and start time. Below it, what the guard is to remove. */
function leaseText(removes: readonly string[]): string {
  return [`${process.pid} ${readStat(process.pid)?.start ?? ''}`, ...removes, ''].join('\n')
}

function leaseIsHeld(path: string): boolean {
  const [pid, start] = readFileSync(path, 'utf8').split('\n')[0]!.split(' ')
  return pid !== undefined && readStat(Number(pid))?.start === start
}
