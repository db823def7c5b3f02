// What an actor's flight recorder keeps, in how much, and where it is shown.

import t from 'tap'
import {
  type FlightEntry,
  FlightRecorder,
  flightText,
  type FlightType,
} from '../../src/actors/flight.ts'
import { pid } from '../../src/actors/pid.ts'
import { LogLines } from '../../src/base/log.ts'
import { A, B, Chat, withStage } from './probe.ts'

const START_MS = Date.UTC(2026, 0, 1, 12)

type Note = readonly [FlightType, name: string, from: string, now: number]

/** As a cell does it, a batch for each event. */
function recorded(...notes: Note[]): readonly FlightEntry[] {
  const [first, ...rest] = notes
  const recorder = new FlightRecorder(...first!)
  let repeats = 0
  for (const [type, name, from, now] of rest) {
    if (recorder.isOneMore(type, name, from)) repeats++
    else {
      recorder.note(type, name, from, now, repeats)
      repeats = 0
    }
    recorder.mark(now, repeats)
  }
  return recorder.entries(START_MS, 99_999, repeats)
}

t.test('events of a kind that come in a row are one entry', t => {
  const entries = recorded(
    ['message', 'chat/note', 'a@h:1', 0],
    ['message', 'chat/note', 'a@h:1', 5],
    ['message', 'chat/note', 'a@h:1', 7],
    ['message', 'chat/note', 'b@h:1', 8],
    ['ask', 'chat/note', 'b@h:1', 8],
    ['message', 'chat/note', 'b@h:1', 9],
  )
  t.strictSame(
    entries.map(({ type, from, count, firstMs, lastMs }) => [
      type,
      from,
      count,
      firstMs - START_MS,
      lastMs - START_MS,
    ]),
    [
      ['message', 'a@h:1', 3, 0, 7],
      ['message', 'b@h:1', 1, 8, 8],
      ['ask', 'b@h:1', 1, 8, 8],
      ['message', 'b@h:1', 1, 9, 9],
    ],
  )
  t.end()
})

t.test('the last 32 entries are kept, oldest first', t => {
  for (const count of [1, 31, 32, 33, 63, 64, 1_000]) {
    const notes = Array.from({ length: count }, (_, i): Note => ['message', `m${i}`, '', i])
    const kept = Math.min(count, 32)
    t.strictSame(
      recorded(...notes).map(({ name }) => name),
      Array.from({ length: kept }, (_, i) => `m${count - kept + i}`),
    )
  }
  t.end()
})

t.test('a name from outside is cut', t => {
  const long = `/${'x'.repeat(10_000)}`
  const entries = recorded(
    ['http', long, 'GET', 0],
    ['http', '/', 'GET', 0],
    ['http', long, 'GET', 0],
  )
  t.strictSame(
    entries.map(({ name }) => name.length),
    [201, 1, 201],
  )
  t.end()
})

t.test('as text', t => {
  const entries = recorded(
    ['message', 'chat/note', 'a@h:1', 0],
    ['message', 'chat/note', 'a@h:1', 61_001],
    ['http', '/state', 'GET', 62_000],
    ['exited', 'a@h:1', 'failed', 62_000],
    ['dispatch', 'delay', '', 62_000],
  )
  t.strictSame(entries.map(flightText), [
    '12:01:01.001 message chat/note from a@h:1 (the first), 2 times since 12:00:00.000',
    '12:01:02.000 http GET /state',
    '12:01:02.000 exited a@h:1 failed',
    '12:01:02.000 dispatch delay',
  ])
  t.end()
})

t.test("a failed actor's report has its last events, of every kind", async t => {
  await withStage(t, async ({ world, probe, runtime, log }) => {
    const other = probe(B)
    const { pid: self } = probe(A, {
      initialize: self => {
        self.route('/here', 'Here.', () => ({ status: 200 }))
        self.link(pid('nobody', A))
      },
      echo: async (self, text) => {
        await self.chat(other.pid).ask('echo', { text })
        self.delay(5, () => {})
        self.dispatch(() => {})
        return text
      },
      note: (_, text) => {
        if (text === 'fail') throw new Error('a bug')
      },
    })
    await world.advance(10)
    const chat = other.probe.chat(self)
    for (const text of ['a', 'b', 'c']) chat.tell('note', { text })
    void chat.ask('echo', { text: '' })
    await world.advance(20)
    const query = new URLSearchParams()
    const body = new Uint8Array()
    await world.settle()
    void runtime(A).http({ method: 'GET', path: '/probe(1)/here', query, headers: {}, body })
    await world.settle()
    chat.tell('note', { text: 'fail' })
    await world.advance(10)
    const [report] = log.records.filter(({ level }) => level === 'error')
    const lines = report?.fields['last_events']
    t.ok(lines instanceof LogLines)
    t.strictSame(
      (lines as LogLines).lines.map(line => line.replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, '<time>')),
      [
        `<time> exited nobody@${A} absent`,
        `<time> message test.chat/note from ${other.pid} (the first), 3 times since <time>`,
        `<time> ask test.chat/echo from ${other.pid}`,
        '<time> resume resume',
        '<time> dispatch call',
        '<time> dispatch delay',
        '<time> http GET /probe(1)/here',
        `<time> message test.chat/note from ${other.pid}`,
      ],
    )
  })
})

t.test('what ends the process is told with the last events of the actor', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const { pid: self } = probe(A, {
      failureEnds: 'process',
      note: () => {
        throw new Error('a bug')
      },
    })
    await world.settle()
    runtime(A).ref(Chat, self).tell('note', { text: '' })
    await world.settle()
    t.match(world.fatalities, [{ lastEvents: [/ message test.chat\/note$/] }])
  })
})

t.test('/__processes__ has the last three of each, or all of one', async t => {
  await withStage(t, async ({ world, probe, runtime }) => {
    const actor = probe(A, {}, 'one')
    probe(A, {}, 'two')
    const speakers = [1, 2, 3, 4].map(() => probe(A, {}))
    await world.settle()
    const startMs = world.clock.now()
    for (const { probe: speaker } of speakers) {
      for (const text of ['x', 'y']) speaker.chat(actor.pid).tell('note', { text })
      void speaker.chat(actor.pid).ask('echo', { text: 'z' })
    }
    await world.advance(10)
    const get = async (query = '') => {
      const path = '/__processes__'
      const request = { method: 'GET', path, headers: {}, body: new Uint8Array() }
      const answer = await runtime(A).http({ ...request, query: new URLSearchParams(query) })
      return JSON.parse(String(answer.body))
    }
    const first = new Date(startMs).toISOString()
    const entry = (name: string, from: string, count: number) => ({
      type: 'MESSAGE',
      name,
      from,
      count,
      first,
      last: first,
    })
    const all = speakers.flatMap(({ pid: from }) => [
      entry('test.chat/note', from, 2),
      entry('test.chat/echo', from, 1),
    ])
    t.strictSame((await get()).slice(0, 2), [
      { id: 'one', events: [], recent: all.slice(-3) },
      { id: 'two', events: [], recent: [] },
    ])
    t.strictSame(await get('id=one'), [{ id: 'one', events: [], recent: all }])
    t.strictSame(await get('id=nobody'), [])
  })
})
