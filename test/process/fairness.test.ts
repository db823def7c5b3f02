// Fair sharing with real processes: 50 frameworks that always want more, on 3 agents, for 30 seconds.

import t from 'tap'
import { Batch } from '../cluster/batch.ts'
import type { Offer } from '../../src/messages/offer.ts'
import { RealCluster, until } from './real-cluster.ts'

const FRAMEWORKS = 50
const SECONDS = 30

/** Takes whatever it is offered, for tasks of about a second. */
class Greedy extends Batch {
  #next = 0

  protected override offers(offers: readonly Offer[]): void {
    for (const offer of offers) {
      this.waiting = Array.from({ length: 40 }, (_, i) => ({
        name: 'greedy',
        task_id: { value: `g${this.#next + i}` },
        command: { value: `sleep ${0.6 + 0.2 * (i % 5)}` },
        needs: { cpus: 0.1, mem: 32 },
      }))
      this.#next += 40
      super.offers([offer])
    }
  }
}

t.test('no framework gets less than half of its fair share', async t => {
  const cluster = new RealCluster()
  try {
    await cluster.startMaster()
    await Promise.all([1, 2, 3].map(() => cluster.startAgent('cpus:3;mem:4096')))
    const frameworks = Array.from(
      { length: FRAMEWORKS },
      () => new Greedy([], {}, { master: cluster.address }),
    )
    await Promise.all(frameworks.map(framework => cluster.run(framework)))
    await until(() => frameworks.every(f => f.isSubscribed), 'all are subscribed')

    const held = new Map<string, number>()
    let samples = 0
    const end = Date.now() + SECONDS * 1000
    while (Date.now() < end) {
      for (const { id, used_resources } of (await cluster.state()).frameworks) {
        held.set(id, (held.get(id) ?? 0) + used_resources.cpus)
      }
      samples++
      await new Promise(done => setTimeout(done, 100))
    }
    const shares = [...held.values()].sort((a, b) => a - b)
    const total = shares.reduce((sum, share) => sum + share, 0)
    const fair = total / FRAMEWORKS
    t.equal(shares.length, FRAMEWORKS)
    t.ok(total / samples > 4.5, `of 9 CPUs ${(total / samples).toFixed(1)} were in use on average`)
    t.ok(shares[0]! >= fair / 2, `the least got ${(shares[0]! / fair).toFixed(2)} of a fair share`)
    t.comment(
      `of a fair share: least ${(shares[0]! / fair).toFixed(2)}, most ${(shares.at(-1)! / fair).toFixed(2)}`,
    )
  } finally {
    t.same(await cluster.stop(), [], 'no process is left behind')
  }
})
