// From offers to tasks: what fits into an offer, and the TaskInfo that says so. Pure.

import type { Offer } from '../messages/offer.ts'
import type { ExecutorInfo, TaskInfo } from '../messages/task.ts'
import { assert } from '../base/assert.ts'
import { Resources } from '../resources/resources.ts'

/** Amounts by name: units of a scalar, how many of a range or set. `{ cpus: 0.5, mem: 128, ports: 2 }`; mem in MB. */
export type Needs = Readonly<Record<string, number>>

/** An executor that is to be started with the first task on an agent. */
export type ExecutorRequest = Omit<ExecutorInfo, 'resources'> & { readonly needs: Needs }

/** A TaskInfo that does not know yet where it will run, nor with which of an offer's resources. */
export type TaskRequest = Omit<TaskInfo, 'agent_id' | 'resources' | 'executor'> & {
  readonly needs: Needs
  readonly executor?: ExecutorRequest
}

/** What came of packing. `rest` waits for other offers, in the order it was given. */
export interface Packed {
  readonly tasks: readonly TaskInfo[]
  readonly rest: readonly TaskRequest[]
}

type Offers = Offer | readonly Offer[]

const listOf = (offers: Offers): readonly Offer[] =>
  Array.isArray(offers) ? (offers as readonly Offer[]) : [offers as Offer]

/** Whether an offer, or several of one agent together, hold this much. */
export function fits(offers: Offers, needs: Needs): boolean {
  return new Space(offers).resources.find(needs) !== undefined
}

/** The task on this offer's agent, with resources out of the offer; undefined if it does not fit. */
export function taskFromOffer(offers: Offers, request: TaskRequest): TaskInfo | undefined {
  return new Space(offers).place(request)
}

/**
 * Puts as many tasks as fit into an offer (or several of one agent), in order; one that does not fit is passed over,
 * so that a big one does not keep small ones waiting. An executor's own needs are counted once an agent.
 */
export function pack(offers: Offers, requests: readonly TaskRequest[]): Packed {
  const space = new Space(offers)
  const tasks: TaskInfo[] = []
  const rest: TaskRequest[] = []
  for (const request of requests) {
    const task = space.place(request)
    if (task) tasks.push(task)
    else rest.push(request)
  }
  return { tasks, rest }
}

/** What is left of an agent's offers while tasks are put into them. */
class Space {
  resources: Resources
  readonly #offer: Offer
  readonly #executors: Set<string>

  constructor(offers: Offers) {
    const list = listOf(offers)
    const [first] = list
    assert(first, 'there is an offer')
    assert(
      list.every(offer => offer.agent_id.value === first.agent_id.value),
      'offers that are used together are of one agent',
    )
    this.#offer = first
    this.resources = Resources.sum(list.map(offer => Resources.of(offer.resources)))
    this.#executors = new Set(
      list.flatMap(offer => (offer.executor_ids ?? []).map(({ value }) => value)),
    )
  }

  place({ needs, executor, ...info }: TaskRequest): TaskInfo | undefined {
    let left = this.resources
    let executorInfo: ExecutorInfo | undefined
    if (executor) {
      executorInfo = this.#executorInfo(executor)
      if (!this.#executors.has(executor.executor_id.value)) {
        const wanted = Resources.of(executorInfo.resources)
        if (!left.contains(wanted)) return undefined
        left = left.subtract(wanted)
      }
    }
    const taken = left.find(needs)
    if (!taken) return undefined
    this.resources = left.subtract(taken)
    if (executor) this.#executors.add(executor.executor_id.value)
    return {
      ...info,
      agent_id: this.#offer.agent_id,
      resources: taken.list(),
      ...(executorInfo && { executor: executorInfo }),
    }
  }

  /** Always the same for the same agent and role: the master refuses a second task whose ExecutorInfo differs. */
  #executorInfo({ needs, ...info }: ExecutorRequest): ExecutorInfo {
    const { allocation_info } = this.#offer
    const resources = Object.entries(needs).map(([name, value]) => ({
      name,
      type: 'SCALAR' as const,
      scalar: { value },
      ...(allocation_info && { allocation_info }),
    }))
    return { ...info, resources }
  }
}
