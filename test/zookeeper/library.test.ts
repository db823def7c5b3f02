// The library against a server that says what it likes: nothing of that ends the process, or waits for ever.

import { createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { Frames, openSession } from '../../src/zookeeper/library.ts'
import type { Session } from '../../src/zookeeper/session.ts'

/** A frame's length, and its content. */
const frame = (content: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0, 0, content.length >> 8, content.length & 255]), content])

/** Version, timeout, session's id and password. */
const CONNECTED = frame(
  Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 0, 0x0f, 0xa0]),
    Buffer.from('0011223344556677', 'hex'),
    Buffer.from([0, 0, 0, 16]),
    Buffer.alloc(16),
  ]),
)

/** A reply to the first request: xid, zxid, error, and what follows. */
const reply = (error: number, body: Buffer = Buffer.alloc(0)): Buffer => {
  const header = Buffer.alloc(16)
  header.writeInt32BE(error, 12)
  return frame(Buffer.concat([header, body]))
}

async function against<T>(
  answers: (socket: Socket) => void,
  use: (session: Session, server: Server) => Promise<T>,
): Promise<T> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    answers(socket)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  const events = { connected: () => {}, ended: () => {}, changed: () => {} }
  const session = openSession({ servers: [`127.0.0.1:${port}`], timeoutMs: 4_000 }, events)
  try {
    return await use(session, server)
  } finally {
    session.abandon()
    for (const socket of sockets) socket.destroy()
    await new Promise(done => server.close(done))
  }
}

/** Answers the greeting, then the first request with `bytes`; on later connections nothing more than the greeting. */
function saying(...chunks: Buffer[]): (socket: Socket) => void {
  let isFirst = true
  return socket => {
    let requests = 0
    socket.on('data', () => {
      if (++requests === 1) socket.write(CONNECTED)
      else if (isFirst) {
        isFirst = false
        for (const chunk of chunks) socket.write(chunk)
      }
    })
  }
}

t.test('replies that cannot be understood are as a lost connection', async t => {
  const wrong: Record<string, Buffer> = {
    'an error that nobody knows': reply(-999),
    'a list that ends too soon': reply(0, Buffer.from([0, 0, 0, 9, 0, 0, 0, 1])),
    'a header that ends too soon': frame(Buffer.from([0, 0])),
    'a negative length': Buffer.from([255, 255, 255, 255]),
    'a frame of two gigabytes': Buffer.from([127, 255, 255, 255]),
    'a notice of an unknown kind': frame(
      Buffer.concat([
        Buffer.alloc(4, 255),
        Buffer.alloc(12),
        Buffer.from([0, 0, 0, 77]),
        Buffer.alloc(8),
      ]),
    ),
  }
  for (const [what, bytes] of Object.entries(wrong)) {
    await against(saying(bytes), async session => {
      await t.rejects(session.children('/mesos'), { code: 'CONNECTION_LOSS' }, what)
    })
  }
})

t.test('half a frame does not spoil the next connection', async t => {
  let connections = 0
  const answers = (socket: Socket): void => {
    connections++
    socket.once('data', () => {
      socket.write(CONNECTED)
      if (connections === 1) socket.end(Buffer.from([0, 0, 0, 50, 1, 2, 3]))
    })
  }
  await against(answers, async session => {
    await t.rejects(session.children('/mesos'), { code: 'CONNECTION_LOSS' })
    const { heard } = session
    await new Promise<void>(done => {
      const look = setInterval(() => {
        if (session.heard === heard) return
        clearInterval(look)
        done()
      }, 5)
    })
    t.equal(connections, 2)
    t.equal(session.id, '0011223344556677')
  })
})

t.test('what waits when a session is given up is answered', async t => {
  await against(
    () => {},
    async session => {
      const answer = session.children('/mesos')
      session.abandon()
      await t.rejects(answer, { code: 'SESSION_ENDED' })
      await t.rejects(session.exists('/mesos'), { code: 'SESSION_ENDED' })
    },
  )
})

t.test('errors have their names', async t => {
  for (const [number, code] of [
    [-101, 'NO_NODE'],
    [-102, 'NO_AUTH'],
    [-110, 'NODE_EXISTS'],
    [-6, 'OTHER'],
  ] as const) {
    await against(saying(reply(number)), async session => {
      await t.rejects(session.children('/mesos'), { code })
    })
  }
})

t.test('frames are cut alike, however their bytes arrive', async () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 })
  fc.assert(
    fc.property(contents, fc.array(fc.nat(30), { maxLength: 20 }), (parts, cuts) => {
      const whole = parts.map(part => frame(Buffer.from(part)))
      let rest = Buffer.concat(whole)
      const frames = new Frames()
      const out: Buffer[] = []
      for (const cut of cuts) {
        out.push(...frames.push(rest.subarray(0, cut)))
        rest = rest.subarray(cut)
      }
      out.push(...frames.push(rest))
      return Buffer.concat(out).equals(Buffer.concat(whole)) && out.length === whole.length
    }),
  )
})
