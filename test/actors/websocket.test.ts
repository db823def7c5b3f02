// Two runtimes over real sockets, and what strangers may do to them. The test ends by itself only if nothing is left open.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { encode } from '../../src/actors/codec.ts'
import { FRAME, WIRE_VERSION } from '../../src/actors/frames.ts'
import { text } from '../../src/actors/http.ts'
import { pid } from '../../src/actors/pid.ts'
import type { Runtime } from '../../src/actors/runtime.ts'
import { HttpServer } from '../../src/actors/http-server.ts'
import { deriveToken } from '../../src/actors/shared-secret.ts'
import { systemRuntime, type Trust } from '../../src/actors/system-runtime.ts'
import type { Channel } from '../../src/actors/transport.ts'
import { WebSocketTransport } from '../../src/actors/websocket-transport.ts'
import { deferred } from '../../src/base/deferred.ts'
import { type CollectingLogger, collectingLogger } from '../../src/base/log.ts'
import { Chat, outcome, Probe } from './probe.ts'

const listen = { ip: '127.0.0.1', port: 0 }
const LIMIT_BYTES = 1024 * 1024

interface Process {
  readonly runtime: Runtime
  readonly log: CollectingLogger
  readonly probe: Probe
  /** Resolves once the probe has heard this much. */
  readonly heard: (count: number) => Promise<readonly string[]>
}

async function start(listening: boolean): Promise<Process> {
  const log = collectingLogger()
  const limits = { maxMessageBytes: LIMIT_BYTES }
  const runtime = await systemRuntime({ log, limits, ...(listening && { listen }) })
  let wanted: [number, () => void] | undefined
  const check = (): void => {
    if (wanted && probe.heard.length >= wanted[0]) wanted[1]()
  }
  const probe = new Probe({ note: check, exited: check })
  runtime.spawn(probe, 'probe')
  const heard = async (count: number): Promise<readonly string[]> => {
    await new Promise<void>(resolve => {
      wanted = [count, resolve]
      check()
    })
    return probe.heard
  }
  return { runtime, log, probe, heard }
}

/** A server, and a client that checks that the server still serves. */
async function pair(
  t: Test,
): Promise<{ server: Process; port: number; serves: () => Promise<void> }> {
  const server = await start(true)
  const client = await start(false)
  t.teardown(() => Promise.all([server.runtime.shutdown(), client.runtime.shutdown()]))
  return {
    server,
    port: Number(server.runtime.address.split(':')[1]),
    serves: async () => {
      const ref = client.runtime.ref(Chat, pid('probe', server.runtime.address))
      t.equal(await outcome(ref.ask('echo', { text: 'still' })), 'still', 'it serves others')
    },
  }
}

t.test('two runtimes talk', async t => {
  const one = await start(true)
  const two = await start(true)
  const inside = await start(false)
  const address = (process: Process) => pid('probe', process.runtime.address)
  for (const [from, to] of [
    [one, two],
    [two, one],
    [inside, one],
    [inside, two],
  ] as const) {
    from.probe.link(address(to))
    from.probe.chat(address(to)).tell('note', { text: `from ${from.runtime.address}` })
  }
  t.strictSame(
    [...(await one.heard(2))].sort(),
    [`from ${inside.runtime.address}`, `from ${two.runtime.address}`].sort(),
  )
  await two.heard(2)
  one.probe.chat(address(inside)).tell('note', { text: 'through your own connection' })
  t.strictSame(await inside.heard(1), ['through your own connection'])

  const texts = Array.from({ length: 1_000 }, (_, i) => `${i} ${'ü'.repeat(i)}`)
  const answers = await Promise.all(
    texts.map(text => one.runtime.ref(Chat, address(two)).ask('echo', { text })),
  )
  t.strictSame(
    answers.map(answer => answer.text),
    texts,
    'a megabyte, in order',
  )
  const far = one.runtime.ref(Chat, address(two)).ask('echo', { text: 'awaited first' })
  const nobody = pid('nobody', one.runtime.address)
  const near = one.runtime.ref(Chat, nobody).ask('echo', { text: 'fails first' })
  t.equal(await outcome(far), 'awaited first')
  t.equal(await outcome(near), 'NO_SUCH_ACTOR', 'and did not go unhandled meanwhile')

  await two.runtime.shutdown()
  t.equal((await one.heard(3)).at(-1), `exited ${address(two)}`)
  t.equal((await inside.heard(2)).at(-1), `exited ${address(two)}`)
  const asked = outcome(one.runtime.ref(Chat, address(two)).ask('echo', { text: '' }))
  t.equal(await asked, 'DISCONNECTED', 'nobody listens there any more')
  t.equal(
    await outcome(one.runtime.ref(Chat, pid('x', '1.2.3.4.5:1')).ask('echo', { text: '' })),
    'DISCONNECTED',
    'nor is every text an address',
  )
  await Promise.all([one.runtime.shutdown(), inside.runtime.shutdown()])
})

