// Keeps each task's updates until the scheduler has them: at least once, in order, one in flight a task.

import { Actor } from '../actors/actor.ts'
import type { Timer } from '../actors/clock.ts'
import type { Served } from '../actors/protocol.ts'
import { isTerminal } from '../messages/status.ts'
import {
  type AcknowledgeableUpdate,
  type AcknowledgementOutcome,
  nextRetryMs,
  STATUS_UPDATE_RETRY_MIN_MS,
  StatusUpdateStream,
} from './status-update-stream.ts'

export interface StatusUpdateManagerOptions {
  /** Hands an update to the master, once more if need be. Must not block; runs in a turn of the manager. */
  readonly forward: (update: AcknowledgeableUpdate) => void
  /**
   * Where an update goes before its executor is told that it is kept, and an acknowledgement before it counts.
   * Absent: memory alone, as for frameworks that do not checkpoint; what an agent's death loses then, its tasks share.
   */
  readonly store?: StatusUpdateStore
}

/** A record of updates and acknowledgements that survives the agent. */
export interface StatusUpdateStore {
  /** Undefined: this task's are not kept. */
  update(update: AcknowledgeableUpdate): Promise<void> | undefined
  acknowledgement(frameworkId: string, taskId: string, uuid: string): Promise<void> | undefined
}

/** `kept`: the executor may forget it. `ignored`: came before, or after the task's end; as good as kept. */
export type UpdateResult = 'kept' | 'ignored'

/** `unknown`: there is no such stream (any more). The others as in `StatusUpdateStream`. */
export type AcknowledgementResult = AcknowledgementOutcome | 'unknown'

interface InFlight {
  readonly stream: StatusUpdateStream
  /** Updates that are not on disk yet, by uuid: they may be next, but are not sent. */
  readonly unstored: Set<string>
  retryMs: number
  timer: Timer | undefined
}

/** The actor `task-status-update-manager(1)`. Its methods are dispatched: they run as its own events. */
export class TaskStatusUpdateManager extends Actor {
  override readonly serves: readonly Served[] = []
  override readonly idPrefix = 'task-status-update-manager'
  override readonly failureEnds = 'process'

  readonly #options: StatusUpdateManagerOptions
  /** By framework, then by task. */
  readonly #streams = new Map<string, Map<string, InFlight>>()
  /** There is no master to send to until the agent has registered. */
  #paused = true

  constructor(options: StatusUpdateManagerOptions) {
    super()
    this.#options = options
  }

  /** Takes an update; resolves when it is kept. */
  update(update: AcknowledgeableUpdate): Promise<UpdateResult> {
    return this.#call(() => this.#update(update))
  }

  /** Goes on with a task's updates where the agent before this one was. */
  restore(stream: StatusUpdateStream): void {
    this.dispatch(() => {
      const { frameworkId, taskId } = stream
      this.#add(frameworkId, taskId, stream)
    })
  }

  /** Takes a scheduler's acknowledgement. */
  acknowledge(frameworkId: string, taskId: string, uuid: string): Promise<AcknowledgementResult> {
    return this.#call(() => this.#acknowledge(frameworkId, taskId, uuid))
  }

  /** The master is gone: nothing is sent until `resume`. */
  pause(): void {
    this.dispatch(() => this.#pause())
  }

  /** There is a master (again): all that is in flight is sent at once. */
  resumeSending(): void {
    this.dispatch(() => this.#resume())
  }

  /** Nobody waits for this framework's updates any more. */
  forget(frameworkId: string): void {
    this.dispatch(() => this.#forget(frameworkId))
  }

  #call<T>(run: () => T | Promise<T>): Promise<T> {
    return new Promise(resolve => this.dispatch(async () => resolve(await run())))
  }

  async #update(update: AcknowledgeableUpdate): Promise<UpdateResult> {
    const flight = this.#flight(update)
    const outcome = flight.stream.update(update)
    if (outcome === 'duplicate' || outcome === 'late') {
      const { state } = update.status
      this.log.debug({ task: flight.stream.taskId, state, outcome }, 'update ignored')
      return 'ignored'
    }
    const { store } = this.#options
    const stored = store?.update(update)
    if (stored) {
      flight.unstored.add(update.uuid)
      await this.resume(stored)
      flight.unstored.delete(update.uuid)
    }
    // The one before it may have been acknowledged meanwhile.
    if (flight.stream.head === update) this.#send(flight)
    return 'kept'
  }

  async #acknowledge(
    frameworkId: string,
    taskId: string,
    uuid: string,
  ): Promise<AcknowledgementResult> {
    const flight = this.#streams.get(frameworkId)?.get(taskId)
    if (!flight) return 'unknown'
    const { store } = this.#options
    if (flight.stream.head?.uuid === uuid) {
      const stored = store?.acknowledgement(frameworkId, taskId, uuid)
      if (stored) await this.resume(stored)
    }
    const outcome = flight.stream.acknowledge(uuid)
    if (outcome === 'duplicate' || outcome === 'unexpected') {
      this.log.debug({ task: taskId, outcome }, 'acknowledgement ignored')
      return outcome
    }
    flight.timer?.cancel()
    flight.retryMs = STATUS_UPDATE_RETRY_MIN_MS
    if (outcome === 'closed') this.#close(flight)
    else if (outcome === 'next') this.#send(flight)
    return outcome
  }

  #flight(update: AcknowledgeableUpdate): InFlight {
    const framework = update.framework_id.value
    const task = update.status.task_id.value
    const flight = this.#streams.get(framework)?.get(task)
    return flight ?? this.#add(framework, task, new StatusUpdateStream(framework, task))
  }

  #add(framework: string, task: string, stream: StatusUpdateStream): InFlight {
    let streams = this.#streams.get(framework)
    if (!streams) this.#streams.set(framework, (streams = new Map()))
    const retryMs = STATUS_UPDATE_RETRY_MIN_MS
    const flight = { stream, unstored: new Set<string>(), retryMs, timer: undefined }
    streams.set(task, flight)
    return flight
  }

  #close({ stream }: InFlight): void {
    const streams = this.#streams.get(stream.frameworkId)
    streams?.delete(stream.taskId)
    if (streams?.size === 0) this.#streams.delete(stream.frameworkId)
  }

  #send(flight: InFlight): void {
    const update = flight.stream.head
    if (!update || this.#paused || flight.unstored.has(update.uuid)) return
    this.#options.forward(update)
    const { retryMs } = flight
    flight.timer?.cancel()
    flight.timer = this.delay(retryMs, () => {
      flight.retryMs = nextRetryMs(retryMs)
      const fields = { task: flight.stream.taskId, state: update.status.state, afterMs: retryMs }
      if (isTerminal(update.status.state)) this.log.info(fields, 'no acknowledgement; sent again')
      else this.log.debug(fields, 'no acknowledgement; sent again')
      this.#send(flight)
    })
  }

  #pause(): void {
    this.#paused = true
    for (const flight of this.#all()) flight.timer?.cancel()
  }

  #resume(): void {
    this.#paused = false
    for (const flight of this.#all()) {
      flight.retryMs = STATUS_UPDATE_RETRY_MIN_MS
      this.#send(flight)
    }
  }

  #forget(frameworkId: string): void {
    for (const flight of this.#streams.get(frameworkId)?.values() ?? []) flight.timer?.cancel()
    this.#streams.delete(frameworkId)
  }

  *#all(): IterableIterator<InFlight> {
    for (const streams of this.#streams.values()) yield* streams.values()
  }
}
