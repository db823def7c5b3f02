// What really ran in a simulated cluster, seen from the machines: no component's word is taken for it.

import type { LaunchSpec } from '../agent/processes.ts'
import type { Runtime } from '../actors/runtime.ts'
import type { AgentHost } from './cluster.ts'
import { shellProgram, type VirtualProcess, type VirtualProgram } from './virtual-processes.ts'

const SIGNAL_BITS = 0x7f

/** A command that begins with this ends on SIGKILL only. */
export const STUBBORN = ': stubborn; '

type OwnEnd = 'TASK_FINISHED' | 'TASK_FAILED'

export interface TaskRun {
  readonly host: AgentHost
  /** The agent's process that started it; another one is there after a crash. */
  readonly agent: Runtime
  over: boolean
  /** How it ended of itself; undefined: it did not, or only its executor knows. */
  own: OwnEnd | undefined
}

export class TaskRuns {
  readonly #runs = new Map<string, TaskRun>()
  readonly #violation: (text: string) => void

  constructor(violation: (text: string) => void) {
    this.#violation = violation
  }

  /** For `ClusterOptions.program`: command tasks. */
  readonly program = (host: AgentHost, spec: LaunchSpec): VirtualProgram => {
    const { MESOS_FRAMEWORK_ID: framework = '', MESOS_EXECUTOR_ID: executor = '' } = spec.env
    const task = spec.env['MESOS_TASK_ID'] ?? executor
    let process: VirtualProcess | undefined
    return {
      ...shellProgram(spec),
      ignoresSigterm: spec.argv.at(-1)?.startsWith(STUBBORN) ?? false,
      onStart: started => {
        process = started
        this.begin(framework, task, host)
      },
      onEnd: waitStatus => this.finish(framework, task, ownEnd(process?.signals ?? [], waitStatus)),
    }
  }

  /** A task's first instruction. Task ids are never used again, so a second run of one is a violation wherever it is. */
  begin(framework: string, task: string, host: AgentHost): void {
    const before = this.of(framework, task)
    if (before) {
      const where = `${before.host.address}, where it ${before.over ? 'ran' : 'runs'}`
      this.#violation(`${task} of ${framework} starts on ${host.address}, after ${where}`)
    }
    const run = { host, agent: host.runtime, over: false, own: undefined }
    this.#runs.set(`${framework} ${task}`, run)
  }

  /** It runs no more. */
  finish(framework: string, task: string, own?: OwnEnd): void {
    const run = this.of(framework, task)
    if (!run) return
    run.over = true
    run.own = own
  }

  of(framework: string, task: string): TaskRun | undefined {
    return this.#runs.get(`${framework} ${task}`)
  }

  get size(): number {
    return this.#runs.size
  }

  /** How a task ended of itself, under an agent that still lives; undefined: it did not, or nobody is left to know. */
  ownEnd(framework: string, task: string): OwnEnd | undefined {
    const run = this.of(framework, task)
    return run?.host.runtime === run?.agent ? run?.own : undefined
  }
}

function ownEnd(signals: readonly unknown[], waitStatus: number): OwnEnd | undefined {
  // One that was asked to end was killed, though it may have taken its time and left in its own way.
  if (signals.length > 0 || (waitStatus & SIGNAL_BITS) !== 0) return undefined
  return waitStatus === 0 ? 'TASK_FINISHED' : 'TASK_FAILED'
}
