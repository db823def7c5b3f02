// Frameworks that always want more: each offer is filled with as many small tasks as fit.

import type { Address } from '../../src/actors/pid.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { createLogger } from '../../src/base/logger.ts'
import { Scheduler } from '../../src/framework/scheduler.ts'
import type { OfferID } from '../../src/messages/ids.ts'
import type { Offer } from '../../src/messages/offer.ts'
import type { TaskStatus } from '../../src/messages/status.ts'
import type { TaskInfo } from '../../src/messages/task.ts'
import { serveCommands } from '../program.ts'

/** All schedulers' counts together. */
export interface SchedulersCount {
  readonly offers: number
  readonly launched: number
  /** Messages with the master, both ways, but for heartbeats. */
  readonly messages: number
}

const TASK_CPUS = 0.1
const TASK_MEM_MB = 32

let isLaunching = false
let launched = 0
let ended = 0
let offersSeen = 0
let messages = 0
let nextTask = 0

class Launcher extends Scheduler {
  /** Offers that came while nothing was to be launched. */
  readonly #held = new Map<string, Offer>()

  override offers(offers: readonly Offer[]): void {
    messages++
    offersSeen += offers.length
    for (const offer of offers) {
      if (isLaunching) this.#fill(offer)
      else this.#held.set(offer.id.value, offer)
    }
  }

  override rescinded(id: OfferID): void {
    this.#held.delete(id.value)
  }

  override update(status: TaskStatus): void {
    // And the acknowledgement that follows.
    messages += 2
    if (status.state === 'TASK_FINISHED') ended++
    else if (status.state !== 'TASK_RUNNING') {
      throw new Error(`${status.task_id.value}: ${status.state}: ${status.message}`)
    }
  }

  use(): void {
    const held = [...this.#held.values()]
    this.#held.clear()
    for (const offer of held) this.#fill(offer)
  }

  #fill(offer: Offer): void {
    const amount = (name: string): number =>
      offer.resources?.find(it => it.name === name)?.scalar?.value ?? 0
    // Resources have three decimals; a tenth has none of its own in binary.
    const fit = (have: number, need: number): number => Math.floor(have / need + 1e-6)
    const count = Math.min(fit(amount('cpus'), TASK_CPUS), fit(amount('mem'), TASK_MEM_MB))
    const allocated = offer.allocation_info && { allocation_info: offer.allocation_info }
    const scalar = (name: string, value: number) =>
      ({ name, type: 'SCALAR', scalar: { value }, ...allocated }) as const
    const tasks = Array.from({ length: count }, (): TaskInfo => {
      const value = `task-${nextTask++}`
      return {
        name: value,
        task_id: { value },
        agent_id: offer.agent_id,
        resources: [scalar('cpus', TASK_CPUS), scalar('mem', TASK_MEM_MB)],
        command: { value: 'true' },
      }
    })
    messages++
    launched += count
    this.launch(offer, tasks, { refuse_seconds: 0 })
  }
}

const schedulers: Launcher[] = []

const commands = serveCommands({
  /** Starts `count` frameworks; resolves when all are subscribed. */
  async start({ master, count }: { master: Address; count: number }): Promise<void> {
    const runtime = await systemRuntime({
      log: createLogger({ level: 'warn', format: 'text', name: 'schedulers' }),
      fatal: (_, error) => {
        throw error
      },
    })
    for (let i = 1; i <= count; i++) {
      const scheduler = new Launcher({ master, framework: { name: `bench-${i}`, user: 'nobody' } })
      schedulers.push(scheduler)
      runtime.spawn(scheduler)
    }
    while (!schedulers.every(it => it.isSubscribed)) await tick()
  },

  launch(): void {
    isLaunching = true
    for (const scheduler of schedulers) scheduler.use()
  },

  /** Launches no more; resolves when all tasks have ended. */
  async stop(): Promise<void> {
    isLaunching = false
    while (ended < launched) await tick()
  },

  count(): SchedulersCount {
    return { offers: offersSeen, launched, messages }
  },
})

export type SchedulersProgram = typeof commands

function tick(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 10))
}
