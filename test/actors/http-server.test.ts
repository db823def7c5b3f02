// The HTTP server over real sockets: what it does to bodies on their way in and out.

import { once } from 'node:events'
import { connect } from 'node:net'
import { type IncomingMessage, request, type RequestOptions } from 'node:http'
import t, { type Test } from 'tap'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type HttpRequest, type HttpResponse, json, text } from '../../src/actors/http.ts'
import { HttpServer, type HttpServerOptions } from '../../src/actors/http-server.ts'
import type { BodyStream } from '../../src/actors/http-stream.ts'
import { systemRuntime } from '../../src/actors/system-runtime.ts'
import { silentLogger } from '../../src/base/log.ts'
import { Metrics } from '../../src/actors/metrics.ts'
import { systemClock } from '../../src/actors/system-clock.ts'
import { deferred } from '../../src/base/deferred.ts'
import { Probe } from './probe.ts'

type Handle = (request: HttpRequest) => HttpResponse

async function serve(t: Test, handle: Handle, stallLimitMs?: number): Promise<number> {
  return (await guarded(t, handle, stallLimitMs === undefined ? {} : { stallLimitMs })).port
}

async function guarded(t: Test, handle: HttpServer['handle'] | Handle, options: HttpServerOptions) {
  const server = new HttpServer(options)
  server.handle = async request => handle(request)
  t.teardown(() => server.close())
  const metrics = new Metrics()
  server.watch(metrics)
  const metric = async (name: string): Promise<number> =>
    (await metrics.snapshot(systemClock))[`actors/http/${name}`]!
  return { port: await server.listen('127.0.0.1', 0), metric }
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

async function ask(port: number, options: RequestOptions = {}, body?: Uint8Array): Promise<Answer> {
  const response = await open(port, options, body)
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const { statusCode: status, headers } = response
  return { status, headers, body: Buffer.concat(chunks) }
}

async function open(
  port: number,
  options: RequestOptions = {},
  body?: Uint8Array,
): Promise<IncomingMessage> {
  const sent = request({ host: '127.0.0.1', port, agent: false, ...options })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

const accepts = (coding: string): RequestOptions => ({ headers: { 'accept-encoding': coding } })

t.test('bodies of 1 KiB or more are compressed for those who want it', async t => {
  const long = 'x'.repeat(1024)
  const page = text(200, long)
  const port = await serve(t, ({ path }) => {
    if (path === '/short') return text(200, long.slice(1))
    if (path === '/picture') {
      return { status: 200, headers: { 'content-type': 'image/png' }, body: long }
    }
    return path === '/json' ? json({ long }) : page
  })
  const encoding = async (path: string, options: RequestOptions) => {
    const { headers, body } = await ask(port, { path, ...options })
    const plain = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    t.match(plain.toString(), long.slice(1), `${path}: nothing is lost`)
    t.equal(headers['content-length'], String(body.length))
    return headers['content-encoding']
  }
  for (const coding of ['gzip', 'deflate, gzip;q=0.5', '*', 'GZIP']) {
    t.equal(await encoding('/', accepts(coding)), 'gzip', coding)
  }
  for (const coding of ['', 'identity', 'br', 'gzip;q=0', 'gzip; q=0.0']) {
    t.equal(await encoding('/', accepts(coding)), undefined, coding)
  }
  t.equal(await encoding('/json', accepts('gzip')), 'gzip')
  t.equal(await encoding('/short', accepts('gzip')), undefined)
  t.equal(await encoding('/picture', accepts('gzip')), undefined)
  t.equal((await ask(port, {})).headers.vary, 'accept-encoding')
})

t.test('compressed request bodies are inflated, up to the limit', async t => {
  const port = await serve(t, ({ body, headers }) =>
    text(200, `${Buffer.from(body).toString().slice(0, 20)} ${headers['content-encoding']}`),
  )
  const post = async (body: Uint8Array, coding = 'gzip') => {
    const headers = { 'content-encoding': coding }
    const answer = await ask(port, { method: 'POST', headers }, body)
    return `${answer.status} ${answer.body.toString()}`
  }
  t.equal(await post(gzipSync('{"type":"X"}')), '200 {"type":"X"} undefined')
  t.equal(await post(Buffer.from('{}')), '500 failed to decode body')
  t.equal(await post(gzipSync('{"type":"X"}').subarray(0, 20)), '500 failed to decode body')
  t.equal(await post(Buffer.from('{}'), 'identity'), '200 {} identity')
  const bomb = gzipSync(Buffer.alloc(17 * 1024 * 1024))
  t.match(await post(bomb), /^413 The request body is larger than/)
})

t.test('a stream is sent as it is made, at the pace of its reader', async t => {
  let made = 0
  let ended = false
  async function* pieces() {
    try {
      for (; made < 200; made++) yield Buffer.alloc(64 * 1024, made)
    } finally {
      ended = true
    }
  }
  const port = await serve(t, () => ({ status: 200, stream: pieces() }))
  const response = await open(port)
  t.equal(response.headers['transfer-encoding'], 'chunked')
  let sizeBytes = 0
  let first = -1
  for await (const chunk of response) {
    // What the sockets' buffers hold is less than the whole.
    if (first < 0) first = made
    sizeBytes += (chunk as Buffer).length
  }
  t.ok(first < 200, 'the first piece was here before the last was made')
  t.equal(sizeBytes, 200 * 64 * 1024)
  t.ok(ended)
})

t.test('a client that goes away ends the iterator', async t => {
  for (const method of ['GET', 'HEAD']) {
    let ended = (): void => {}
    const end = new Promise<void>(resolve => (ended = resolve))
    let asked = 0
    const stream: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          asked++ === 0
            ? Promise.resolve({ done: false, value: 'first' })
            : new Promise<IteratorResult<string>>(() => {}),
        return: () => {
          ended()
          return Promise.resolve({ done: true, value: undefined })
        },
      }),
    }
    const port = await serve(t, () => ({ status: 200, stream }))
    const response = await open(port, { method })
    if (method === 'GET') {
      const [chunk] = (await once(response, 'data')) as [Buffer]
      t.equal(chunk.toString(), 'first')
    }
    response.destroy()
    await end
    t.equal(asked, method === 'GET' ? 2 : 0, `${method}: nobody asked further`)
  }
})

