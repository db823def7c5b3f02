// Several masters: one leads, the others say who, and one of them takes over.

import t from 'tap'
import type { Address } from '../../src/actors/pid.ts'
import type { HttpResponse } from '../../src/actors/http.ts'
import { pid } from '../../src/actors/pid.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { Log } from '../../src/log/log.ts'
import { startMaster } from '../../src/master/start.ts'
import { DETECTOR_ID, MasterDetector } from '../../src/messages/detector.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { World } from '../../src/sim/world.ts'
import { configOf } from './cluster.ts'

class Masters {
  readonly log = collectingLogger('info')
  readonly world = new World({ log: this.log })
  readonly addresses: Address[] = ['10.0.0.1:5050', '10.0.0.2:5050', '10.0.0.3:5050']
  readonly disks = this.addresses.map(() => new MemoryDisk())
  readonly runtimes: (Runtime | undefined)[] = []

  async start(...which: number[]): Promise<void> {
    for (const i of which) {
      const runtime = this.world.start(this.addresses[i]!)
      const storage = this.disks[i]!.storage(runtime.clock)
      const log = await Log.open({ storage, quorum: 2, replicas: this.addresses })
      startMaster(runtime, {
        config: configOf(),
        hostname: `m${i}`,
        log,
        masters: this.addresses,
      })
      this.runtimes[i] = runtime
    }
  }

  crash(i: number): void {
    this.world.crash(this.addresses[i]!)
    this.disks[i]!.crash()
    this.runtimes[i] = undefined
  }

  async get(i: number, path: string) {
    const [name, search] = path.split('?')
    const query = new URLSearchParams(search)
    const request = { method: 'GET', path: name!, query, headers: {}, body: new Uint8Array() }
    let answer: HttpResponse | undefined
    void this.runtimes[i]!.http(request).then(response => (answer = response))
    await this.world.until(() => answer !== undefined, `an answer of m${i} to ${path}`, 1_000)
    return answer!
  }

  /** Who answers for the cluster. */
  async leader(): Promise<number> {
    for (let tries = 0; tries < 1_000; tries++) {
      for (const [i, runtime] of this.runtimes.entries()) {
        if (runtime && (await this.get(i, '/slaves')).status === 200) return i
      }
      await this.world.advance(20)
    }
    throw new Error('nobody leads')
  }
}

t.test('one leads; the others send everyone there, and say who it is', async t => {
  const m = new Masters()
  await m.start(0, 1, 2)
  const lead = await m.leader()
  await m.world.advance(1_000)
  for (const i of [0, 1, 2]) {
    if (i === lead) continue
    t.match(await m.get(i, '/slaves?slave_id=x'), {
      status: 307,
      headers: { location: `//m${lead}:5050/slaves?slave_id=x` },
    })
  }
  for (const i of [0, 1, 2]) {
    t.match(await m.get(i, '/redirect'), {
      status: 307,
      headers: { location: `//m${lead}:5050` },
    })
    t.equal((await m.get(i, '/health')).status, 200)
    // The page of a master that stands by may not follow a redirection to another origin.
    const answer = await m.get(i, '/leader')
    t.equal(answer.status, 200)
    t.match(JSON.parse(answer.body as string), {
      leading: i === lead,
      leader: { hostname: `m${lead}`, port: 5050, pid: `master@${m.addresses[lead]}` },
    })
  }
  for (const i of [0, 1, 2]) if (i !== (lead + 1) % 3) m.crash(i)
  await m.world.advance(10_000)
  const alone = JSON.parse((await m.get((lead + 1) % 3, '/leader')).body as string) as object
  t.match(alone, { leading: false })
  t.notOk('leader' in alone, 'nobody leads')
})

t.test('another one takes over, with the registry, in less than a second', async t => {
  const m = new Masters()
  await m.start(0, 1, 2)
  for (let round = 0; round < 5; round++) {
    const lead = await m.leader()
    await m.world.advance(5_000)
    const from = m.world.clock.now()
    m.crash(lead)
    const next = await m.leader()
    t.not(next, lead)
    t.ok(m.world.clock.now() - from < 1_000, `${m.world.clock.now() - from} ms`)
    await m.start(lead)
    await m.world.advance(2_000)
  }
  t.strictSame(m.log.messages('error'), [])
})

t.test('whoever asks any of them hears who leads, and when that changes', async t => {
  const m = new Masters()
  await m.start(0, 1, 2)
  const lead = await m.leader()
  await m.world.advance(1_000)
  const other = (lead + 1) % 3
  const detector = m.world
    .start('10.0.1.1:5051')
    .ref(MasterDetector, pid(DETECTOR_ID, m.addresses[other]!))
  const first = detector.ask('detect', {})
  await m.world.advance(100)
  const { leader } = await first
  t.match(leader, { hostname: `m${lead}`, pid: `master@${m.addresses[lead]}` })
  const heard: (string | undefined)[] = []
  const follow = async (known: string | undefined): Promise<void> => {
    const answer = await detector.ask('detect', known === undefined ? {} : { known })
    heard.push(answer.leader?.hostname)
    if (heard.length < 20) return follow(answer.leader?.id)
  }
  void follow(leader!.id)
  await m.world.advance(14_000)
  t.ok(heard.length <= 3, 'an answer waits while nothing changes')
  t.ok(heard.every(name => name === `m${lead}`))
  m.crash(lead)
  await m.world.advance(1_000)
  const next = await m.leader()
  t.equal(heard.at(-1), `m${next}`)
})

t.test('a leader that stood still while another one was elected does nothing more', async t => {
  const m = new Masters()
  await m.start(0, 1, 2)
  const lead = await m.leader()
  await m.world.advance(1_000)
  m.world.pause(m.addresses[lead]!)
  const paused = m.runtimes[lead]
  m.runtimes[lead] = undefined
  await m.world.advance(10_000)
  const next = await m.leader()
  t.not(next, lead)
  m.world.unpause(m.addresses[lead]!)
  await m.world.advance(100)
  t.match(m.world.fatalities, [{}])
  t.ok(paused)
  t.equal(await m.leader(), next)
})
