// Who leads by ZooKeeper: never two at once, by their own clocks, whatever is lost on the way.

import t from 'tap'
import type { Runtime } from '../../src/actors/runtime.ts'
import { collectingLogger } from '../../src/base/log.ts'
import { World } from '../../src/sim/world.ts'
import { Contender } from '../../src/zookeeper/contender.ts'
import { FakeZooKeeper } from './fake-zookeeper.ts'

const SESSION_MS = 10_000
const url = { servers: ['z:2181'], path: '/mesos' }

class Scene {
  readonly log = collectingLogger('info')
  readonly world = new World({ log: this.log })
  readonly zk = new FakeZooKeeper(this.world.clock)
  readonly contenders: Contender[] = []
  readonly heard: (string | undefined)[][] = []
  readonly lost: string[] = []
  #count = 0

  start(): Runtime {
    const i = this.#count++
    const runtime = this.world.start(`10.0.0.${i + 1}:5050`)
    this.heard[i] = []
    const contender = new Contender({
      open: this.zk.open,
      url,
      path: url.path,
      sessionTimeoutMs: SESSION_MS,
      label: 'json.info',
      about: `m${i}`,
      leads: leader => this.heard[i]!.push(leader?.data && new TextDecoder().decode(leader.data)),
      elected: () => {},
      lost: why => this.lost.push(`m${i}: ${why}`),
    })
    this.contenders.push(contender)
    runtime.spawn(contender)
    return runtime
  }

  get leading(): number[] {
    return this.contenders.flatMap((contender, i) => (contender.leading ? [i] : []))
  }

  session(i: number) {
    return [...this.zk.sessions][i]!
  }
}

t.test('the oldest leads, and all hear who that is', async t => {
  const s = new Scene()
  for (let i = 0; i < 3; i++) {
    s.start()
    await s.world.advance(500)
  }
  t.strictSame(s.leading, [0])
  t.strictSame(
    s.heard.map(heard => heard.at(-1)),
    ['m0', 'm0', 'm0'],
  )
  t.strictSame(s.zk.childrenOf('/mesos'), [
    'json.info_0000000000',
    'json.info_0000000001',
    'json.info_0000000002',
  ])
})

t.test('an orderly end is heard at once', async t => {
  const s = new Scene()
  const first = s.start()
  await s.world.advance(500)
  s.start()
  await s.world.advance(500)
  void first.shutdown()
  await s.world.advance(50)
  t.strictSame(s.zk.childrenOf('/mesos'), ['json.info_0000000001'])
  t.ok(s.contenders[1]!.leading)
})

t.test('a leader that is cut off stops before another one leads', async t => {
  const s = new Scene()
  for (let i = 0; i < 2; i++) {
    s.start()
    await s.world.advance(500)
  }
  s.session(0).isCut = true
  const seen: string[] = []
  for (let ms = 0; ms < 2 * SESSION_MS; ms += 50) {
    await s.world.advance(50)
    if (seen.at(-1) !== s.leading.join()) seen.push(s.leading.join())
  }
  t.strictSame(seen, ['0', '', '1'], 'one, nobody, the other')
  t.match(s.lost, [/m0: ZooKeeper has not answered/])
})

t.test('an answer that comes late does not make a session look younger than it is', async t => {
  const s = new Scene()
  s.start()
  await s.world.advance(500)
  const session = s.session(0)
  const { asked } = session
  while (session.asked === asked) await s.world.advance(0.5)
  const askedAtMs = s.world.clock.now()
  s.world.pause('10.0.0.1:5050')
  await s.world.advance(10)
  s.zk.isUp = false
  await s.world.advance(SESSION_MS * 0.8)
  s.world.unpause('10.0.0.1:5050')
  await s.world.advance(10)
  t.strictSame(s.leading, [0], 'the answer was there, and is good for the rest')
  await s.world.advance(askedAtMs + SESSION_MS - s.world.clock.now() - 10)
  t.strictSame(s.leading, [], 'when ZooKeeper forgets the session, nobody relies on it')
  t.equal(s.lost.length, 1)
})

