// Fair sharing with real processes: 50 frameworks that always want more, on 3 agents, for 30 seconds.

import t from 'tap'
import { Batch } from '../cluster/batch.ts'
import type { Offers } from '../../src/framework/offers.ts'
import type { Filters, Offer } from '../../src/messages/offer.ts'
import { isTerminal, type TaskStatus } from '../../src/messages/status.ts'
import type { TaskInfo } from '../../src/messages/task.ts'
import { RealCluster, until } from './real-cluster.ts'

const FRAMEWORKS = 50
const SECONDS = 30
/** A fair share is 3.6 tasks, so that one task more or less does not decide. */
const CPUS = 18
const CPUS_EACH = 0.1
/** As many as an agent has room for. */
const TASKS_EACH = 60

/** Takes whatever it is offered, for tasks of about two seconds, and keeps account of it. */
class Greedy extends Batch {
  #next = 0
  /** When each of its tasks was launched, until it has ended; in ms, as all times here. */
  readonly #launched = new Map<string, number>()
  #countedFrom = Infinity
  #taskMs = 0

  /** Counts from now on. */
  startCounting(now: number): void {
    this.#countedFrom = now
    this.#taskMs = 0
  }

  /** CPUs that it had since then, on average. */
  cpus(now: number): number {
    let ms = this.#taskMs
    for (const since of this.#launched.values()) ms += this.#counted(since, now)
    return (CPUS_EACH * ms) / (now - this.#countedFrom)
  }

  #counted(since: number, until: number): number {
    return Math.max(0, until - Math.max(since, this.#countedFrom))
  }

  override launch(offers: Offers, tasks: readonly TaskInfo[], filters?: Filters): void {
    for (const { task_id } of tasks) this.#launched.set(task_id.value, Date.now())
    super.launch(offers, tasks, filters)
  }

  protected override update(status: TaskStatus): void {
    super.update(status)
    const id = status.task_id.value
    const since = this.#launched.get(id)
    if (since === undefined || !isTerminal(status.state)) return
    this.#taskMs += this.#counted(since, Date.now())
    this.#launched.delete(id)
  }

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      this.waiting = Array.from({ length: TASKS_EACH }, (_, i) => ({
        name: 'greedy',
        task_id: { value: `g${this.#next + i}` },
        command: { value: `sleep ${1.2 + 0.4 * (i % 5)}` },
        needs: { cpus: CPUS_EACH, mem: 32 },
      }))
      this.#next += TASKS_EACH
      super.offers([offer])
    }
  }
}

t.test('no framework gets less than half of its fair share', async t => {
  const cluster = new RealCluster()
  try {
    await cluster.startMaster()
    await Promise.all([1, 2, 3].map(() => cluster.startAgent(`cpus:${CPUS / 3};mem:4096`)))
    const frameworks = Array.from(
      { length: FRAMEWORKS },
      () => new Greedy([], {}, { master: cluster.address }),
    )
    await Promise.all(frameworks.map(framework => cluster.run(framework)))
    await until(() => frameworks.every(f => f.isSubscribed), 'all are subscribed')

    const start = Date.now()
    for (const framework of frameworks) framework.startCounting(start)
    await new Promise(done => setTimeout(done, SECONDS * 1000))
    const end = Date.now()
    const shares = frameworks.map(framework => framework.cpus(end)).sort((a, b) => a - b)
    const total = shares.reduce((sum, share) => sum + share, 0)
    const fair = total / FRAMEWORKS
    t.equal((await cluster.state()).frameworks.length, FRAMEWORKS, 'all are still there')
    t.ok(total > CPUS / 2, `of ${CPUS} CPUs ${total.toFixed(1)} were in use on average`)
    t.ok(shares[0]! >= fair / 2, `the least got ${(shares[0]! / fair).toFixed(2)} of a fair share`)
    t.comment(
      `of a fair share: least ${(shares[0]! / fair).toFixed(2)}, most ${(shares.at(-1)! / fair).toFixed(2)}`,
    )
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