t.test('a client that has gone before its answer begins ends the iterator, too', async t => {
  const asked = deferred()
  const gone = deferred()
  const ended = deferred()
  let nexts = 0
  const stream: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        nexts++
        return new Promise<IteratorResult<string>>(() => {})
      },
      return: () => {
        ended.resolve()
        return Promise.resolve({ done: true, value: undefined })
      },
    }),
  }
  const handle = async () => {
    asked.resolve()
    await gone.promise
    return { status: 200, stream }
  }
  const { port, metric } = await guarded(t, handle, {})
  const sent = request({ host: '127.0.0.1', port, agent: false })
  sent.on('error', () => {})
  sent.end()
  await asked.promise
  sent.destroy()
  while ((await metric('connections')) > 0) await new Promise(resolve => setTimeout(resolve, 5))
  gone.resolve()
  await ended.promise
  t.equal(nexts, 0, 'it is not asked for anything')
})

t.test('who comes before there is anybody to serve is told so', async t => {
  const server = new HttpServer()
  t.teardown(() => server.close())
  const { status, body } = await ask(await server.listen('127.0.0.1', 0))
  t.strictSame([status, String(body)], [503, 'starting\n'])
})

t.test('a client that does not read is cut off', async t => {
  let ended = (): void => {}
  const end = new Promise<void>(resolve => (ended = resolve))
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(256 * 1024)
    } finally {
      ended()
    }
  }
  const port = await serve(t, () => ({ status: 200, stream: endless() }), 20)
  const response = await open(port)
  const cut = t.rejects(once(response, 'end'), { code: 'ECONNRESET' })
  await end
  response.resume()
  await cut
})

t.test('a stream that fails is not taken for a whole', async t => {
  async function* failing() {
    yield 'a part'
    throw new Error('no more')
  }
  const port = await serve(t, () => ({ status: 200, stream: failing() }))
  await t.rejects(ask(port), { code: 'ECONNRESET' })
})

t.test('one connection has so many requests waiting, and no more', async t => {
  const runtime = await systemRuntime({
    log: silentLogger,
    listen: { ip: '127.0.0.1', port: 0 },
  })
  t.teardown(() => runtime.shutdown())
  const port = Number(runtime.address.split(':')[1])
  let asked = 0
  runtime.spawn(
    new Probe({
      initialize: self =>
        self.route('/slow', 'Never answers.', () => {
          asked++
          return new Promise(() => {})
        }),
    }),
    'probe',
  )
  const greedy = connect(port, '127.0.0.1')
  const cut = once(greedy, 'close')
  greedy.on('error', () => {})
  greedy.write('GET /probe/slow HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(101))
  await cut
  t.ok(asked <= 100, `${asked} were served`)
  t.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200)
})

