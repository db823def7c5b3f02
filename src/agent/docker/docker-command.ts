// Runs the docker command: bounded in number, time and output. One of the few files that may touch the world.

import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, resolve } from 'node:path'
import { messageOf } from '../../base/errors.ts'

/** At a time; the others wait. Each is a process of some 30 MB, for a quarter of a second. */
const MAX_COMMANDS = 8
const MAX_STDOUT = 16 * 2 ** 20
const MAX_STDERR = 16 * 2 ** 10
const TIMEOUT_MS = 60_000

export interface DockerAnswer {
  /** It exited with 0. */
  readonly ok: boolean
  /** Its exit status; undefined if it was killed, or not started. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface DockerRun {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Takes as long as it takes, and keeps no others waiting. */
  readonly isLong?: boolean
}

/** The path of the command, since the guard has a PATH of its own; undefined if it is not there. */
export function findCommand(name: string, path: string): string | undefined {
  const places = name.includes('/') ? [''] : path.split(delimiter).map(place => `${place}/`)
  return places
    .map(place => resolve(`${place}${name}`))
    .find(each => {
      try {
        accessSync(each, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** What the command sees. Nothing of it is a task's, which could have it load what it likes. */
export const commandEnvironment = (path: string): Readonly<Record<string, string>> => ({
  PATH: path,
  HOME: homedir(),
})

export class DockerCommand {
  /** The command, and the options before all others. */
  readonly words: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(words: readonly [string, ...string[]], env: Readonly<Record<string, string>>) {
    this.words = words
    this.env = env
  }

  /** Rejects only if the words cannot be those of a command: a NUL among them, or too many. */
  async run(args: readonly string[], options: DockerRun = {}): Promise<DockerAnswer> {
    if (options.isLong) return this.#run(args, options)
    if (this.#running >= MAX_COMMANDS) await new Promise<void>(go => this.#waiting.push(go))
    else this.#running++
    try {
      return await this.#run(args, { timeoutMs: TIMEOUT_MS, ...options })
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  #run(args: readonly string[], { timeoutMs, signal }: DockerRun): Promise<DockerAnswer> {
    return new Promise(resolve => {
      const [program, ...first] = this.words
      const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
      let why = ''
      let [outBytes, errBytes] = [0, 0]
      const child = spawn(program, [...first, ...args], {
        cwd: '/',
        env: this.env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const stop = (reason: string): void => {
        why ||= reason
        child.kill('SIGKILL')
      }
      child.stdout.on('data', (bytes: Buffer) => {
        outBytes += bytes.length
        if (outBytes > MAX_STDOUT) stop('docker said too much')
        else stdout.push(bytes)
      })
      child.stderr.on('data', (bytes: Buffer) => {
        if (errBytes < MAX_STDERR) stderr.push(bytes)
        errBytes += bytes.length
      })
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => stop(`docker did not answer within ${timeoutMs / 1000} s`), timeoutMs)
      const aborted = (): void => stop('it is not wanted any more')
      signal?.addEventListener('abort', aborted)
      if (signal?.aborted) aborted()
      const done = (code: number | undefined): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
        const said = Buffer.concat(stderr).toString('utf8')
        resolve({
          ok: code === 0 && why === '',
          code: why === '' ? code : undefined,
          stdout: Buffer.concat(stdout).toString('utf8'),
          stderr: why === '' ? said : `${said}\n${why}`,
        })
      }
      child.once('error', error => {
        why ||= messageOf(error)
        done(undefined)
      })
      child.once('close', code => done(code ?? undefined))
    })
  }
}
