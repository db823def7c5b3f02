// What a benchmark opens, and how it is closed again whatever happens: child processes by their pid, temporary folders.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Commands, Program, programFile } from './program.ts'

/** A child that was asked to end has this long before it is killed. */
const END_LIMIT_MS = 3_000

/** Opened in some order, closed in the reverse one. */
export class Scope {
  readonly #closers: (() => void | Promise<void>)[] = []
  readonly #children = new Set<ChildProcess>()
  readonly #folders = new Set<string>()
  readonly #inner = new Set<Scope>()

  /** Has `close` run when the scope is closed. */
  defer(close: () => void | Promise<void>): void {
    this.#closers.push(close)
  }

  /** A scope inside this one, for what is closed before the rest. */
  nested(): Scope {
    const inner = new Scope()
    this.#inner.add(inner)
    this.defer(() => {
      this.#inner.delete(inner)
      return inner.close()
    })
    return inner
  }

  /** An empty folder, removed with all it holds by then. */
  temporaryFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'mesos-bench-'))
    this.#folders.add(folder)
    this.defer(() => this.#remove(folder))
    return folder
  }

  /** Starts a process; asked to end (SIGTERM) and then killed when the scope is closed. */
  start(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    // A command that does not exist has no exit; what waits for it hears of it by its own time limit.
    child.once('error', () => this.#children.delete(child))
    this.defer(() => end(child))
    return child
  }

  /** Starts a program of `bench/programs/` that takes commands from this process, with these options for Node. */
  program<C extends Commands>(name: string, options: readonly string[] = []): Program<C> {
    const args = ['--enable-source-maps', ...options, programFile(name)]
    const child = this.start(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    return new Program<C>(name, child)
  }

  /** Ends and removes everything; every closer runs, and the first failure is thrown afterwards. */
  async close(): Promise<void> {
    // All at once, so that none has the time to complain of another's end.
    for (const child of this.#children) child.kill('SIGTERM')
    const failures: unknown[] = []
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** For the end of this process, when nothing can be waited for any more. */
  closeNow(): void {
    for (const inner of this.#inner) inner.closeNow()
    for (const child of this.#children) child.kill('SIGKILL')
    for (const folder of this.#folders) this.#remove(folder)
  }

  #remove(folder: string): void {
    this.#folders.delete(folder)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  const limit = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS)
  await exited
  clearTimeout(limit)
}
