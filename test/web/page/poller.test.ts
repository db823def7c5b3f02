// How the page keeps its picture fresh, and what it says when it cannot.

import t from 'tap'
import { type Feed, StatePoller } from '../../../src/web/page/poller.ts'
import { cluster } from '../canned.ts'
import { reply, unreachable, VirtualWorld } from './virtual-world.ts'

function start() {
  const world = new VirtualWorld()
  const feeds: Feed[] = []
  const poller = new StatePoller(world, feed => feeds.push(feed))
  return { world, poller, last: () => feeds.at(-1), kind: () => feeds.at(-1)?.connection.kind }
}

t.test('asks once a second, and takes no body when nothing changed', async t => {
  const { world, poller, last } = start()
  const tags: (string | undefined)[] = []
  let etag = '"1"'
  world.answer = async (_path, headers) => {
    tags.push(headers['If-None-Match'])
    return headers['If-None-Match'] === etag
      ? reply(304, '', { etag })
      : reply(200, cluster({ cluster: etag }), { etag })
  }
  poller.start()
  await world.advance(0)
  const first = last()
  t.equal(first?.state?.cluster, '"1"')
  await world.advance(2000)
  t.strictSame(tags, [undefined, '"1"', '"1"'])
  t.equal(last()?.state, first?.state, 'the same object: nothing needs to be drawn anew')
  t.equal(last()?.confirmedAtMs, world.now(), 'but it was confirmed just now')
  etag = '"2"'
  await world.advance(1000)
  t.equal(last()?.state?.cluster, '"2"')
})

t.test('spends at most a fifth of the time on asking', async t => {
  const { world, poller } = start()
  world.answer = () =>
    new Promise(done => world.delay(3000, () => done(reply(200, cluster(), { etag: '"1"' }))))
  poller.start()
  await world.advance(3000)
  t.equal(world.asked.length, 1)
  await world.advance(11_999)
  t.equal(world.asked.length, 1)
  await world.advance(1)
  t.equal(world.asked.length, 2)
})

t.test(
  'backs off from 1 to 16 s while nobody answers, keeps the last state, and recovers',
  async t => {
    const { world, poller, last, kind } = start()
    const live = async () => reply(200, cluster(), { etag: '"1"' })
    world.answer = live
    poller.start()
    await world.advance(0)
    const confirmedAtMs = last()?.confirmedAtMs
    world.answer = unreachable
    const waits: number[] = []
    await world.advance(1000)
    for (let tries = 0; tries < 6; tries++) {
      const connection = last()?.connection
      const waitMs = connection?.kind === 'lost' ? connection.retryAtMs - world.now() : Number.NaN
      waits.push(waitMs)
      await world.advance(waitMs)
    }
    t.strictSame(waits, [1000, 2000, 4000, 8000, 16_000, 16_000])
    t.ok(last()?.state)
    t.equal(last()?.confirmedAtMs, confirmedAtMs)
    world.answer = live
    poller.start()
    await world.advance(0)
    t.equal(kind(), 'live', 'at once when told to try now')
    world.answer = unreachable
    await world.advance(1000)
    const connection = last()?.connection
    t.match(connection, { kind: 'lost', retryAtMs: world.now() + 1000 }, 'and from the start again')
  },
)

t.test('takes no tag across a gap: the master may be another', async t => {
  const { world, poller, last } = start()
  const serve = (name: string) => async (_: string, headers: Readonly<Record<string, string>>) =>
    headers['If-None-Match'] === '"1"'
      ? reply(304, '')
      : reply(200, cluster({ cluster: name }), { etag: '"1"' })
  world.answer = serve('before')
  poller.start()
  await world.advance(0)
  world.answer = unreachable
  await world.advance(1000)
  world.answer = serve('after')
  await world.advance(1000)
  t.equal(last()?.state?.cluster, 'after')
})

t.test('shows what a master says that has no state to give', async t => {
  const { world, poller, last, kind } = start()
  world.answer = async () => reply(503, 'Master has not finished recovery\n')
  poller.start()
  await world.advance(0)
  t.match(last()?.connection, {
    kind: 'refused',
    status: 503,
    text: 'Master has not finished recovery',
  })
  world.answer = async () => reply(200, cluster())
  await world.advance(2000)
  t.equal(kind(), 'live')
})

t.test('a pause asks nothing, and an answer that comes late changes nothing', async t => {
  const { world, poller, last, kind } = start()
  let answerNow = () => {}
  world.answer = () =>
    new Promise(done => {
      answerNow = () => done(reply(200, cluster({ cluster: 'late' })))
    })
  poller.start()
  poller.stop('paused')
  answerNow()
  await world.advance(60_000)
  t.equal(kind(), 'paused')
  t.equal(last()?.state, undefined)
  t.equal(world.asked.length, 1)
  t.equal(world.pendingTimers, 0)
})

t.test('goes by the master’s clock when the two differ', async t => {
  const { world, poller, last } = start()
  let serverTimeMs = world.now() - 90_000
  world.answer = async () => reply(200, cluster(), { serverTimeMs })
  poller.start()
  await world.advance(0)
  t.equal(last()?.skewMs, -90_000)
  serverTimeMs = world.now() + 1000 - 800
  await world.advance(1000)
  t.equal(last()?.skewMs, 0, 'whole seconds of the Date header are no difference')
})

t.test('a master that stands by says who leads, and when nobody does', async t => {
  const { world, poller, last } = start()
  const leader = { id: 'b', hostname: 'm2', port: 5050 }
  let answer: object = { id: 'a', leading: false, leader }
  let status = 0
  world.answer = async path =>
    path === 'leader' ? reply(200, answer) : reply(status, 'No leader elected\n')
  poller.start()
  await world.advance(0)
  t.match(last()?.connection, { kind: 'standby', leader: { hostname: 'm2', port: 5050 } })
  status = 503
  answer = { id: 'a', leading: false }
  await world.advance(2000)
  t.match(last()?.connection, { kind: 'standby', leader: undefined })
  answer = { id: 'b', leading: false, leader }
  await world.advance(2000)
  t.match(last()?.connection, { kind: 'refused', status: 503 }, 'it leads, and is not ready')
  t.equal(last()?.state, undefined)
})

t.test('goes where the slider is: one question at a time, then the latest', async t => {
  const { world, poller, last } = start()
  world.answer = path =>
    new Promise(done =>
      world.delay(100, () => done(reply(200, cluster({ cluster: path }), { etag: `"${path}"` }))),
    )
  poller.follow('state?position=1')
  await world.advance(100)
  t.equal(last()?.state?.cluster, 'state?position=1')
  for (const position of [2, 3, 4, 5]) poller.follow(`state?position=${position}`)
  await world.advance(50)
  for (const position of [6, 7]) poller.follow(`state?position=${position}`)
  await world.advance(50)
  t.equal(last()?.state?.cluster, 'state?position=2', 'what came is shown')
  await world.advance(100)
  t.equal(last()?.state?.cluster, 'state?position=7')
  t.strictSame(
    world.asked.map(path => path.split('=')[1]),
    ['1', '2', '7'],
  )
  await world.advance(1000)
  t.equal(world.asked.length, 4, 'and then once a second, as ever')
})
