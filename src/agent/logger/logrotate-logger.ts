// The logger `org_apache_mesos_LogrotateContainerLogger`, as the agent has it: starts the log writer (log-writer.ts), asks it for FIFOs
// for each container, and starts it anew if it ends. One of the few files that may touch the world.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../base/errors.ts'
import type { Logger } from '../../base/log.ts'
import type { Account } from '../containerizer/container.ts'
import { makeDirectories } from '../make-directories.ts'
import type { LaunchSpec } from '../processes.ts'
import type { ContainerLogger, Outputs } from './container-logger.ts'
import { lineReader, parseLine, pipeDir, Report, type Request } from './protocol.ts'
import { type Rotations, rotationsOf } from './rotation.ts'

const PROGRAM = 'container-log-writer.js'
/** It has little to remember: a small heap is swept often, and stays small. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=0']

/** A writer that does not answer for so long has no place to write to, or stands still. */
const ANSWER_MS = 30_000
/** Of what has ended the last lines may be missing: it is told of all the same. */
const ENDING_MS = 2_000
const MIN_LIFE_MS = 1_000
const LEAVING_MS = 500

export interface LogrotateLoggerOptions {
  readonly runtimeDir: string
  readonly token: string
  readonly rotations: Rotations
  /** Of the variables by which a container has other rotations. */
  readonly prefix: string
  readonly log: Logger
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class LogrotateLogger implements ContainerLogger {
  readonly #o: LogrotateLoggerOptions
  readonly #directory: string
  #writer: ChildProcess | undefined
  #ready: Promise<void> = Promise.resolve()
  #isClosed = false
  /** What it writes for, as far as it has said. */
  readonly #containers = new Set<string>()
  readonly #opening = new Map<string, Waiting>()
  readonly #ending = new Map<string, () => void>()

  private constructor(options: LogrotateLoggerOptions) {
    this.#o = options
    this.#directory = `${options.runtimeDir}/logs/${options.token}`
  }

  /** Resolves when its writer goes on with what the one before it wrote. */
  static async start(options: LogrotateLoggerOptions): Promise<LogrotateLogger> {
    const logger = new LogrotateLogger(options)
    makeDirectories(logger.#directory)
    logger.#start()
    await logger.#ready
    return logger
  }

  async open(spec: LaunchSpec, owner: Account | undefined): Promise<Outputs> {
    const { rotations, prefix } = this.#o
    const id = spec.containerId
    const { stdoutPath, command } = spec
    const directory = dirname(stdoutPath)
    const of = rotationsOf(rotations, prefix, command)
    await this.#ready
    const { uid, gid } = owner ?? {}
    await this.#ask({
      open: { id, directory, ...of, ...(uid !== undefined && { owner: { uid, gid: gid! } }) },
    })
    this.#containers.add(id)
    const at = pipeDir(this.#directory, id)
    const files: number[] = []
    const close = (): void => {
      for (const file of files) closeSync(file)
      this.#tell({ start: id })
    }
    try {
      for (const path of [stdoutPath, spec.stderrPath]) {
        files.push(openSync(`${at}/${basename(path)}`, constants.O_RDWR | constants.O_NOFOLLOW))
      }
      return { stdout: files[0]!, stderr: files[1]!, close }
    } catch (error) {
      close()
      throw error
    }
  }

  async ended(containerId: string): Promise<void> {
    if (!this.#containers.has(containerId)) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      this.#ending.set(containerId, resolve)
      timer = setTimeout(resolve, ENDING_MS)
    })
    clearTimeout(timer)
    this.#ending.delete(containerId)
    this.#containers.delete(containerId)
  }

  /** One that has nothing left to write ends at once; another one goes on without us. */
  async close(): Promise<void> {
    this.#isClosed = true
    const writer = this.#writer
    if (!writer || writer.exitCode !== null) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      writer.once('exit', () => resolve())
      timer = setTimeout(resolve, LEAVING_MS)
      writer.stdin?.end()
    })
    clearTimeout(timer)
  }

  #start(): void {
    const { log } = this.#o
    const startedAtMs = performance.now()
    const writer = spawn(process.execPath, [...NODE_FLAGS, programPath(), this.#directory], {
      cwd: '/',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', UV_THREADPOOL_SIZE: '1' },
      stdio: ['pipe', 'pipe', 'ignore'],
      // It outlives us, and what ends our session.
      detached: true,
    })
    this.#writer = writer
    writer.stdin.on('error', () => {})
    writer.stdout.on('error', () => {})
    this.#ready = new Promise((resolve, reject) => {
      const late = new UserError('unavailable', 'The log writer does not answer.')
      const timer = setTimeout(() => reject(late), ANSWER_MS)
      const ready = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const ended = (why: string): void => {
        clearTimeout(timer)
        const error = new UserError('unavailable', `The log writer has ended: ${why}.`)
        reject(error)
        for (const { reject: failed } of this.#opening.values()) failed(error)
        this.#opening.clear()
        if (this.#isClosed) return
        log.error({ why }, 'the log writer has ended; starting another one')
        const livedMs = performance.now() - startedAtMs
        setTimeout(() => this.#isClosed || this.#start(), livedMs < MIN_LIFE_MS ? MIN_LIFE_MS : 0)
      }
      writer.once('exit', (code, by) => ended(by ?? `exit status ${code}`))
      writer.once('error', error => ended(error.message))
      writer.stdout.on(
        'data',
        lineReader(line => {
          const report = parseLine(Report, line)
          if (report) this.#heard(report, ready)
        }),
      )
    })
    // Whoever opens something hears of it.
    this.#ready.catch(() => {})
    // It must not keep an agent alive that has nothing else to do.
    for (const handle of [writer, writer.stdin, writer.stdout]) unref(handle)
  }

  #heard(report: Report, ready: () => void): void {
    if ('ready' in report) {
      this.#containers.clear()
      for (const id of report.ready) this.#containers.add(id)
      ready()
    } else if ('opened' in report) this.#opening.get(report.opened)?.resolve()
    else if ('failed' in report) {
      const why = `its output could not be opened: ${report.why}`
      this.#opening.get(report.failed)?.reject(new UserError('internal', why))
    } else if ('ended' in report) {
      this.#containers.delete(report.ended)
      this.#ending.get(report.ended)?.()
    } else this.#o.log.warn({ container: report.of }, report.warning)
  }

  async #ask(request: Extract<Request, { open: unknown }>): Promise<void> {
    const { id } = request.open
    let timer: NodeJS.Timeout | undefined
    const answered = new Promise<void>((resolve, reject) => {
      this.#opening.set(id, { resolve, reject })
      timer = setTimeout(
        () => reject(new UserError('unavailable', 'The log writer does not answer.')),
        ANSWER_MS,
      )
    })
    this.#tell(request)
    try {
      await answered
    } finally {
      clearTimeout(timer)
      this.#opening.delete(id)
    }
  }

  #tell(request: Request): void {
    this.#writer?.stdin?.write(`${JSON.stringify(request)}\n`)
  }
}

/** Beside the agent's own program, or where the modules are that it is made of. */
function programPath(): string {
  const beside = fileURLToPath(new URL(PROGRAM, import.meta.url))
  return existsSync(beside)
    ? beside
    : fileURLToPath(new URL(`../../cli/bin/${PROGRAM}`, import.meta.url))
}

function unref(handle: unknown): void {
  ;(handle as { unref?: () => void } | null)?.unref?.()
}
