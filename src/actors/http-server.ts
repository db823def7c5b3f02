// The one listening port of a process: HTTP requests for actors, and upgrades to WebSocket for other processes.
// One of the few files that may touch the world.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from './http.ts'
import { text } from './http.ts'

/** Larger request bodies are answered 413 and not read. */
const MAX_BODY_BYTES = 16 * 1024 * 1024

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

export class HttpServer {
  readonly #server: Server
  handle: (request: HttpRequest) => Promise<HttpResponse> = () => Promise.resolve(text(503, 'starting\n'))
  upgrade: Upgrade = (_request, socket) => socket.destroy()

  constructor() {
    this.#server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => socket.destroy())
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
    const request = await readRequest(incoming)
    const response = 'status' in request ? request : await this.handle(request)
    const body = typeof response.body === 'string' ? Buffer.from(response.body) : response.body
    outgoing.writeHead(response.status, {
      ...response.headers,
      'content-length': body?.length ?? 0,
      ...('status' in request && { connection: 'close' }),
    })
    if (incoming.method === 'HEAD') outgoing.end()
    else outgoing.end(body)
  }
}

/** Reads a whole request, or says with which response it is refused. */
async function readRequest(incoming: IncomingMessage): Promise<HttpRequest | HttpResponse> {
  const url = incoming.url ?? '/'
  const mark = url.indexOf('?')
  let path: string
  try {
    path = decodeURIComponent(mark === -1 ? url : url.slice(0, mark))
  } catch {
    return text(404, '')
  }
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_BODY_BYTES) {
        return text(413, `The request body is larger than ${MAX_BODY_BYTES} bytes.\n`)
      }
      chunks.push(chunk)
    }
  } catch {
    return text(400, 'The request body ended early.\n')
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return {
    method: incoming.method ?? 'GET',
    path,
    query: new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1)),
    headers,
    body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks),
  }
}
