// Custom executors of a simulated cluster: real ones, each in a process of its own that an agent starts.

import type { Timer } from '../actors/clock.ts'
import type { LaunchSpec } from '../agent/processes.ts'
import { exitedWith } from '../agent/wait-status.ts'
import { seconds } from '../base/duration.ts'
import { Executor, type ExecutorEnvironment, executorEnvironment } from '../framework/executor.ts'
import type { TaskID } from '../messages/ids.ts'
import type { TaskInfo } from '../messages/task.ts'
import type { AgentHost } from './cluster.ts'
import type { TaskRuns } from './task-runs.ts'
import { shellProgram, type VirtualProcess, type VirtualProgram } from './virtual-processes.ts'
import type { World } from './world.ts'

/** What a framework gives as its executor's command, to get one of these. */
export const EXECUTOR_COMMAND = 'simulated-executor'
/** So long without a task, and it ends. */
const IDLE_MS = seconds(15)

interface Place {
  readonly host: AgentHost
  readonly runs: TaskRuns
  /** The executor's actor has ended: its process goes with it. */
  readonly ended: (succeeded: boolean) => void
}

/** Runs as a task whatever its name says, as far as `shellProgram` knows that. */
class TaskRunner extends Executor {
  readonly #frameworkId: string
  readonly #place: Place
  readonly #running = new Map<string, Timer>()
  #idle: Timer | undefined

  constructor(environment: ExecutorEnvironment, place: Place) {
    super(environment)
    this.#frameworkId = environment.frameworkId.value
    this.#place = place
  }

  protected override registered(): void {
    this.#rest()
  }

  protected override launch({ task_id, name }: TaskInfo): void {
    this.#idle?.cancel()
    const { host, runs } = this.#place
    runs.begin(this.#frameworkId, task_id.value, host)
    const { durationMs = 0, exitCode } = shellProgram({ argv: [name] })
    this.update({ task_id, state: 'TASK_RUNNING' })
    const end = (): void => this.#end(task_id, exitCode === 0 ? 'TASK_FINISHED' : 'TASK_FAILED')
    this.#running.set(task_id.value, this.delay(durationMs, end))
  }

  protected override kill(taskId: TaskID): void {
    if (this.#running.has(taskId.value)) this.#end(taskId, 'TASK_KILLED')
  }

  protected override shutdown(): void {
    for (const value of [...this.#running.keys()]) this.#end({ value }, 'TASK_KILLED')
  }

  protected override finalize(): void {
    this.#place.ended(this.succeeded)
  }

  /** The process is dead, and all it ran. */
  died(): void {
    for (const id of this.#running.keys()) this.#place.runs.finish(this.#frameworkId, id)
  }

  #end(task_id: TaskID, state: 'TASK_FINISHED' | 'TASK_FAILED' | 'TASK_KILLED'): void {
    this.#running.get(task_id.value)?.cancel()
    this.#running.delete(task_id.value)
    this.#place.runs.finish(this.#frameworkId, task_id.value)
    this.update({ task_id, state })
    if (this.#running.size === 0) this.#rest()
  }

  #rest(): void {
    this.#idle?.cancel()
    this.#idle = this.delay(IDLE_MS, () => this.stop())
  }
}

export class Staff {
  readonly #world: () => World
  readonly #runs: TaskRuns
  #hired = 0

  constructor(world: () => World, runs: TaskRuns) {
    this.#world = world
    this.#runs = runs
  }

  /** For `ClusterOptions.program`: undefined if it is no executor of ours. */
  program(host: AgentHost, spec: LaunchSpec): VirtualProgram | undefined {
    if (spec.argv.at(-1) !== EXECUTOR_COMMAND) return undefined
    const address = `executor-${++this.#hired}:0`
    let runner: TaskRunner | undefined
    return {
      onStart: process => {
        runner = this.#start(host, address, process)
      },
      onEnd: () => {
        this.#world().crash(address)
        runner?.died()
      },
    }
  }

  #start(host: AgentHost, address: string, process: VirtualProcess): TaskRunner {
    const runtime = this.#world().start(address)
    const ended = (succeeded: boolean): void => {
      const exit = (): void => process.end(exitedWith(succeeded ? 0 : 1))
      runtime.clock.soon(() => void runtime.shutdown().then(exit))
    }
    const environment = executorEnvironment(process.spec.env)
    const runner = new TaskRunner(environment, { host, runs: this.#runs, ended })
    runtime.spawn(runner)
    return runner
  }
}
