// A framework with an executor of its own: launches tasks, follows each to its end, and says whether all went well.
//
//     test-framework 127.0.0.1:5050 --total_tasks=20 --task_duration=500ms
//
// The executor runs from the same path on the agent's machine, so give agents the same installation.

import { fileURLToPath } from 'node:url'
import { textToBase64 } from '../../src/base/base64.ts'
import {
  isTerminal,
  type Offer,
  pack,
  runScheduler,
  Scheduler,
  type SchedulerOptions,
  type TaskRequest,
  type TaskStatus,
} from '../../src/framework/framework.ts'
import type { FrameworkID } from '../../src/messages/ids.ts'
import { readOptions } from './options.ts'

class TestFramework extends Scheduler {
  readonly #total: number
  #waiting: readonly TaskRequest[]
  /** Tasks that were launched and have not ended, with the last status of each. */
  readonly #running = new Map<string, TaskStatus>()
  #finished = 0
  #failed = 0

  constructor(options: SchedulerOptions, total: number, durationMs: number) {
    super(options)
    this.#total = total
    this.#waiting = Array.from({ length: total }, (_, i) => ({
      name: `task ${i}`,
      task_id: { value: String(i) },
      needs: { cpus: 0.1, mem: 16 },
      data: textToBase64(String(durationMs)),
      executor: {
        executor_id: { value: 'default' },
        name: 'Test Executor',
        needs: { cpus: 0.1, mem: 32 },
        command: {
          shell: false,
          value: process.execPath,
          arguments: [process.execPath, fileURLToPath(new URL('./executor.js', import.meta.url))],
        },
      },
    }))
  }

  get allFinished(): boolean {
    return this.#finished === this.#total
  }

  protected override subscribed(id: FrameworkID): void {
    console.log(`Subscribed with ID ${id.value}`)
    // After a lost connection: what became of our tasks meanwhile? A launch that never arrived would be waited for.
    const running = [...this.#running.values()]
    if (running.length > 0)
      this.reconcile(
        running.map(({ task_id, agent_id }) => ({ task_id, ...(agent_id && { agent_id }) })),
      )
  }

  protected override disconnected(): void {
    console.log('The master is away; tasks go on')
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      const { tasks, rest } = pack(offer, this.#waiting)
      this.#waiting = rest
      for (const { task_id, agent_id } of tasks) {
        this.#running.set(task_id.value, { task_id, agent_id, state: 'TASK_STAGING' })
        console.log(`Task ${task_id.value} TASK_STAGING on ${offer.hostname}`)
      }
      this.launch(offer, tasks)
    }
    if (this.#waiting.length === 0) this.suppress()
  }

  protected override update(status: TaskStatus): void {
    const { task_id, state, reason, message } = status
    const known = this.#running.get(task_id.value)
    // A status comes again when its acknowledgement was lost.
    if (!known || known.state === state) return
    this.#running.set(task_id.value, status)
    const why = [reason, message].filter(Boolean).join(': ')
    console.log(`Task ${task_id.value} ${state}${why && ` (${why})`}`)
    if (!isTerminal(state)) return
    this.#running.delete(task_id.value)
    if (state === 'TASK_FINISHED') this.#finished++
    else this.#failed++
    if (this.#finished + this.#failed < this.#total) return
    console.log(`${this.#finished} of ${this.#total} tasks finished`)
    this.teardown()
  }
}

const options = readOptions()
if (options) {
  const { master, framework, totalTasks, taskDurationMs, clusterSecret } = options
  const scheduler = new TestFramework({ master, framework }, totalTasks, taskDurationMs)
  const status = await runScheduler(scheduler, clusterSecret ? { clusterSecret } : {})
  process.exitCode = status === 0 && !scheduler.allFinished ? 1 : status
}
