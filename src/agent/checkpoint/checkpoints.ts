// What an agent writes down before it acts, so that the next one finds its tasks: who it is, the frameworks that asked for
// it (`FrameworkInfo.checkpoint`), their executors and tasks, each task's updates and what of them is acknowledged.
// recover.ts reads it.
//
// The order is what counts: a task is on disk before anything of it runs, an update before it is sent, an acknowledgement
// before the next update is. What is not needed any more is removed last, and removing it twice does no harm.

import type { Clock } from '../../actors/clock.ts'
import { seconds } from '../../base/duration.ts'
import { messageOf } from '../../base/errors.ts'
import { type Logger, onceAWhile } from '../../base/log.ts'
import type { AgentInfo } from '../../messages/agent.ts'
import type { FrameworkInfo } from '../../messages/framework.ts'
import { isTerminal } from '../../messages/status.ts'
import type { TaskInfo } from '../../messages/task.ts'
import type { ExecutorPlace } from '../paths.ts'
import type { AcknowledgeableUpdate } from '../status-update-stream.ts'
import type { StatusUpdateStore } from '../task-status-update-manager.ts'
import type { CheckpointDisk } from './checkpoint-disk.ts'
import type { DrainRecord, ExecutorRecord, KillRecord, UpdateRecord } from './forms.ts'
import { toLine } from './lines.ts'
import {
  agentInfoPath,
  drainConfigPath,
  EXECUTOR_INFO,
  FRAMEWORK_INFO,
  frameworkDir,
  frameworksDir,
  GROUP,
  KILL,
  metaExecutorDir,
  metaLatestLink,
  metaRunDir,
  metaTaskDir,
  TASK_INFO,
  TASK_UPDATES,
} from './meta-paths.ts'

/** A disk that is full is tried again this soon: an update is kept in memory until it is written, and not sent before. */
const RETRY_MS = 1_000
const COMPLAINT_MS = seconds(30)

export interface CheckpointsOptions {
  readonly disk: CheckpointDisk
  readonly workDir: string
  readonly clock: Clock
  readonly log: Logger
}

/** A task's file of updates. */
interface Stream {
  readonly path: string
  bytes: number
  /** Behind `bytes` may be a part of a line. */
  isTorn: boolean
  /** Of its terminal update: when that is acknowledged the task's directory goes, which says the same. */
  terminal: string | undefined
  written: Promise<void>
}

/** Where a run is. */
export interface Run extends ExecutorPlace {
  readonly containerId: string
}

export class Checkpoints implements StatusUpdateStore {
  readonly #o: CheckpointsOptions
  readonly #complain: ReturnType<typeof onceAWhile>
  /** By framework, then by task. */
  readonly #streams = new Map<string, Map<string, Stream>>()
  readonly #frameworks = new Map<
    string,
    { readonly line: string; readonly written: Promise<void> }
  >()
  /** Directories of executors and frameworks that are being removed: another one of that id may be about to come. */
  readonly #removals = new Map<string, Promise<void>>()
  /** Without it nothing below it would be found again. */
  #agent: Promise<void> = Promise.resolve()

  constructor(options: CheckpointsOptions) {
    this.#o = options
    this.#complain = onceAWhile(() => options.clock.now(), COMPLAINT_MS)
  }

  /** The agent has an id. Rejects if it cannot be written; nothing else is written then. */
  agent(info: AgentInfo): Promise<void> {
    const { disk, workDir } = this.#o
    const id = info.id!.value
    const write = async (): Promise<void> => {
      await disk.write(agentInfoPath(workDir, id), toLine(info), { durable: true })
      await disk.link(metaLatestLink(workDir), id)
    }
    this.#agent = write()
    return this.#agent
  }

  /** It is being drained, or not any more. */
  async drain(agentId: string, record: DrainRecord | undefined): Promise<void> {
    const { disk, workDir } = this.#o
    const path = drainConfigPath(workDir, agentId)
    await this.#agent
    if (record) await disk.write(path, toLine(record), { durable: true })
    else await disk.remove(path)
  }

  /** The next agent that starts here is a new one. */
  async forgetAgent(): Promise<void> {
    await this.#agent.catch(() => undefined)
    await this.#o.disk.remove(metaLatestLink(this.#o.workDir))
  }