t.test('a port in use', async t => {
  const { server, port } = await pair(t)
  await t.rejects(systemRuntime({ log: server.log, listen: { ip: '127.0.0.1', port } }), {
    name: 'UserError',
    code: 'address_in_use',
    message: new RegExp(`Port ${port} on 127.0.0.1 is in use`),
    hint: /--port/,
  })
  await t.rejects(systemRuntime({ log: server.log, listen: { ip: '192.0.2.1', port: 0 } }), {
    message: /no address 192.0.2.1/,
  })
  await t.rejects(systemRuntime({ log: server.log, listen: { ip: '127.0.0.1', port: 65_536 } }), {
    name: 'UserError',
    message: /^Cannot listen on 127.0.0.1:65536: .*65536/,
    hint: 'Check --ip and --port.',
  })
})

const hello = (incarnation: string) => [
  FRAME.hello,
  { address: `${incarnation}:0`, incarnation, generation: 0, version: WIRE_VERSION, features: [] },
]

/** A peer made by hand; resolves once it is connected and, if asked to, greeted. */
async function stranger(port: number, incarnation?: string): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`, 'mesos-ts.1')
  ws.on('error', () => {})
  await once(ws, 'open')
  if (incarnation) {
    ws.send(encode([hello(incarnation)]))
    await once(ws, 'message')
  }
  return ws
}

t.test('who knows the secret, or has a token of it, is let in; others are not', async t => {
  const secret = 'a secret that is long enough to be one'
  const log = collectingLogger()
  const start = async (options: Partial<Parameters<typeof systemRuntime>[0]>) => {
    const runtime = await systemRuntime({ log, ...options })
    t.teardown(() => runtime.shutdown())
    return runtime
  }
  const server = await start({ listen, trust: { secret } })
  const probe = server.spawn(new Probe(), 'probe')
  const asks = async (trust?: Trust) => {
    const runtime = await start(trust ? { trust } : {})
    return outcome(runtime.ref(Chat, probe).ask('echo', { text: 'in' }))
  }
  t.equal(await asks({ secret }), 'in')
  t.equal(await asks({ token: deriveToken(secret, 'one') }), 'in')
  t.equal(await asks({ secret: `${secret}!` }), 'DISCONNECTED')
  t.equal(await asks(), 'DISCONNECTED')
})

t.test('a paused channel is not read from, and loses nothing', async t => {
  const http = new HttpServer()
  const [serving, dialling] = [{ http }, {}].map(
    options => new WebSocketTransport({ maxMessageBytes: LIMIT_BYTES, ...options }),
  )
  t.teardown(() => Promise.all([serving!.close(), dialling!.close()]))
  const address = `127.0.0.1:${await http.listen('127.0.0.1', 0)}`
  const accepted: Channel[] = []
  const got: string[] = []
  let came = deferred()
  serving!.onChannel(channel => {
    const index = accepted.push(channel)
    return {
      message: bytes => {
        got.push(`${index}: ${Buffer.from(bytes).toString()}`)
        came.resolve()
      },
      closed: () => {},
    }
  })
  const dial = () =>
    new Promise<Channel>((resolve, reject) => {
      dialling!.dial(address, { opened: resolve, message: () => {}, closed: reject })
    })
  const first = await dial()
  const second = await dial()
  accepted[0]!.pause(true)
  first.send(Buffer.from('waits'))
  second.send(Buffer.from('goes'))
  await came.promise
  came = deferred()
  t.strictSame(got, ['2: goes'])
  accepted[0]!.pause(false)
  await came.promise
  t.strictSame(got, ['2: goes', '1: waits'])
})

t.test('what strangers send', async t => {
  const { server, port, serves } = await pair(t)
  await serves()
  const rss = process.memoryUsage().rss
  const closed = async (ws: WebSocket) => {
    if (ws.readyState !== WebSocket.CLOSED) await once(ws, 'close')
  }
  const warnings = () => server.log.messages('warn').length

  for (let i = 0; i < 3; i++) {
    const ws = await stranger(port)
    ws.send(Buffer.from('this is no msgpack'))
    await closed(ws)
  }
  await serves()
  t.match(
    server.log.records.filter(record => record.level === 'warn'),
    [{ message: 'malformed message dropped', fields: { peer: '127.0.0.1' } }],
  )
  const before = warnings()

  const nonsense = await stranger(port, 'nonsense')
  nonsense.send(Buffer.from([0xc1]))
  await closed(nonsense)
  const nobody = await stranger(port, 'nobody')
  for (let i = 0; i < 3; i++) {
    nobody.send(encode([[FRAME.tell, 'nobody', 'x', 'p/m', {}]]))
    nobody.send(encode([[FRAME.ask, 'nobody', 'x', 'p/m', {}, i]]))
    nobody.send(encode([[FRAME.tell, 'probe', 'x', Chat.wire.note, { text: i }]]))
    await once(nobody, 'message')
  }
  await serves()
  t.equal(warnings() - before, 3, 'one line for each peer and complaint')
  t.match(server.runtime.dropped, { malformed: 7, unknown: 6 })

  const words = await stranger(port)
  words.send('a text')
  t.equal((await once(words, 'close'))[0], 1003, 'binary messages only')

  const large = await stranger(port, 'large')
  large.send(Buffer.alloc(LIMIT_BYTES + 1))
  await closed(large)

  const shy = await stranger(port)
  shy.send(Buffer.alloc(LIMIT_BYTES / 2), { fin: false })
  t.equal((await once(shy, 'close'))[0], 1006, 'cut off, long before its time to greet is over')
  await serves()

  // A header that claims 200 MB, with little behind it; and 200 MB in small fragments, without an end.
  for (const incarnation of [undefined, 'liar']) {
    const liar = await stranger(port, incarnation)
    const header = Buffer.from('82ff000000000c800000 00000000'.replace(' ', ''), 'hex')
    rawSocket(liar).write(Buffer.concat([header, Buffer.alloc(1_000)]))
    await closed(liar)
  }
  const endless = await stranger(port, 'endless')
  const fragment = Buffer.alloc(256 * 1024)
  for (let sent = 0; sent < 200 * 1024 * 1024; sent += fragment.length) {
    if (endless.readyState !== WebSocket.OPEN) break
    await new Promise(resolve => endless.send(fragment, { fin: false }, resolve))
  }
  await closed(endless)
  await serves()
  nobody.close()
  await closed(nobody)
  t.ok(process.memoryUsage().rss - rss < 100 * 1024 * 1024, 'memory did not balloon')
})

function rawSocket(ws: WebSocket): Socket {
  return (ws as unknown as { readonly [name: string]: Socket })['_socket']!
}

t.test('what is no WebSocket of ours', async t => {
  const { port, serves } = await pair(t)
  const refused = (protocols: string[], headers: Record<string, string> = {}) =>
    new Promise(resolve => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, { headers })
      ws.on('unexpected-response', (_, response) => {
        response.resume()
        resolve(response.statusCode)
      })
      ws.on('error', () => {})
    })
  t.equal(await refused(['mesos-ts.1'], { origin: 'http://evil.example' }), 403, 'a browser')
  t.equal(await refused(['chat']), 400, 'another subprotocol')
  t.equal(await refused([]), 400, 'none')
  await serves()

  for (const garbage of [
    randomBytes(100_000),
    Buffer.from('GET / HTTP/1.1\r\nno header\r\n\r\n'),
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(garbage)
    socket.resume()
    await once(socket, 'close')
  }
  // Whoever resets the connection while he is being refused ends nothing but that.
  for (let i = 0; i < 20; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    socket.resetAndDestroy()
  }
  await serves()
})

t.test('HTTP', async t => {
  const { server, port, serves } = await pair(t)
  server.probe.route('/echo', 'Says what it was asked.', ({ method, path, query, headers, body }) =>
    text(
      200,
      [method, path, query.get('q'), headers['x-test'], Buffer.from(body).toString()].join('|'),
    ),
  )
  server.probe.route('/bad', 'Answers with a header that cannot be.', ({ query }) => ({
    status: 200,
    headers: { location: query.get('q') ?? '' },
  }))
  const ask = async (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: Buffer | string } = {},
  ): Promise<string> => {
    const { body, ...rest } = options
    const asked = request({ host: '127.0.0.1', port, path, agent: false, ...rest })
    const answered = once(asked, 'response')
    asked.end(body)
    const [response] = await answered
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    const { 'content-length': length } = response.headers
    return `${response.statusCode} ${length ?? '-'} ${Buffer.concat(chunks).toString()}`
  }
  t.equal(
    await ask('/probe/echo/more%20of%20it?q=a%26b+c', { headers: { 'X-Test': 'yes' } }),
    '200 37 GET|/probe/echo/more of it|a&b c|yes|',
  )
  t.equal(await ask('/probe/echo', { method: 'POST', body: 'ü' }), '200 21 POST|/probe/echo|||ü')
  t.equal(await ask('/probe/echo', { method: 'HEAD' }), '200 19 ')
  t.match(await ask('/probe/%zz'), /^404/)
  t.match(await ask('/probe/%2e%2e/echo'), /^404/)
  t.match(await ask('/nobody'), /^404 0/)
  t.match(await ask('/__processes__'), /^200 .*"id":"probe"/)
  const big = Buffer.alloc(17 * 1024 * 1024)
  t.match(await ask('/probe/echo', { method: 'POST', body: big }), /^413 - The request body is/)
  await t.rejects(ask('/probe/bad?q=%0d%0a'), { code: 'ECONNRESET' })
  await serves()

  const gone = connect(port, '127.0.0.1')
  gone.on('error', () => {})
  await once(gone, 'connect')
  gone.write('POST /probe/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf')
  gone.destroy()
  await serves()
})

t.test('shutdown does not wait for those who say nothing', async t => {
  const { server, port } = await pair(t)
  const silent = connect(port, '127.0.0.1')
  silent.on('error', () => {})
  await once(silent, 'connect')
  const waiting = connect(port, '127.0.0.1')
  waiting.on('error', () => {})
  waiting.write('GET /probe/never HTTP/1.1\r\nhost: x\r\n\r\n')
  server.probe.route('/never', 'Is not answered.', () => new Promise(() => {}))
  const deaf = await stranger(port, 'deaf')
  rawSocket(deaf).pause()
  await server.runtime.shutdown()
  t.strictSame(server.runtime.actors, [])
  await t.rejects(stranger(port), { code: 'ECONNREFUSED' }, 'nobody listens any more')
  silent.destroy()
  waiting.destroy()
  deaf.terminate()
})
