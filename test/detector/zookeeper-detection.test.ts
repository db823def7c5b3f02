// Finding who leads in ZooKeeper: what is said there is believed only if it is understood, and a wrong path is told.

import t from 'tap'
import { Actor } from '../../src/actors/actor.ts'
import type { Pid } from '../../src/actors/pid.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { type Detector, detectorOf } from '../../src/detector/detector.ts'
import type { ZooKeeperMasters } from '../../src/detector/location.ts'
import { leaderPid, parseMasterInfo } from '../../src/detector/master-node.ts'
import { World } from '../../src/sim/world.ts'
import { AGENT, AWARE, command, scene } from '../agent/world.ts'
import { FakeZooKeeper } from '../zookeeper/fake-zookeeper.ts'

const NODE = '/mesos/json.info_000000000'

const infoOf = (id: string, host = '10.0.0.1'): string =>
  JSON.stringify({ id, ip: 0, port: 5050, pid: `master@${host}:5050`, hostname: host })

class Finder extends Actor {
  readonly serves = []
  readonly heard: Pid[] = []
  readonly #masters: ZooKeeperMasters
  #detector: Detector | undefined

  constructor(masters: ZooKeeperMasters) {
    super()
    this.#masters = masters
  }

  protected override initialize(): void {
    const changed = (leader: Pid) => void this.heard.push(leader)
    this.#detector = detectorOf({ context: this.context, masters: this.#masters, changed })
    this.#detector.begin()
  }

  protected override finalize(): void {
    this.#detector?.end()
  }
}

function finding() {
  const log = collectingLogger('info')
  const world = new World({ log })
  const zk = new FakeZooKeeper(world.clock)
  const url = { servers: ['z:2181'], path: '/mesos' }
  const finder = new Finder({ url, sessionTimeoutMs: 10_000, open: zk.open })
  world.start('10.0.1.1:0').spawn(finder)
  return { world, zk, finder, log }
}

t.test('whoever leads is told, each time that it is another one', async t => {
  const { world, zk, finder } = finding()
  zk.put('/mesos', '')
  zk.put(`${NODE}5`, infoOf('a'))
  zk.put(`${NODE}6`, infoOf('b', '10.0.0.2'))
  await world.advance(100)
  t.strictSame(finder.heard, ['master@10.0.0.1:5050'])
  zk.remove(`${NODE}5`)
  await world.advance(100)
  t.strictSame(finder.heard.slice(1), ['master@10.0.0.2:5050'])
  zk.remove(`${NODE}6`)
  await world.advance(100)
  t.equal(finder.heard.length, 2, 'nobody leads: nobody is told of')
  zk.put(`${NODE}7`, infoOf('c', '10.0.0.2'))
  await world.advance(100)
  t.equal(finder.heard.length, 3, 'another process at the same address is another master')
})

t.test('a path that is not there is told, and waited for', async t => {
  const { world, zk, finder, log } = finding()
  await world.advance(1_000)
  const said = log.records.filter(r => r.message.includes('there is no /mesos in ZooKeeper'))
  t.equal(said.length, 1)
  t.match(said[0]!.fields, { servers: ['z:2181'], path: '/mesos' })
  zk.put('/mesos', '')
  zk.put(`${NODE}1`, infoOf('a'))
  await world.advance(50)
  t.equal(finder.heard.length, 1, 'at once')
})

t.test('what is not understood leads nobody astray', async t => {
  for (const wrong of [
    '',
    'no JSON',
    '{}',
    '[]',
    infoOf('x', 'a b'),
    infoOf('x').replace('master@', 'evil@'),
  ]) {
    const { world, zk, finder, log } = finding()
    zk.put('/mesos', '')
    zk.put(`${NODE}1`, wrong)
    await world.advance(1_000)
    t.strictSame(finder.heard, [], wrong)
    t.ok(log.messages('warn').some(text => text.includes('is not understood')))
  }
})

t.test('while ZooKeeper is away nothing changes, and its notices may get lost', async t => {
  const { world, zk, finder } = finding()
  zk.put('/mesos', '')
  zk.put(`${NODE}1`, infoOf('a'))
  await world.advance(100)
  zk.isUp = false
  await world.advance(30_000)
  zk.nodes.clear()
  zk.isUp = true
  zk.put('/mesos', '')
  zk.nodes.set(`${NODE}2`, {
    data: new TextEncoder().encode(infoOf('b', '10.0.0.2')),
    owner: '0',
  })
  await world.advance(10_000)
  t.strictSame(finder.heard, ['master@10.0.0.1:5050', 'master@10.0.0.2:5050'])
})

t.test('where a master is, by what it says', async t => {
  const read = (more: object) =>
    leaderPid(parseMasterInfo(JSON.stringify({ id: 'a', ip: 0, port: 1, ...more }))!)
  t.equal(read({ pid: 'master@h:5050' }), 'master@h:5050')
  t.equal(read({ address: { ip: '10.0.0.9', port: 5055 } }), 'master@10.0.0.9:5055')
  t.equal(read({}), undefined)
  t.equal(read({ pid: 'master@h:0' }), undefined)
})

t.test('an agent registers with whoever leads by ZooKeeper', async t => {
  const later: { zk?: FakeZooKeeper } = {}
  const s = await scene({
    master: false,
    options: {
      masters: {
        url: { servers: ['z:2181'], path: '/mesos' },
        sessionTimeoutMs: 10_000,
        open: (options, events) => later.zk!.open(options, events),
      },
    },
  })
  const zk = new FakeZooKeeper(s.world.clock)
  later.zk = zk
  await s.world.advance(60_000)
  t.match(JSON.parse((await s.get('/state')).body), { id: '' }, 'without a master it waits')
  zk.put('/mesos', '')
  zk.put(`${NODE}1`, infoOf('a'))
  const master = s.startMaster()
  await s.world.until(() => s.log.messages('info').includes('registered with the master'), 'in')
  master.run(AWARE, command('t1', 'true'))
  await s.reaches('t1', 'TASK_FINISHED')
  t.equal(master.registrations.length, 1)
  s.world.crash(AGENT)
})