t.test('an actor writes to its clients', async t => {
  const runtime = await systemRuntime({
    log: silentLogger,
    listen: { ip: '127.0.0.1', port: 0 },
  })
  t.teardown(() => runtime.shutdown())
  const port = Number(runtime.address.split(':')[1])
  const streams: BodyStream[] = []
  const closed: string[] = []
  let heard = (): void => {}
  const probe = new Probe({
    initialize: self =>
      self.route('/events', 'Events.', () => {
        const stream = self.stream({
          maxBufferedBytes: 100,
          onClosed: why => {
            closed.push(why)
            heard()
          },
        })
        streams.push(stream)
        stream.write(`hello ${streams.length}\n`)
        return { status: 200, stream }
      }),
  })
  const pid = runtime.spawn(probe, 'probe')
  const path = '/probe/events'
  const first = await open(port, { path })
  const firstEnd = once(first, 'end')
  t.equal(String(((await once(first, 'data')) as [Buffer])[0]), 'hello 1\n')
  streams[0]!.write('more\n')
  streams[0]!.end()
  t.notOk(streams[0]!.write('too late'))
  t.equal(String(((await once(first, 'data')) as [Buffer])[0]), 'more\n')
  await firstEnd

  const second = await open(port, { path })
  const gone = new Promise<void>(resolve => (heard = resolve))
  second.destroy()
  await gone
  t.strictSame(closed, ['gone'], 'one that was ended is no news')
  t.notOk(streams[1]!.write('nobody reads'))

  const third = await open(port, { path })
  await once(third, 'data')
  t.strictSame([streams[2]!.isOpen, streams[2]!.bufferedBytes], [true, 0])
  const thirdCut = t.rejects(once(third, 'end'), { code: 'ECONNRESET' })
  const slow = new Promise<void>(resolve => (heard = resolve))
  t.notOk(streams[2]!.write('x'.repeat(101)), 'more than may wait')
  t.notOk(streams[2]!.isOpen)
  await slow
  t.strictSame(closed, ['gone', 'slow'])
  third.resume()
  await thirdCut

  const fourth = await open(port, { path })
  const fourthCut = t.rejects(once(fourth, 'end'), { code: 'ECONNRESET' }, 'ends with its actor')
  runtime.terminate(pid)
  fourth.resume()
  await fourthCut
})

t.test('a connection too many is closed, and counted', async t => {
  const { port, metric } = await guarded(t, () => text(200, 'ok'), { maxConnectionsPerHost: 2 })
  const sockets = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  await t.rejects(ask(port), { code: 'ECONNRESET' })
  t.strictSame([await metric('connections'), await metric('connections_refused')], [2, 1])
  sockets[0]!.destroy()
  // Whether the server has noticed is seen by asking it again.
  for (;;) {
    const answer = await ask(port).catch(() => undefined)
    if (answer) {
      t.equal(answer.status, 200)
      break
    }
  }
  sockets[1]!.destroy()
})

t.test('a client that never ends its head is cut off; others are served meanwhile', async t => {
  const { port } = await guarded(t, () => text(200, 'ok'), { headLimitMs: 100 })
  const slow = connect(port, '127.0.0.1')
  slow.on('error', () => {})
  slow.write('GET / HTTP/1.1\r\nhost: x\r\nx-slow: ')
  const drip = setInterval(() => slow.write('z'), 20)
  const closed = once(slow, 'close')
  slow.resume()
  t.equal((await ask(port)).status, 200)
  await closed
  clearInterval(drip)
  const fat = await ask(port, { headers: { 'x-large': 'x'.repeat(20_000) } })
  t.ok([400, 431].includes(fat.status!), 'nor may a head be of any size')
})

t.test('all bodies together have a limit; what was answered does not count', async t => {
  const release = deferred()
  const handle: HttpServer['handle'] = async ({ path }) => {
    if (path === '/wait') await release.promise
    return text(200, 'ok')
  }
  const { port, metric } = await guarded(t, handle, { maxBodiesBytes: 3_000 })
  const post = (path: string, bytes: number) =>
    ask(port, { method: 'POST', path }, new Uint8Array(bytes))
  const waiting = post('/wait', 2_000)
  while ((await metric('body_bytes')) < 2_000) await new Promise(done => setImmediate(done))
  const refused = await post('/', 2_000)
  t.equal(refused.status, 503)
  t.equal(refused.headers['retry-after'], '1')
  t.equal((await post('/', 500)).status, 200)
  release.resolve()
  t.equal((await waiting).status, 200)
  t.equal((await post('/', 2_000)).status, 200)
  t.strictSame([await metric('body_bytes'), await metric('bodies_refused')], [0, 1])
})

t.test('a client that does not read its answer is cut off', async t => {
  const large = Buffer.alloc(64 * 1024 * 1024, 'x')
  const options = { stallLimitMs: 100 }
  const { port, metric } = await guarded(t, () => ({ status: 200, body: large }), options)
  const deaf = connect(port, '127.0.0.1')
  deaf.on('error', () => {}).pause()
  deaf.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  while ((await metric('connections')) === 0) await new Promise(done => setImmediate(done))
  while ((await metric('connections')) > 0) await new Promise(done => setImmediate(done))
  t.pass('it has not read a byte, and its connection is gone')
  deaf.destroy()
})
