// The one listening port of a process: HTTP requests for actors, and upgrades to WebSocket for other processes.
// One of the few files that may touch the world.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from './http.ts'
import { text } from './http.ts'
import { Bodies, readRequest } from './http-request.ts'
import type { MetricsScope } from './metrics.ts'
import { Turnstile } from './turnstile.ts'

/** Needed by the first client that asks for it, not at the start. */
const zlib = () => import('node:zlib')

/** Shorter bodies are not worth the work; as in Mesos. */
const GZIP_MIN_BYTES = 1024
/** Half the work of the usual one, for a tenth more of bytes. */
const GZIP_LEVEL = 3
/** How long the client of a streaming response may take none of what was sent, before it is cut off. */
const STALL_LIMIT_MS = 60_000
/** How long a refused request's body is read and thrown away, so that its sender comes to read the answer. */
const LINGER_MS = 1_000

/** How long a client may take to send the head of a request. */
const HEAD_LIMIT_MS = 10_000
/** How often clients that take longer are looked for. */
const CHECK_INTERVAL_MS = 2_000
/** Requests of one connection that wait for their answers. */
const MOST_PIPELINED = 100
/** Of one host, so that it leaves places for others, and of all. WebSockets of other processes do not count. */
const MAX_CONNECTIONS_PER_HOST = 5_000
const MAX_CONNECTIONS = 10_000
/** Bytes of all bodies that are being read, or have not been answered. More are answered 503. */
const MAX_BODIES_BYTES = 256 * 1024 * 1024

export interface HttpServerOptions {
  readonly stallLimitMs?: number
  readonly headLimitMs?: number
  readonly maxConnectionsPerHost?: number
  readonly maxConnections?: number
  readonly maxBodiesBytes?: number
}

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

export class HttpServer {
  readonly #server: Server
  readonly #stallLimitMs: number
  readonly #connections: Turnstile
  readonly #leave = new WeakMap<Duplex, () => void>()
  readonly #bodies: Bodies
  /** Requests in progress, by connection. */
  readonly #waiting = new WeakMap<object, number>()
  /** Compressed bodies of responses that are handed out again and again, such as a page's files and `/state`. */
  readonly #gzipped = new WeakMap<HttpResponse, Promise<Uint8Array>>()
  handle: (request: HttpRequest) => Promise<HttpResponse> = () =>
    Promise.resolve(text(503, 'starting\n'))
  upgrade: Upgrade = (_request, socket) => socket.destroy()

