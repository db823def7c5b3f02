// The framework behind mesos-execute: launches one task or one group, tells what becomes of it, and ends with it.

import type { Timer } from '../../actors/clock.ts'
import { seconds } from '../../base/duration.ts'
import { Scheduler, type SchedulerOptions } from '../../framework/scheduler.ts'
import type { FrameworkID } from '../../messages/ids.ts'
import type { Offer } from '../../messages/offer.ts'
import type { ExecutorInfo } from '../../messages/task.ts'
import { isTerminal, type TaskStatus } from '../../messages/status.ts'
import { formatResources } from '../../resources/format.ts'
import { Resources } from '../../resources/resources.ts'
import type { Wanted } from './flags.ts'
import { statusText } from './text.ts'

type WantedResources = Pick<ExecutorInfo, 'resources'>

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
  readonly #wanted: Wanted
  readonly #watcher: Watcher
  readonly #killAfterMs: number | undefined
  readonly #needs: Resources
  #largest = Resources.empty
  #impatience: Timer | undefined
  /** What was heard last of each task. Empty: not launched yet. */
  readonly #launched = new Map<string, TaskStatus>()
  #killing = false

  constructor(options: SchedulerOptions, wanted: Wanted, watcher: Watcher, killAfterMs?: number) {
    super(options)
    this.#wanted = wanted
    this.#watcher = watcher
    this.#killAfterMs = killAfterMs
    this.#needs = Resources.sum(
      [...wanted.tasks, ...(wanted.executor ? [wanted.executor] : [])].map(one =>
        Resources.of(one.resources),
      ),
    )
  }

  /** Whether all has finished well. */
  get succeeded(): boolean {
    const all = [...this.#launched.values()]
    return all.length > 0 && all.every(({ state }) => state === 'TASK_FINISHED')
  }

  protected override subscribed(id: FrameworkID): void {
    this.#watcher.line(`Subscribed with ID ${id.value}`)
    const running = [...this.#launched.values()].filter(({ state }) => !isTerminal(state))
    // What became of it while there was no master? A launch that never arrived would be waited for.
    if (running.length > 0) {
      this.reconcile(
        running.map(({ task_id, agent_id }) => ({ task_id, ...(agent_id && { agent_id }) })),
      )
    } else if (this.#launched.size === 0)
      this.#impatience ??= this.delay(PATIENCE_MS, () => this.#explain())
  }

  protected override disconnected(): void {
    this.#watcher.notice('The connection to the master is lost; trying to come back.')
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      if (this.#launched.size > 0 || !this.#take(offer)) this.decline(offer, DECLINE)
    }
    if (this.#launched.size > 0) this.suppress()
  }

  #take(offer: Offer): boolean {
    const offered = Resources.of(offer.resources)
    const resources = partOf(offered, this.#needs, offer)
    if (!resources) {
      if (offered.get('cpus') >= this.#largest.get('cpus')) this.#largest = offered.unallocate()
      return false
    }
    const { agent_id } = offer
    this.#impatience?.cancel()
    this.#launch(offer, resources)
    const { executor, tasks } = this.#wanted
    for (const { task_id } of tasks) {
      this.#launched.set(task_id.value, { task_id, agent_id, state: 'TASK_STAGING' })
    }
    const names = tasks.map(({ name }) => `'${name}'`).join(', ')
    const what = executor ? `task group with tasks [ ${names} ]` : `task ${names}`
    this.#watcher.line(`Submitted ${what} to agent '${agent_id.value}'`)
    this.#watcher.launched(this.frameworkId?.value ?? '', agent_id.value)
    return true
  }

  /** `resources`: of all of it, taken from the offer. */
  #launch(offer: Offer, resources: Resources): void {
    const { agent_id } = offer
    const { executor, tasks } = this.#wanted
    let left = resources
    const share = (wanted: WantedResources): ExecutorInfo['resources'] => {
      const one = partOf(left, Resources.of(wanted.resources), offer) ?? left
      left = left.subtract(one)
      return [...one.list()]
    }
    if (!executor) {
      return this.launch(offer, [{ ...tasks[0]!, agent_id, resources: resources.list() }])
    }
    const shared = tasks.map(task => ({ ...task, agent_id, resources: share(task) }))
    const framework_id = this.frameworkId!
    this.accept(offer, [
      {
        type: 'LAUNCH_GROUP',
        launch_group: {
          executor: { ...executor, framework_id, resources: share(executor) },
          task_group: { tasks: shared },
        },
      },
    ])
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
    const before = this.#launched.get(task_id.value)
    if (!before || isTerminal(before.state)) return
    // An answer to a question is news only if the state is.
    const isKnown = status.uuid === undefined ? before.state === state : before.uuid === status.uuid
    if (isKnown) return
    const first = before.state !== 'TASK_RUNNING' && state === 'TASK_RUNNING'
    this.#launched.set(task_id.value, status)
    const isOver = [...this.#launched.values()].every(each => isTerminal(each.state))
    if (isOver) await this.resume(this.#watcher.ended())
    for (const line of statusText(status)) this.#watcher.line(line)
    if (first && this.#killAfterMs !== undefined) {
      this.delay(this.#killAfterMs, () => this.kill(task_id))
    }
    if (!isOver) return
    this.acknowledge(status)
    this.teardown()
  }

  protected override error(message: string): void {
    this.#watcher.notice(`Received an ERROR event: ${message}`)
  }

  /** Ctrl-C kills the task, or all of the group; the framework ends when that is done. */
  override interrupted(): void {
    if (this.#launched.size === 0 || !this.isSubscribed || this.#killing) return this.teardown()
    this.#killing = true
    this.#watcher.notice('Killing the task; press Ctrl-C again to leave at once.')
    for (const { task_id, agent_id, state } of this.#launched.values()) {
      if (!isTerminal(state)) this.kill(task_id, agent_id)
    }
  }
}

/** As it is wanted; or, where nothing is said of whose they are, as much of each. Undefined if there is not enough. */
function partOf(from: Resources, wanted: Resources, offer: Offer): Resources | undefined {
  const role = offer.allocation_info?.role
  const exactly = role === undefined ? wanted : wanted.allocate(role)
  return from.contains(exactly) ? exactly : from.find(amountsOf(wanted))
}

/** Amounts by name of what is counted, for `Resources.find`. */
function amountsOf(resources: Resources): Record<string, number> {
  const amounts: Record<string, number> = {}
  for (const { name, type } of resources.kinds()) {
    if (type === 'SCALAR') amounts[name] = resources.get(name)
  }
  return amounts
}