t.test('a leader that stood still for too long does not lead for a moment more', async t => {
  const s = new Scene()
  s.start()
  await s.world.advance(500)
  s.world.pause('10.0.0.1:5050')
  await s.world.advance(SESSION_MS + 100)
  t.strictSame(s.leading, [])
  s.world.unpause('10.0.0.1:5050')
  t.strictSame(s.leading, [], 'not even in its first moment')
  await s.world.advance(10)
  t.equal(s.lost.length, 1)
})

t.test(
  'ZooKeeper stands still: whoever led ends, and when it is back the others go on',
  async t => {
    const s = new Scene()
    for (let i = 0; i < 2; i++) {
      s.start()
      await s.world.advance(500)
    }
    s.zk.isUp = false
    await s.world.advance(2 * SESSION_MS)
    t.strictSame(s.leading, [])
    t.equal(s.lost.length, 1, 'who did not lead has lost nothing')
    t.ok(s.log.messages('warn').some(text => text.includes('no answer from ZooKeeper')))
    s.zk.isUp = true
    await s.world.advance(SESSION_MS)
    t.equal(s.leading.length, 1)
  },
)

t.test('a short silence changes nothing', async t => {
  const s = new Scene()
  for (let i = 0; i < 2; i++) {
    s.start()
    await s.world.advance(500)
  }
  s.zk.isUp = false
  await s.world.advance(SESSION_MS / 2)
  s.zk.isUp = true
  await s.world.advance(SESSION_MS)
  t.strictSame(s.leading, [0])
  t.strictSame(s.lost, [])
})

t.test('a session that expires is followed by another one, as the youngest', async t => {
  const s = new Scene()
  for (let i = 0; i < 2; i++) {
    s.start()
    await s.world.advance(500)
  }
  s.zk.expire(s.session(1))
  await s.world.advance(1_000)
  t.strictSame(s.leading, [0])
  t.equal(s.zk.childrenOf('/mesos').length, 2)
  s.zk.expire(s.session(0))
  await s.world.advance(1_000)
  t.strictSame(s.leading, [1])
  t.match(s.lost, [/m0: expired/])
})

t.test('somebody removes the node of the leader: it stops, and enters itself again', async t => {
  const s = new Scene()
  s.start()
  await s.world.advance(500)
  s.zk.remove('/mesos/json.info_0000000000')
  await s.world.advance(500)
  t.match(s.lost, [/m0: somebody has removed its node/])
  t.strictSame(s.zk.childrenOf('/mesos'), ['json.info_0000000001'])
})

t.test('an answer that is lost leaves one node, not two', async t => {
  const s = new Scene()
  s.zk.losesCreated = true
  s.start()
  await s.world.advance(SESSION_MS)
  t.strictSame(s.zk.childrenOf('/mesos'), ['json.info_0000000000'])
  t.strictSame(s.leading, [0])
})

t.test('nodes of other labels lead too, and what is no member does not count', async t => {
  const s = new Scene()
  for (const path of ['/mesos', '/mesos/log_replicas']) s.zk.put(path, '')
  s.zk.put('/mesos/info_-000000001', 'an old one')
  await s.world.advance(10)
  s.start()
  await s.world.advance(500)
  t.strictSame(s.leading, [0], 'a number has ten digits')
  s.zk.put('/mesos/info_-0000000001', 'an old one')
  await s.world.advance(500)
  t.strictSame(s.leading, [])
  t.equal(s.heard[0]!.at(-1), 'an old one')
})

t.test('what lies there without end, or is too large, is not taken in', async t => {
  const s = new Scene()
  s.zk.put('/mesos', '')
  s.zk.put('/mesos/json.info_-2147483648', 'x'.repeat(100_000))
  s.start()
  await s.world.advance(500)
  t.strictSame(s.heard[0], [undefined])
})

t.test('who may not enter itself ends, and says what to do', async t => {
  const s = new Scene()
  s.zk.refuses = 'NO_AUTH'
  s.start()
  await s.world.advance(500)
  t.match(s.world.fatalities, [
    { error: { message: /z:2181 refuses these credentials for \/mesos/ } },
  ])
})