  /**
   * A task, before it is given to its executor, with whose it is, and its group, if it is of one. Rejects if it cannot be
   * written. The executor of a command is not written: it is made of the task.
   */
  async task(
    run: Run,
    framework: FrameworkInfo,
    executor: ExecutorRecord | undefined,
    task: TaskInfo,
    group?: readonly string[],
  ): Promise<void> {
    const taskId = task.task_id.value
    const directory = metaTaskDir(this.#dir(run), taskId)
    const path = `${directory}/${TASK_UPDATES}`
    const writing = this.#writeTask(run, directory, { framework, executor, task, group })
    // An update may come before all of that is there: it waits for it, or it would be taken for one of what is gone.
    const written = writing.catch(() => {})
    this.#follow(run.frameworkId, taskId, {
      path,
      bytes: 0,
      isTorn: false,
      terminal: undefined,
      written,
    })
    try {
      await writing
    } catch (error) {
      this.#forget(run.frameworkId, taskId)
      throw error
    }
  }

  /** Only removals that were asked for before are waited for: a later one waits for this. */
  async #writeTask(
    run: Run,
    directory: string,
    o: {
      readonly framework: FrameworkInfo
      readonly executor: ExecutorRecord | undefined
      readonly task: TaskInfo
      readonly group: readonly string[] | undefined
    },
  ): Promise<void> {
    const { disk, workDir } = this.#o
    await Promise.all([
      this.#agent,
      this.#removals.get(this.#frameworkDir(run.agentId, run.frameworkId)),
      this.#removals.get(metaExecutorDir(workDir, run)),
      this.#removals.get(directory),
    ])
    await Promise.all([
      this.framework(run.agentId, o.framework),
      o.executor && disk.write(`${this.#dir(run)}/${EXECUTOR_INFO}`, toLine(o.executor)),
      o.group && disk.write(`${directory}/${GROUP}`, toLine({ tasks: o.group })),
      disk.write(`${directory}/${TASK_INFO}`, toLine(o.task)),
    ])
  }

  /** What it says of itself now. Written only if that is something new. */
  framework(agentId: string, info: FrameworkInfo): Promise<void> {
    const id = info.id!.value
    const line = toLine(info)
    const before = this.#frameworks.get(id)
    if (before?.line === line) return before.written
    const path = `${this.#frameworkDir(agentId, id)}/${FRAMEWORK_INFO}`
    const written = this.#o.disk.write(path, line)
    const entry = { line, written }
    this.#frameworks.set(id, entry)
    written.catch(() => {
      if (this.#frameworks.get(id) === entry) this.#frameworks.delete(id)
    })
    return written
  }

  /** A command was asked to end: if its agent dies now, the next one knows that it did not end by itself. */
  async kill(run: Run, kill: KillRecord, ofGroup?: { readonly taskId: string }): Promise<void> {
    const runDir = this.#dir(run)
    const directory = ofGroup ? metaTaskDir(runDir, ofGroup.taskId) : runDir
    try {
      await this.#o.disk.write(`${directory}/${KILL}`, toLine(kill))
    } catch (error) {
      // It has ended meanwhile, and its directory is gone.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      this.#o.log.warn({ error: messageOf(error) }, 'a kill could not be written down')
    }
  }

  /** A task's updates are kept in this file from now on. */
  follow(frameworkId: string, taskId: string, file: Omit<Stream, 'written'>): void {
    this.#follow(frameworkId, taskId, { ...file, written: Promise.resolve() })
  }

  #follow(frameworkId: string, taskId: string, stream: Stream): void {
    let streams = this.#streams.get(frameworkId)
    if (!streams) this.#streams.set(frameworkId, (streams = new Map()))
    streams.set(taskId, stream)
  }

  update(update: AcknowledgeableUpdate): Promise<void> | undefined {
    const stream = this.#stream(update.framework_id.value, update.status.task_id.value)
    if (!stream) return undefined
    if (isTerminal(update.status.state)) stream.terminal = update.uuid
    return this.#append(stream, { type: 'UPDATE', update })
  }

  acknowledgement(frameworkId: string, taskId: string, uuid: string): Promise<void> | undefined {
    const stream = this.#stream(frameworkId, taskId)
    if (!stream) return undefined
    if (stream.terminal !== uuid) return this.#append(stream, { type: 'ACK', uuid })
    this.#forget(frameworkId, taskId)
    return undefined
  }

  /** Its end is acknowledged. */
  async taskEnded(run: Run, taskId: string): Promise<void> {
    await this.#removeAfter([], metaTaskDir(this.#dir(run), taskId))
  }

  /** Nothing of it is left to be done. */
  async executorEnded(run: ExecutorPlace): Promise<void> {
    await this.#removeAfter([], metaExecutorDir(this.#o.workDir, run))
  }

  async frameworkEnded(agentId: string, frameworkId: string): Promise<void> {
    const streams = [...(this.#streams.get(frameworkId)?.values() ?? [])]
    this.#streams.delete(frameworkId)
    this.#frameworks.delete(frameworkId)
    const written = streams.map(stream => stream.written)
    await this.#removeAfter(written, this.#frameworkDir(agentId, frameworkId))
  }

  /** Known as being removed from this turn on: what comes there waits for it. */
  async #removeAfter(written: readonly Promise<void>[], directory: string): Promise<void> {
    const removed = Promise.all(written).then(() => this.#remove(directory))
    this.#removals.set(directory, removed)
    await removed
    if (this.#removals.get(directory) === removed) this.#removals.delete(directory)
  }

  #frameworkDir(agentId: string, frameworkId: string): string {
    return frameworkDir(frameworksDir(this.#o.workDir, agentId), frameworkId)
  }

  #dir(run: Run): string {
    return metaRunDir(this.#o.workDir, run, run.containerId)
  }

  #stream(frameworkId: string, taskId: string): Stream | undefined {
    return this.#streams.get(frameworkId)?.get(taskId)
  }

  #forget(frameworkId: string, taskId: string): void {
    const streams = this.#streams.get(frameworkId)
    streams?.delete(taskId)
    if (streams?.size === 0) this.#streams.delete(frameworkId)
  }

  /** Lines of a task are written one after the other, in the order of the calls. */
  #append(stream: Stream, record: UpdateRecord): Promise<void> {
    const line = toLine(record)
    stream.written = stream.written.then(() => this.#write(stream, line))
    return stream.written
  }

  async #write(stream: Stream, line: string): Promise<void> {
    const { disk, clock, log } = this.#o
    for (;;) {
      try {
        await disk.writeAt(stream.path, stream.bytes, line, stream.isTorn)
        stream.bytes += Buffer.byteLength(line)
        stream.isTorn = false
        return
      } catch (error) {
        stream.isTorn = true
        const { path } = stream
        // Its directory is gone: its framework is, and nobody waits for it.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
        this.#complain(repeats =>
          log.error(
            { path, error: messageOf(error), ...repeats },
            'an update cannot be written down, and is not sent before it is; tried again',
          ),
        )
        await new Promise<void>(resolve => void clock.delay(RETRY_MS, resolve))
      }
    }
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.#o.disk.remove(path)
    } catch (error) {
      this.#o.log.warn({ path, error: messageOf(error) }, 'a checkpoint could not be removed')
    }
  }
}
