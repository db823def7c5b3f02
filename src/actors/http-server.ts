// The one listening port of a process: HTTP requests for actors, and upgrades to WebSocket for other processes.
// One of the few files that may touch the world.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from './http.ts'
import { text } from './http.ts'

/** Larger request bodies are answered 413 and not read. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
/** How long a refused request's body is read and thrown away, so that its sender comes to read the answer. */
const LINGER_MS = 1_000

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

export class HttpServer {
  readonly #server: Server
  handle: (request: HttpRequest) => Promise<HttpResponse> = () =>
    Promise.resolve(text(503, 'starting\n'))
  upgrade: Upgrade = (_request, socket) => socket.destroy()

  constructor() {
    this.#server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head))
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

  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const request = await readRequest(incoming)
      if (!('status' in request)) send(incoming, outgoing, await this.handle(request))
      else await refuse(incoming, outgoing, request)
    } catch {
      // The client has gone, or a header of the response cannot be sent: one request's trouble, nobody else's.
      outgoing.destroy()
    }
  }
}

function send(incoming: IncomingMessage, outgoing: ServerResponse, response: HttpResponse): void {
  const body = typeof response.body === 'string' ? Buffer.from(response.body) : response.body
  outgoing.writeHead(response.status, { ...response.headers, 'content-length': body?.length ?? 0 })
  outgoing.end(incoming.method === 'HEAD' ? undefined : body)
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

/** Reads a whole request, or says with which response it is refused. */
async function readRequest(incoming: IncomingMessage): Promise<HttpRequest | HttpResponse> {
  const url = incoming.url ?? '/'
  const mark = url.indexOf('?')
  let path: string
  try {
    path = decodeURIComponent(mark === -1 ? url : url.slice(0, mark))
  } catch {
    return { status: 404 }
  }
  const body = await readBody(incoming)
  if (!body) return text(413, `The request body is larger than ${MAX_BODY_BYTES} bytes.\n`)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  const query = new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1))
  return { method: incoming.method ?? 'GET', path, query, headers, body }
}

/** The whole body, or undefined if it is too large. Rejects if the client goes away before its end. */
function readBody(incoming: IncomingMessage): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const take = (chunk: Buffer): void => {
      sizeBytes += chunk.length
      chunks.push(chunk)
      if (sizeBytes <= MAX_BODY_BYTES) return
      incoming.off('data', take)
      resolve(undefined)
    }
    incoming.on('data', take)
    incoming.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    incoming.once('error', reject)
    incoming.once('close', () => reject(new Error('the request ended early')))
  })
}
