// Starts the first process of a container, with what it reads from and writes to. One of the few files that may touch the world.

import { type ChildProcess, execFile, spawn, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf, UserError } from '../../base/errors.ts'
import type { AgentGuard } from '../agent-guard.ts'
import type { Input } from '../attachment.ts'
import { OUTPUT_FLAGS, OUTPUT_MODE } from '../output-files.ts'
import { inputPath, terminalPath } from '../paths.ts'
import type { LaunchSpec } from '../processes.ts'
import { ChildOutputs, inputOf, inputThrough, type Resizable } from './child-io.ts'
import type { LaunchPlan } from './container.ts'
import type { StartedProcess } from './launcher.ts'
import { inTerminal, type TerminalPrograms } from './terminal.ts'

const run = promisify(execFile)

export interface SpawnOptions {
  readonly spec: Pick<LaunchSpec, 'containerId' | 'cwd' | 'stdoutPath' | 'stderrPath'>
  readonly plan: Pick<LaunchPlan, 'isAttached' | 'terminal' | 'owner'>
  readonly command: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
}

/** Starts containers' processes for one launcher. */
export class Spawner {
  readonly #guard: AgentGuard
  readonly #terminal: () => TerminalPrograms

  /** `terminal`: throws a `UserError` if the machine has not what terminals take. */
  constructor(guard: AgentGuard, terminal: () => TerminalPrograms) {
    this.#guard = guard
    this.#terminal = terminal
  }

  /** Rejects with a `UserError` if the process could not be started. */
  async start({ spec, plan, command, env }: SpawnOptions): Promise<ChildProcess> {
    const files: FileHandle[] = []
    try {
      const stdio = plan.isAttached ? 'pipe' : await this.#files(spec, plan, files)
      if (this.#guard.isClosed) throw new UserError('unavailable', 'The agent ends.')
      const [program, ...args] = plan.terminal
        ? inTerminal(command, {
            programs: this.#terminal(),
            size: plan.terminal,
            ...(plan.owner && { uid: plan.owner.uid }),
            noted: terminalPath(this.#guard.runtimeDir, spec.containerId),
          })
        : command
      // A session of its own: a Ctrl-C in the agent's terminal is not meant for tasks.
      const child = spawn(program, args, { cwd: spec.cwd, env, stdio, detached: true })
      if (child.pid !== undefined) return child
      const [error] = (await once(child, 'error')) as [Error]
      throw error
    } catch (error) {
      const why = `The process could not be started: ${messageOf(error)}`
      throw new UserError('internal', why, { cause: error })
    } finally {
      for (const file of files) void file.close().catch(() => {})
    }
  }

  /** Sandboxes are on a disk, where making a file may take milliseconds: the agent does not wait for that. */
  async #files(
    { containerId, stdoutPath, stderrPath }: SpawnOptions['spec'],
    { terminal }: SpawnOptions['plan'],
    files: FileHandle[],
  ): Promise<StdioOptions> {
    if (terminal) {
      const path = inputPath(this.#guard.runtimeDir, containerId)
      await run(this.#terminal().mkfifo, ['-m', '600', path])
      // For reading and writing, so that no end of a writer is the end for its reader.
      files.push(await open(path, 'r+'))
    }
    for (const path of [stdoutPath, stderrPath]) {
      files.push(await open(path, OUTPUT_FLAGS, OUTPUT_MODE))
    }
    const fds = files.map(({ fd }) => fd)
    return terminal ? fds : ['ignore', ...fds]
  }

  /** What the agent holds of a process that was started so. */
  ends(
    child: ChildProcess,
    { spec, plan }: Pick<SpawnOptions, 'spec' | 'plan'>,
  ): Pick<StartedProcess, 'input' | 'output'> {
    if (!plan.isAttached) return {}
    const terminal = plan.terminal && this.#resizable(spec.containerId)
    return { input: inputOf(child, terminal), output: new ChildOutputs(child) }
  }

  /** Into a container that was started with a terminal, by whichever agent. */
  input(containerId: string): Input | undefined {
    const fifo = inputPath(this.#guard.runtimeDir, containerId)
    return inputThrough(fifo, this.#resizable(containerId))
  }

  #resizable(containerId: string): Resizable {
    const { stty } = this.#terminal()
    return { stty, noted: terminalPath(this.#guard.runtimeDir, containerId) }
  }
}
