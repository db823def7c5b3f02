// Reads what the agent before this one wrote down (checkpoints.ts). Decides nothing of what becomes of it.

import * as v from 'valibot'
import { messageOf, UserError } from '../../base/errors.ts'
import type { AgentInfo as AgentInfoType } from '../../messages/agent.ts'
import type { FrameworkInfo as FrameworkInfoType } from '../../messages/framework.ts'
import type { TaskInfo as TaskInfoType } from '../../messages/task.ts'
import { commandExecutorInfo } from '../task-record.ts'
import type { AcknowledgeableUpdate } from '../status-update-stream.ts'
import type { CheckpointDisk } from './checkpoint-disk.ts'
import {
  AgentInfo,
  DrainRecord,
  ExecutorRecord,
  FrameworkInfo,
  GroupRecord,
  KillRecord,
  TaskInfo,
  UpdateRecord,
} from './forms.ts'
import { fromLines, fromOneLine } from './lines.ts'
import {
  agentInfoPath,
  drainConfigPath,
  EXECUTOR_INFO,
  FRAMEWORK_INFO,
  frameworkDir,
  frameworksDir,
  GROUP,
  KILL,
  metaLatestLink,
  metaTaskDir,
  TASK_INFO,
  TASK_UPDATES,
} from './meta-paths.ts'

export interface RecoveredTask {
  readonly info: TaskInfoType
  /** The tasks of its group, itself among them. */
  readonly group: readonly string[] | undefined
  /** That it was asked to end, where it is one of a group. */
  readonly kill: KillRecord | undefined
  /** In the order in which they came. */
  readonly records: readonly RecoveredUpdate[]
  /** The file of these records, and how much of it is good. */
  readonly updates: { readonly path: string; readonly bytes: number; readonly isTorn: boolean }
}

export type RecoveredUpdate =
  | { readonly type: 'UPDATE'; readonly update: AcknowledgeableUpdate }
  | { readonly type: 'ACK'; readonly uuid: string }

export interface RecoveredExecutor extends ExecutorRecord {
  readonly containerId: string
  readonly tasks: readonly RecoveredTask[]
  readonly kill: KillRecord | undefined
}

export interface RecoveredFramework {
  readonly info: FrameworkInfoType
  readonly executors: readonly RecoveredExecutor[]
}

export interface RecoveredAgent {
  readonly info: AgentInfoType
  readonly frameworks: readonly RecoveredFramework[]
  readonly drain: DrainRecord | undefined
  /** Directories of runs that were never begun: the agent died while it wrote them down. */
  readonly abandoned: readonly string[]
  /** What could not be read, and was left out: only without `strict`. */
  readonly errors: readonly string[]
}

export interface RecoverOptions {
  readonly disk: CheckpointDisk
  readonly workDir: string
  /** Whether a damaged checkpoint is a reason not to start. */
  readonly strict: boolean
}

/**
 * Undefined if no agent has been here, or the one that was shall not come back. Rejects with a `UserError` that names the file
 * if something cannot be read, and `strict` is set; an agent whose own `slave.info` cannot be read is never guessed.
 */
export function recover(options: RecoverOptions): Promise<RecoveredAgent | undefined> {
  return new Recovery(options).agent()
}

class Recovery {
  readonly #o: RecoverOptions
  readonly #errors: string[] = []
  readonly #abandoned: string[] = []

  constructor(options: RecoverOptions) {
    this.#o = options
  }

  async agent(): Promise<RecoveredAgent | undefined> {
    const { disk, workDir } = this.#o
    const latest = metaLatestLink(workDir)
    const id = await disk.readLink(latest)
    if (id === undefined) return undefined
    const path = agentInfoPath(workDir, id)
    const hint = `Restore the file; or, to start as a new agent whose old tasks are ended and reported lost, remove the link ${latest}.`
    let info: AgentInfoType
    try {
      const text = await disk.read(path)
      if (text === undefined) throw new Error('there is no such file')
      info = checked(AgentInfo, fromOneLine(text))
      if (info.id?.value !== id) throw new Error(`it is that of agent ${info.id?.value}`)
    } catch (error) {
      throw new UserError(
        'data_damaged',
        `Who this agent is cannot be read: ${path}: ${messageOf(error)}.`,
        {
          hint,
          cause: error,
        },
      )
    }
    const directory = frameworksDir(workDir, id)
    const frameworks = await this.#each(directory, name =>
      this.#framework(frameworkDir(directory, name)),
    )
    const drain = await this.#info(drainConfigPath(workDir, id), DrainRecord)
    return { info, frameworks, drain, errors: this.#errors, abandoned: this.#abandoned }
  }

