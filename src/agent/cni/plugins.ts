// Runs CNI plugins, and the few other programs that networks need: bounded in number, time and output. One of the few files that
// may touch the world.
//
// A plugin is the operator's program and runs as root, in the agent's own namespaces. What it is given of a framework's is in its
// standard input, as JSON, and never in its environment or its name.

import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { messageOf, UserError } from '../../base/errors.ts'

/** At a time; the others wait. Most wait for each other anyway: for iptables' lock, or for that of the addresses. */
const MAX_AT_ONCE = 8
const TIMEOUT_MS = 60_000
const MAX_STDOUT = 2 ** 20
const MAX_STDERR = 16 * 2 ** 10
/** What a plugin left running may hold its output; it is not waited for. */
const OUTPUT_MS = 1_000

export interface Answer {
  readonly ok: boolean
  readonly stdout: string
  /** Begins with why it was killed, or not started. */
  readonly stderr: string
}

export interface Run {
  readonly argv: readonly [string, ...string[]]
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly stop?: AbortSignal | undefined
  readonly timeoutMs?: number
}

/** `path`: the PATH of plugins, in which they look for iptables and the like. */
export class Plugins {
  readonly directories: readonly string[]
  readonly #path: string
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(directories: readonly string[], path: string) {
    this.directories = directories
    this.#path = path
  }

  /** Where a plugin is. Throws a `UserError` if nowhere. */
  find(type: string): string {
    const path = this.directories
      .map(directory => `${directory}/${type}`)
      .find(each => isExecutable(each))
    if (path !== undefined) return path
    const where = this.directories.join(':')
    throw new UserError('not_found', `there is no CNI plugin '${type}' in ${where}`)
  }

  /** Never rejects. */
  async run(run: Run): Promise<Answer> {
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>(go => this.#waiting.push(go))
    else this.#running++
    try {
      return await this.#run(run)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  #run({ argv, env, input, stop, timeoutMs = TIMEOUT_MS }: Run): Promise<Answer> {
    return new Promise(resolve => {
      const [program, ...args] = argv
      const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
      let [outBytes, errBytes] = [0, 0]
      let why = ''
      const child = spawn(program, args, {
        cwd: '/',
        env: { PATH: this.#path, ...env },
        stdio: 'pipe',
        // A group of its own: with a plugin go those that it has called.
        detached: true,
      })
      const kill = (reason: string): void => {
        why ||= reason
        try {
          process.kill(-child.pid!, 'SIGKILL')
        } catch {
          // It has ended.
        }
      }
      child.stdin.on('error', () => {})
      child.stdin.end(input ?? '')
      child.stdout.on('data', (bytes: Buffer) => {
        outBytes += bytes.length
        if (outBytes > MAX_STDOUT) kill('it said too much')
        else stdout.push(bytes)
      })
      child.stderr.on('data', (bytes: Buffer) => {
        if (errBytes < MAX_STDERR) stderr.push(bytes)
        errBytes += bytes.length
      })
      const timer = setTimeout(
        () => kill(`it did not end within ${timeoutMs / 1_000} s`),
        timeoutMs,
      )
      const stopped = (): void => kill('it is not wanted any more')
      stop?.addEventListener('abort', stopped)
      if (stop?.aborted) stopped()
      const done = (code: number | null): void => {
        clearTimeout(timer)
        stop?.removeEventListener('abort', stopped)
        const said = Buffer.concat(stderr).toString('utf8').slice(0, MAX_STDERR).trim()
        resolve({
          ok: code === 0 && why === '',
          stdout: Buffer.concat(stdout).toString('utf8'),
          stderr: [why, said].filter(text => text !== '').join('; '),
        })
      }
      child.once('error', error => {
        why ||= messageOf(error)
        done(null)
      })
      child.once('exit', code => {
        const patience = setTimeout(() => {
          child.stdout.destroy()
          child.stderr.destroy()
        }, OUTPUT_MS)
        child.once('close', () => {
          clearTimeout(patience)
          done(code)
        })
      })
    })
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
