// The framework behind mesos-execute: launches one task, tells what becomes of it, and ends with it.

import type { Timer } from '../../actors/clock.ts'
import { seconds } from '../../base/duration.ts'
import { Scheduler, type SchedulerOptions } from '../../framework/scheduler.ts'
import type { FrameworkID } from '../../messages/ids.ts'
import type { Offer } from '../../messages/offer.ts'
import { isTerminal, type TaskStatus } from '../../messages/status.ts'
import { formatResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'
import type { WantedTask } from './flags.ts'
import { statusText } from './text.ts'

/** Told of what happens; both may wait for their work. */
export interface Watcher {
  /** A line of Mesos' own mesos-execute. */
  line(text: string): void
  /** Something else that the user should know. */
  notice(text: string): void
  launched(frameworkId: string, agentId: string): void
  /** The last chance to read the task's output: the framework ends when it resolves. */
  ended(): Promise<void>
}

/** How long no offer may fit before the user is told. */
const PATIENCE_MS = seconds(5)
/** An offer that is too small will not grow at once; another agent's may come meanwhile. */
const DECLINE = { refuse_seconds: 5 }

export class ExecuteScheduler extends Scheduler {
  readonly #task: WantedTask
  readonly #watcher: Watcher
  readonly #killAfterMs: number | undefined
  readonly #needs: Resources
  #largest = Resources.empty
  #impatience: Timer | undefined
  #launched: TaskStatus | undefined
  #killing = false

  constructor(options: SchedulerOptions, task: WantedTask, watcher: Watcher, killAfterMs?: number) {
    super(options)
    this.#task = task
    this.#watcher = watcher
    this.#killAfterMs = killAfterMs
    this.#needs = Resources.of(task.resources)
  }

  /** Whether the task has finished well. */
  get succeeded(): boolean {
    return this.#launched?.state === 'TASK_FINISHED'
  }

  protected override subscribed(id: FrameworkID): void {
    this.#watcher.line(`Subscribed with ID ${id.value}`)
    const { task_id, agent_id } = this.#launched ?? {}
    // What became of it while there was no master? A launch that never arrived would be waited for.
    if (task_id) this.reconcile([{ task_id, ...(agent_id && { agent_id }) }])
    else this.#impatience ??= this.delay(PATIENCE_MS, () => this.#explain())
  }

  protected override disconnected(): void {
    this.#watcher.notice('The connection to the master is lost; trying to come back.')
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      if (this.#launched || !this.#take(offer)) this.decline(offer, DECLINE)
    }
    if (this.#launched) this.suppress()
  }

  #take(offer: Offer): boolean {
    const offered = Resources.of(offer.resources)
    const role = offer.allocation_info?.role
    const wanted = role === undefined ? this.#needs : this.#needs.allocate(role)
    const resources = offered.contains(wanted) ? wanted : offered.find(amountsOf(this.#needs))
    if (!resources) {
      if (offered.get('cpus') >= this.#largest.get('cpus')) this.#largest = offered.unallocate()
      return false
    }
    const { agent_id } = offer
    this.#impatience?.cancel()
    this.launch(offer, [{ ...this.#task, agent_id, resources: resources.list() }])
    this.#launched = { task_id: this.#task.task_id, agent_id, state: 'TASK_STAGING' }
    this.#watcher.line(`Submitted task '${this.#task.name}' to agent '${agent_id.value}'`)
    this.#watcher.launched(this.frameworkId?.value ?? '', agent_id.value)
    return true
  }

  #explain(): void {
    const seen = this.#largest.isEmpty
      ? 'There was no offer at all yet'
      : `The largest offer so far: ${formatResources(this.#largest)}`
    this.#watcher.notice(`Waiting for an offer with ${formatResources(this.#needs)}. ${seen}.`)
  }

  protected override async update(status: TaskStatus): Promise<void> {
    const { state, task_id } = status
    // The same status comes again when its acknowledgement was lost. Nothing that follows the end is news.
    if (this.#launched?.state === state) return
    if (this.#launched && isTerminal(this.#launched.state)) return
    const first = this.#launched?.state !== 'TASK_RUNNING' && state === 'TASK_RUNNING'
    this.#launched = status
    if (isTerminal(state)) await this.resume(this.#watcher.ended())
    for (const line of statusText(status)) this.#watcher.line(line)
    if (first && this.#killAfterMs !== undefined) {
      this.delay(this.#killAfterMs, () => this.kill(task_id))
    }
    if (!isTerminal(state)) return
    this.acknowledge(status)
    this.teardown()
  }

  protected override error(message: string): void {
    this.#watcher.notice(`Received an ERROR event: ${message}`)
  }

  /** Ctrl-C kills the task; the framework ends when that is done. */
  override interrupted(): void {
    if (!this.#launched || !this.isSubscribed || this.#killing) return this.teardown()
    this.#killing = true
    this.#watcher.notice('Killing the task; press Ctrl-C again to leave at once.')
    this.kill(this.#launched.task_id, this.#launched.agent_id)
  }
}

/** Amounts by name of what is counted, for `Resources.find`. */
function amountsOf(resources: Resources): Record<string, number> {
  const amounts: Record<string, number> = {}
  for (const { name, type } of resources.kinds()) {
    if (type === 'SCALAR') amounts[name] = resources.get(name)
  }
  return amounts
}