  async #framework(directory: string): Promise<RecoveredFramework | undefined> {
    const info = await this.#info(`${directory}/${FRAMEWORK_INFO}`, FrameworkInfo)
    if (!info) return undefined
    const executors = `${directory}/executors`
    const all = await this.#each(executors, async name => {
      const runs = `${executors}/${name}/runs`
      return this.#each(runs, id => this.#executor(`${runs}/${id}`, id, info))
    })
    return { info, executors: all.flat() }
  }

  async #executor(
    run: string,
    containerId: string,
    framework: FrameworkInfoType,
  ): Promise<RecoveredExecutor | undefined> {
    const tasks = await this.#each(`${run}/tasks`, name => this.#task(metaTaskDir(run, name)))
    const record =
      (await this.#info(`${run}/${EXECUTOR_INFO}`, ExecutorRecord)) ?? ofCommand(tasks, framework)
    if (!record) {
      // What is damaged is kept for people to look at.
      if (!this.#errors.some(error => error.startsWith(`${run}/`))) this.#abandoned.push(run)
      return undefined
    }
    const kill = await this.#info(`${run}/${KILL}`, KillRecord)
    return { ...record, containerId, tasks, kill }
  }

  async #task(directory: string): Promise<RecoveredTask | undefined> {
    const info = await this.#info(`${directory}/${TASK_INFO}`, TaskInfo)
    if (!info) return undefined
    const path = `${directory}/${TASK_UPDATES}`
    const text = (await this.#o.disk.read(path)) ?? ''
    try {
      const { values, bytes, isTorn } = fromLines(text)
      const records = values.map(value => checked(UpdateRecord, value) as RecoveredUpdate)
      const isOfGroup = info.executor !== undefined
      const group = isOfGroup ? await this.#info(`${directory}/${GROUP}`, GroupRecord) : undefined
      const kill = group && (await this.#info(`${directory}/${KILL}`, KillRecord))
      return { info, group: group?.tasks, kill, records, updates: { path, bytes, isTorn } }
    } catch (error) {
      this.#damaged(path, error)
      return undefined
    }
  }

  /** Undefined if there is no such file: the agent died before it was written, and nothing that follows on it was done. */
  async #info<T>(path: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
    const text = await this.#o.disk.read(path)
    if (text === undefined) return undefined
    try {
      return checked(schema, fromOneLine(text))
    } catch (error) {
      this.#damaged(path, error)
      return undefined
    }
  }

  #damaged(path: string, error: unknown): void {
    const what = `${path}: ${messageOf(error)}`
    if (this.#o.strict) {
      throw new UserError('data_damaged', `A checkpoint of this agent cannot be read: ${what}.`, {
        hint: 'Restore the file, or start once with --strict=false: then what belongs to it is ended and reported lost, and all else is kept.',
        cause: error,
      })
    }
    this.#errors.push(what)
  }

  async #each<T>(
    directory: string,
    read: (name: string) => Promise<T | undefined>,
  ): Promise<Exclude<T, undefined>[]> {
    const names = await this.#o.disk.list(directory)
    const found = await Promise.all(names.map(read))
    return found.filter(one => one !== undefined) as Exclude<T, undefined>[]
  }
}

/** The executor of a command is the agent's own, and made of the task. */
function ofCommand(
  tasks: readonly RecoveredTask[],
  framework: FrameworkInfoType,
): ExecutorRecord | undefined {
  const task = tasks[0]?.info
  if (!task || task.executor) return undefined
  const info = commandExecutorInfo(task, framework)
  return { kind: 'command', info, launched_for: task.task_id.value }
}

function checked<T>(schema: v.GenericSchema<unknown, T>, value: unknown): T {
  const found = v.safeParse(schema, value)
  if (found.success) return found.output
  const issue = found.issues[0]
  throw new Error(`${v.getDotPath(issue) ?? ''} ${issue.message}`.trim())
}