  constructor(options: HttpServerOptions = {}) {
    this.#stallLimitMs = options.stallLimitMs ?? STALL_LIMIT_MS
    this.#connections = new Turnstile(
      options.maxConnectionsPerHost ?? MAX_CONNECTIONS_PER_HOST,
      options.maxConnections ?? MAX_CONNECTIONS,
    )
    this.#bodies = new Bodies(options.maxBodiesBytes ?? MAX_BODIES_BYTES)
    const headLimitMs = options.headLimitMs ?? HEAD_LIMIT_MS
    const limits = {
      keepAliveTimeout: 30_000,
      headersTimeout: headLimitMs,
      // Of bodies http-request.ts knows more: some go on as long as their senders like.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headLimitMs),
    }
    this.#server = createServer(limits, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.on('connection', socket => {
      const leave = this.#connections.enter(socket.remoteAddress ?? '')
      if (!leave) return void socket.destroy()
      this.#leave.set(socket, leave)
      socket.once('close', leave)
    })
    this.#server.on('upgrade', (request, socket, head) => {
      this.#leave.get(socket)?.()
      this.upgrade(request, socket, head)
    })
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
      else socket.destroy()
    })
  }

  /** Starts to listen; resolves to the port, which is the system's choice for port 0. Rejects with the system's error. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.removeListener('error', reject)
        resolve((this.#server.address() as AddressInfo).port)
      })
    })
  }

  /** Shows what it has to do. */
  watch(metrics: MetricsScope): void {
    const gauge = (name: string, read: () => number): void =>
      metrics.gauge(`actors/http/${name}`, read)
    gauge('connections', () => this.#connections.inside)
    gauge('connections_refused', () => this.#connections.refused)
    gauge('body_bytes', () => this.#bodies.bytes)
    gauge('bodies_refused', () => this.#bodies.refused)
  }

  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    // Node reads on while requests wait for their answers. Browsers send one at a time.
    const { socket } = incoming
    const waiting = (this.#waiting.get(socket) ?? 0) + 1
    if (waiting > MOST_PIPELINED) return void socket.destroy()
    this.#waiting.set(socket, waiting)
    const body = this.#bodies.begin()
    try {
      const request = await readRequest(incoming, body)
      if ('status' in request) return await refuse(incoming, outgoing, request)
      const response = await this.handle(request)
      body.end()
      if (request.pieces && !incoming.complete) return await refuse(incoming, outgoing, response)
      if (response.stream) await this.#stream(incoming, outgoing, response, response.stream)
      else await this.#send(incoming, outgoing, response)
    } catch {
      // The client has gone, or a header of the response cannot be sent: one request's trouble, nobody else's.
      outgoing.destroy()
    } finally {
      this.#waiting.set(socket, this.#waiting.get(socket)! - 1)
      body.end()
    }
  }

  async #send(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    response: HttpResponse,
  ): Promise<void> {
    let { body } = response
    const headers: Record<string, string | number> = { ...response.headers }
    if (body && body.length >= GZIP_MIN_BYTES && isCompressible(response)) {
      headers['vary'] = 'accept-encoding'
      if (acceptsGzip(incoming.headers['accept-encoding'])) {
        body = await this.#gzip(response, body)
        headers['content-encoding'] = 'gzip'
      }
    }
    // Node sets it anew for the next request.
    outgoing.setTimeout(this.#stallLimitMs, () => outgoing.destroy())
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    outgoing.writeHead(response.status, { ...headers, 'content-length': bytes?.length ?? 0 })
    outgoing.end(incoming.method === 'HEAD' ? undefined : bytes)
  }

  #gzip(response: HttpResponse, body: string | Uint8Array): Promise<Uint8Array> {
    let gzipped = this.#gzipped.get(response)
    if (!gzipped) {
      gzipped = zlib().then(
        ({ gzip }) =>
          new Promise<Uint8Array>((resolve, reject) => {
            gzip(body, { level: GZIP_LEVEL }, (error, bytes) =>
              error ? reject(error) : resolve(bytes),
            )
          }),
      )
      this.#gzipped.set(response, gzipped)
    }
    return gzipped
  }

  /** Takes the next piece when the socket has room for it. */
  async #stream(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    response: HttpResponse,
    stream: AsyncIterable<string | Uint8Array>,
  ): Promise<void> {
    const iterator = stream[Symbol.asyncIterator]()
    // A generator that waits for its next piece hears of the end only then, so nobody waits for it.
    const leave = (): void => void iterator.return?.().catch(() => {})
    // One promise for the whole stream would keep what waited for it, with each piece, until the stream's end.
    let tellGone = (): void => {}
    // It may have gone while its answer was made.
    let isGone = outgoing.closed
    outgoing.once('close', () => {
      isGone = true
      tellGone()
    })
    try {
      if (isGone) return
      outgoing.writeHead(response.status, { ...response.headers })
      if (incoming.method === 'HEAD') return void outgoing.end()
      outgoing.flushHeaders()
      for (;;) {
        const next = iterator.next()
        next.catch(() => {})
        const piece = await new Promise<IteratorResult<string | Uint8Array> | 'gone'>(
          (resolve, reject) => {
            tellGone = () => resolve('gone')
            if (isGone) tellGone()
            next.then(resolve, reject)
          },
        )
        tellGone = () => {}
        if (piece === 'gone') return
        if (piece.done) return void outgoing.end()
        if (!outgoing.write(piece.value)) await this.#drained(outgoing)
      }
    } finally {
      leave()
    }
  }

  #drained(outgoing: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => reject(new Error('the client stopped reading')),
        this.#stallLimitMs,
      )
      const done = (): void => {
        clearTimeout(limit)
        outgoing.off('drain', done).off('close', done)
        resolve()
      }
      outgoing.once('drain', done).once('close', done)
      if (outgoing.closed) done()
    })
  }
}

/** Pictures and archives are compressed already. */
function isCompressible({ headers }: HttpResponse): boolean {
  const type = headers?.['content-type'] ?? ''
  return headers?.['content-encoding'] === undefined && /^text\/|json|javascript|svg|xml/.test(type)
}

/** RFC 9110 §12.5.3; a weight of 0 means no. */
function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .toLowerCase()
    .split(',')
    .some(part => {
      const [coding = '', weight = ''] = part.split(';').map(s => s.trim())
      return ['gzip', 'x-gzip', '*'].includes(coding) && !/^q=0(\.0*)?$/.test(weight)
    })
}

/**
 * Answers before the request was read to its end, and reads on for a moment without keeping anything: if the
 * connection were closed at once, a client that is still sending would see a reset instead of the answer.
 */
async function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  response: HttpResponse,
): Promise<void> {
  outgoing.writeHead(response.status, { ...response.headers, connection: 'close' })
  if (response.body !== undefined) outgoing.write(response.body)
  await new Promise<void>(resolve => {
    const limit = setTimeout(resolve, LINGER_MS)
    const done = (): void => {
      clearTimeout(limit)
      resolve()
    }
    if (incoming.readableEnded || incoming.destroyed) return done()
    incoming.once('end', done).once('close', done).resume()
  })
  outgoing.end()
}
