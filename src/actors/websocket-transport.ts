// The real network: WebSocket messages (RFC 6455), on the port that also serves HTTP.
// One of the few files that may touch the world.

import { WebSocket, WebSocketServer } from 'ws'
import type { HttpServer } from './http-server.ts'
import type { Address } from './pid.ts'
import type { Channel, ChannelEvents, Transport } from './transport.ts'

/** Names our traffic among other uses of WebSocket. */
const SUBPROTOCOL = 'mesos-ts.1'
/** How long a closing handshake may take before the socket is dropped. */
const CLOSE_LIMIT_MS = 500
const DIAL_LIMIT_MS = 10_000

export class WebSocketTransport implements Transport {
  readonly #sockets = new Set<WebSocket>()
  readonly #maxMessageBytes: number
  readonly #server: WebSocketServer
  readonly #http: HttpServer | undefined
  #accept: ((channel: Channel) => Omit<ChannelEvents, 'opened'>) | undefined

  /** Without `http` it only dials: such a process is reached over the connections that it opened. */
  constructor(options: { readonly maxMessageBytes: number; readonly http?: HttpServer }) {
    this.#maxMessageBytes = options.maxMessageBytes
    this.#http = options.http
    this.#server = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: options.maxMessageBytes,
      handleProtocols: protocols => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    })
    if (this.#http) {
      this.#http.upgrade = (request, socket, head) => {
        // A browser names the page that opens the socket; no page has any business here.
        if (request.headers.origin !== undefined || !this.#accept) {
          socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n')
          return
        }
        this.#server.handleUpgrade(request, socket, head, ws => {
          const remote = `${request.socket.remoteAddress}:${request.socket.remotePort}`
          const channel = new WebSocketChannel(ws, remote)
          this.#wire(ws, this.#accept!(channel))
        })
      }
    }
  }

  onChannel(accept: (channel: Channel) => Omit<ChannelEvents, 'opened'>): void {
    this.#accept = accept
  }

  dial(address: Address, events: ChannelEvents): void {
    const ws = new WebSocket(`ws://${address}/`, SUBPROTOCOL, {
      perMessageDeflate: false,
      maxPayload: this.#maxMessageBytes,
      handshakeTimeout: DIAL_LIMIT_MS,
    })
    ws.once('open', () => events.opened(new WebSocketChannel(ws, address)))
    this.#wire(ws, events)
  }

  async close(): Promise<void> {
    for (const ws of this.#sockets) ws.close(1001, 'shutting down')
    if (this.#sockets.size > 0) {
      await new Promise<void>(resolve => {
        const limit = setTimeout(resolve, CLOSE_LIMIT_MS)
        for (const ws of this.#sockets) {
          ws.once('close', () => {
            if (this.#sockets.size > 0) return
            clearTimeout(limit)
            resolve()
          })
        }
      })
    }
    for (const ws of this.#sockets) ws.terminate()
    await this.#http?.close()
  }

  #wire(ws: WebSocket, events: Omit<ChannelEvents, 'opened'>): void {
    this.#sockets.add(ws)
    let failure: string | undefined
    ws.on('error', error => {
      failure = error.message
    })
    ws.on('message', data => events.message(data as Buffer))
    ws.on('close', (code, reason) => {
      this.#sockets.delete(ws)
      events.closed(failure ?? (reason.length > 0 ? reason.toString() : `closed with code ${code}`))
    })
  }
}

class WebSocketChannel implements Channel {
  readonly #ws: WebSocket
  readonly remote: string

  constructor(ws: WebSocket, remote: string) {
    this.#ws = ws
    this.remote = remote
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount
  }

  send(bytes: Uint8Array): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(bytes)
  }

  close(reason: string): void {
    this.#ws.close(1000, reason.slice(0, 100))
    const limit = setTimeout(() => this.#ws.terminate(), CLOSE_LIMIT_MS)
    this.#ws.once('close', () => clearTimeout(limit))
  }
}
