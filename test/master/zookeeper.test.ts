// Masters that find each other, and are found, through ZooKeeper (a fake one, in virtual time).

import t from 'tap'
import type { HttpResponse } from '../../src/actors/http.ts'
import type { Address } from '../../src/actors/pid.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { collectingLogger } from '../../src/base/log.ts'
import type { ZooKeeperMasters } from '../../src/detector/location.ts'
import { Scheduler } from '../../src/framework/scheduler.ts'
import { Log, Members } from '../../src/log/log.ts'
import { nextMembers } from '../../src/master/log-members.ts'
import { startMaster } from '../../src/master/start.ts'
import { MemoryDisk } from '../../src/sim/memory-storage.ts'
import { World } from '../../src/sim/world.ts'
import { FakeZooKeeper } from '../zookeeper/fake-zookeeper.ts'
import { configOf } from './cluster.ts'

class Masters {
  readonly log = collectingLogger('info')
  readonly world = new World({ log: this.log })
  readonly zk = new FakeZooKeeper(this.world.clock)
  readonly zookeeper: ZooKeeperMasters = {
    url: { servers: ['z:2181'], path: '/mesos' },
    sessionTimeoutMs: 10_000,
    open: this.zk.open,
  }
  readonly disks = new Map<number, MemoryDisk>()
  readonly runtimes = new Map<number, Runtime>()
  readonly quorum: number

  constructor(quorum = 2) {
    this.quorum = quorum
  }

  addressOf(i: number): Address {
    return `10.0.0.${i}:5050`
  }

  async start(...which: number[]): Promise<void> {
    for (const i of which) {
      const runtime = this.world.start(this.addressOf(i))
      const disk = this.disks.get(i) ?? new MemoryDisk()
      this.disks.set(i, disk)
      const { quorum, zookeeper } = this
      const members = Members.live(quorum)
      const log = await Log.open({
        storage: disk.storage(runtime.clock),
        replicas: members,
      })
      startMaster(runtime, {
        config: configOf(),
        hostname: `m${i}`,
        log,
        zookeeper,
        replicas: { members, quorum },
      })
      this.runtimes.set(i, runtime)
    }
  }

  crash(i: number): void {
    this.world.crash(this.addressOf(i))
    this.disks.get(i)!.crash()
    this.runtimes.delete(i)
  }

  async get(i: number, path: string): Promise<HttpResponse> {
    const query = new URLSearchParams()
    const request = { method: 'GET', path, query, headers: {}, body: new Uint8Array() }
    let answer: HttpResponse | undefined
    void this.runtimes
      .get(i)!
      .http(request)
      .then(response => (answer = response))
    await this.world.until(() => answer !== undefined, `m${i} answers`, 1_000)
    return answer!
  }

  async leader(): Promise<number> {
    for (let tries = 0; tries < 1_000; tries++) {
      for (const i of this.runtimes.keys()) {
        if ((await this.get(i, '/slaves')).status === 200) return i
      }
      await this.world.advance(50)
    }
    throw new Error('nobody leads')
  }
}

class Watcher extends Scheduler {
  readonly masters: string[] = []
  protected override subscribed(): void {
    this.masters.push(this.server)
  }
}

t.test('three start a new log together; one leads, the others say who', async t => {
  const m = new Masters()
  await m.start(1, 2)
  await m.world.advance(5_000)
  t.equal((await m.get(1, '/slaves')).status, 503, 'a new log begins when all are there')
  await m.start(3)
  const lead = await m.leader()
  await m.world.advance(1_000)
  for (const i of [1, 2, 3].filter(each => each !== lead)) {
    t.match(await m.get(i, '/slaves'), {
      status: 307,
      headers: { location: `//m${lead}:5050/slaves` },
    })
  }
  t.equal(m.zk.childrenOf('/mesos/log_replicas').length, 3)
})

t.test('a leader crashes: the next one has the registry, and frameworks find it', async t => {
  const m = new Masters()
  await m.start(1, 2, 3)
  const first = await m.leader()
  const watcher = new Watcher({ master: 'zk://z:2181/mesos', framework: { name: 'watcher' } })
  watcher.fillIn({ user: 'ada', hostname: 'engine', masters: m.zookeeper })
  const client = m.world.start('10.0.1.1:0')
  client.spawn(watcher)
  await m.world.until(() => watcher.masters.length === 1, 'subscribed')
  m.crash(first)
  const second = await m.leader()
  t.not(second, first)
  await m.world.until(() => watcher.masters.length === 2, 'subscribed again', 60_000)
  t.strictSame(
    watcher.masters,
    [first, second].map(i => `master@${m.addressOf(i)}`),
  )
  await m.start(first)
  await m.world.advance(20_000)
  m.crash(second)
  await m.leader()
  t.strictSame(m.log.messages('error'), [])
  void client.shutdown()
  await m.world.advance(1_000)
  t.equal(
    [...m.zk.sessions].filter(s => !s.isCut).length,
    // Two for each master that lives.
    4,
    'a scheduler that ends leaves ZooKeeper',
  )
})

t.test('one master too many ends, with an error that says why', async t => {
  const m = new Masters(1)
  await m.start(1)
  t.equal(await m.leader(), 1)
  await m.start(2)
  await m.world.advance(30_000)
  t.match(m.world.fatalities, [
    { error: { message: /A quorum of 1 belongs to 1 masters, but ZooKeeper lists 2/ } },
  ])
  t.equal(await m.leader(), 1, 'who was there before goes on')
})

t.test('a master that is moved takes the place of one that is gone', async t => {
  const m = new Masters()
  await m.start(1, 2, 3)
  await m.leader()
  m.crash(3)
  // Its session is not over yet.
  await m.start(4)
  await m.world.advance(60_000)
  m.crash(await m.leader())
  const left = await m.leader()
  t.ok(left)
  t.strictSame(m.world.fatalities, [])
})

t.test(
  'who keeps the log: whoever is entered, and of those who are gone as many as fit',
  async t => {
    t.strictSame(nextMembers([], ['a', 'b'], 3), ['a', 'b'])
    t.strictSame(nextMembers(['a', 'b', 'c'], ['b'], 3), ['b', 'a', 'c'])
    t.strictSame(nextMembers(['a', 'b', 'c'], ['b', 'c', 'd'], 3), ['b', 'c', 'd'])
    t.strictSame(nextMembers(['a', 'b', 'c'], ['a', 'd'], 3), ['a', 'd', 'b'])
    t.strictSame(nextMembers(['a'], ['a', 'b', 'c', 'd'], 3), undefined)
    t.strictSame(nextMembers([], ['a', 'a'], 1), ['a'], 'one that is entered twice is one')
  },
)
