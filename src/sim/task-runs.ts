// What really ran in a simulated cluster, seen from the machines: no component's word is taken for it.

import type { LaunchSpec } from '../agent/processes.ts'
import type { Runtime } from '../actors/runtime.ts'
import type { AgentHost } from './cluster.ts'
import { shellProgram, type VirtualProcess, type VirtualProgram } from './virtual-processes.ts'

const SIGNAL_BITS = 0x7f

/** A command that begins with this ends on SIGKILL only. */
export const STUBBORN = ': stubborn; '

export interface TaskRun {
  readonly host: AgentHost
  /** The agent's process that started it; another one is there after a crash. */
  readonly agent: Runtime
  readonly process: VirtualProcess
  /** wait(2) status; undefined while it runs. */
  waitStatus: number | undefined
}

export class TaskRuns {
  readonly #runs = new Map<string, TaskRun>()
  readonly #violation: (text: string) => void

  constructor(violation: (text: string) => void) {
    this.#violation = violation
  }

  /** For `ClusterOptions.program`. Task ids are never used again, so a second run of one is a violation wherever it is. */
  readonly program = (host: AgentHost, spec: LaunchSpec): VirtualProgram => {
    const { MESOS_FRAMEWORK_ID: framework = '', MESOS_EXECUTOR_ID: task = '' } = spec.env
    return {
      ...shellProgram(spec),
      ignoresSigterm: spec.argv.at(-1)?.startsWith(STUBBORN) ?? false,
      onStart: process => {
        const before = this.of(framework, task)
        if (before) {
          const where = `${before.host.address}, where it ${before.waitStatus === undefined ? 'runs' : 'ran'}`
          this.#violation(`${task} of ${framework} starts on ${host.address}, after ${where}`)
        }
        this.#runs.set(`${framework} ${task}`, {
          host,
          agent: host.runtime,
          process,
          waitStatus: undefined,
        })
      },
      onEnd: waitStatus => {
        const run = this.of(framework, task)
        if (run) run.waitStatus = waitStatus
      },
    }
  }

  of(framework: string, task: string): TaskRun | undefined {
    return this.#runs.get(`${framework} ${task}`)
  }

  get size(): number {
    return this.#runs.size
  }

  /** How a task ended of itself, under an agent that still lives; undefined: it did not, or nobody is left to know. */
  ownEnd(framework: string, task: string): 'TASK_FINISHED' | 'TASK_FAILED' | undefined {
    const run = this.of(framework, task)
    if (run?.waitStatus === undefined || run.host.runtime !== run.agent) return undefined
    // One that was asked to end was killed, though it may have taken its time and left in its own way.
    if (run.process.signals.length > 0 || (run.waitStatus & SIGNAL_BITS) !== 0) return undefined
    return run.waitStatus === 0 ? 'TASK_FINISHED' : 'TASK_FAILED'
  }
}
