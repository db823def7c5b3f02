// Starts the first process of a container, with what it reads from and writes to. One of the few files that may touch the world.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf, UserError } from '../../base/errors.ts'
import type { AgentGuard } from '../agent-guard.ts'
import type { Input } from '../attachment.ts'
import type { ContainerLogger } from '../logger/container-logger.ts'
import { inputPath, terminalPath } from '../paths.ts'
import type { LaunchSpec } from '../processes.ts'
import { ChildOutputs, inputOf, inputThrough, type Resizable } from './child-io.ts'
import type { LaunchPlan } from './container.ts'
import { giveSecrets, secretsStdio } from './secrets.ts'
import type { StartedProcess } from './launcher.ts'
import { inTerminal, type TerminalPrograms } from './terminal.ts'

const run = promisify(execFile)

export interface SpawnOptions {
  readonly spec: LaunchSpec
  readonly plan: Pick<LaunchPlan, 'isAttached' | 'terminal' | 'owner' | 'secrets'>
  readonly command: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
}

/** As `spawn` takes them. */
type Stdio = 'ignore' | 'pipe' | number

interface Opened {
  close(): void
}

/** Starts containers' processes for one launcher. */
export class Spawner {
  readonly #guard: AgentGuard
  readonly #terminal: () => TerminalPrograms
  readonly #logger: ContainerLogger

  /** `terminal`: throws a `UserError` if the machine has not what terminals take. */
  constructor(guard: AgentGuard, terminal: () => TerminalPrograms, logger: ContainerLogger) {
    this.#guard = guard
    this.#terminal = terminal
    this.#logger = logger
  }

  /** Rejects with a `UserError` if the process could not be started. */
  async start({ spec, plan, command, env }: SpawnOptions): Promise<ChildProcess> {
    const files: Opened[] = []
    try {
      const stdio: Stdio[] = plan.isAttached
        ? ['pipe', 'pipe', 'pipe']
        : await this.#files(spec, plan, files)
      stdio.push(...secretsStdio(plan.secrets))
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
      if (child.pid !== undefined) {
        giveSecrets(child, plan.secrets)
        return child
      }
      const [error] = (await once(child, 'error')) as [Error]
      throw error
    } catch (error) {
      const why = `The process could not be started: ${messageOf(error)}`
      throw new UserError('internal', why, { cause: error })
    } finally {
      for (const file of files) file.close()
    }
  }

  async #files(
    spec: LaunchSpec,
    { terminal, owner }: SpawnOptions['plan'],
    files: Opened[],
  ): Promise<Stdio[]> {
    let input: Stdio = 'ignore'
    if (terminal) {
      const path = inputPath(this.#guard.runtimeDir, spec.containerId)
      await run(this.#terminal().mkfifo, ['-m', '600', path])
      // For reading and writing, so that no end of a writer is the end for its reader.
      const fifo = await open(path, 'r+')
      files.push({ close: () => void fifo.close().catch(() => {}) })
      input = fifo.fd
    }
    const outputs = await this.#logger.open(spec, owner)
    files.push(outputs)
    return [input, outputs.stdout, outputs.stderr]
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
