// The real network: WebSocket messages (RFC 6455), on the port that also serves HTTP.
// One of the few files that may touch the world.

import { randomFillSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import type { HttpServer } from './http-server.ts'
import type { CutOff } from './peer-metrics.ts'
import type { Address } from './pid.ts'
import { type Channel, type ChannelEvents, NOBODY_LISTENS, type Transport } from './transport.ts'

/** Names our traffic among other uses of WebSocket. */
const SUBPROTOCOL = 'mesos-ts.1'
/** How long a closing handshake may take before the socket is dropped. */
const CLOSE_LIMIT_MS = 500
const DIAL_LIMIT_MS = 10_000
/** Most that a stranger may send before it is accepted, so that strangers cost no memory. */
const MAX_GREETING_BYTES = 64 * 1024
/** RFC 6455 allows 123 bytes of reason. */
const MAX_REASON_BYTES = 123

type Accept = (channel: Channel) => Omit<ChannelEvents, 'opened'>

export class WebSocketTransport implements Transport {
  readonly #sockets = new Set<WebSocket>()
  readonly #maxMessageBytes: number
  readonly #server: WebSocketServer
  readonly #http: HttpServer | undefined
  #accept: Accept | undefined

  /** Without `http` it only dials: such a process is reached over the connections that it opened. */
  constructor(options: { readonly maxMessageBytes: number; readonly http?: HttpServer }) {
    this.#maxMessageBytes = options.maxMessageBytes
    this.#http = options.http
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxMessageBytes,
      handleProtocols: () => SUBPROTOCOL,
    })
    if (this.#http) {
      this.#http.upgrade = (request, socket, head) => this.#upgrade(request, socket, head)
    }
  }

  onChannel(accept: Accept): void {
    this.#accept = accept
  }

  dial(address: Address, events: ChannelEvents): void {
    let ws: WebSocket
    try {
      ws = new WebSocket(`ws://${address}/`, SUBPROTOCOL, {
        perMessageDeflate: false,
        maxPayload: this.#maxMessageBytes,
        handshakeTimeout: DIAL_LIMIT_MS,
        generateMask,
      })
    } catch {
      // Such as 1.2.3.4.5:80, which is neither a name nor an address.
      setImmediate(() => events.closed(`${address} cannot be the address of a process`))
      return
    }
    const stranger = new Stranger(ws)
    ws.once('upgrade', response => stranger.watch(response.socket))
    ws.once('open', () => events.opened(new WebSocketChannel(ws, address, stranger)))
    this.#wire(ws, events, stranger)
  }

  async close(): Promise<void> {
    this.#accept = undefined
    const open = [...this.#sockets]
    const closed = open.map(ws => new Promise<void>(resolve => ws.once('close', () => resolve())))
    let limit: NodeJS.Timeout | undefined
    for (const ws of open) ws.close(1001, 'shutting down')
    await Promise.race([
      Promise.all(closed),
      new Promise(resolve => {
        limit = setTimeout(resolve, CLOSE_LIMIT_MS)
      }),
    ])
    clearTimeout(limit)
    for (const ws of this.#sockets) ws.terminate()
    await this.#http?.close()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const accept = this.#accept
    // A browser names the page that opens the socket; no page has any business here.
    if (request.headers.origin !== undefined || !accept) return refuse(socket, '403 Forbidden')
    const offered = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim())
    if (!offered?.includes(SUBPROTOCOL)) return refuse(socket, '400 Bad Request')
    this.#server.handleUpgrade(request, socket, head, ws => {
      const stranger = new Stranger(ws)
      stranger.watch(socket)
      const remote = `${request.socket.remoteAddress}:${request.socket.remotePort}`
      this.#wire(ws, accept(new WebSocketChannel(ws, remote, stranger)), stranger)
    })
  }

  #wire(ws: WebSocket, events: Omit<ChannelEvents, 'opened'>, stranger: Stranger): void {
    this.#sockets.add(ws)
    let failure: string | undefined
    let cutOff: CutOff | undefined
    ws.on('error', (error: NodeJS.ErrnoException) => {
      // Of a name with several addresses the message is empty.
      failure ??= isRefusal(error) ? `${NOBODY_LISTENS} ${ws.url}` : error.message
      cutOff ??= cutOffOf(error.code)
    })
    ws.on('message', (data, isBinary) => {
      if (isBinary) return events.message(data as Buffer)
      failure ??= 'a text message'
      cutOff ??= 'malformed'
      ws.close(1003, 'binary messages only')
    })
    ws.on('close', (code, reason) => {
      this.#sockets.delete(ws)
      if (stranger.wasCutOff) return events.closed('its greeting is too large', 'greeting')
      events.closed(
        failure ?? (reason.length > 0 ? reason.toString() : `closed with code ${code}`),
        cutOff,
      )
    })
  }
}

/**
 * From this size on a message is sent with a mask of zeros, so that neither side has to go through its bytes. A mask
 * keeps a page's script from making a browser say what a proxy takes for an answer worth keeping; what speaks here is
 * no browser's script, and small messages, where it costs nothing, have a mask all the same.
 */
const UNMASKED_BYTES = 1024

/** Asked for together: the system takes as long for four bytes as for these. */
const chance = Buffer.alloc(4_096)
let used = chance.length
let masked = true

/** What `ws` calls for each frame that a dialling side sends. */
function generateMask(mask: Buffer): void {
  if (!masked) return void mask.fill(0)
  if (used === chance.length) {
    randomFillSync(chance)
    used = 0
  }
  chance.copy(mask, 0, used, used + 4)
  used += 4
}

class WebSocketChannel implements Channel {
  readonly #ws: WebSocket
  readonly #stranger: Stranger
  readonly remote: string

  constructor(ws: WebSocket, remote: string, stranger: Stranger) {
    this.#ws = ws
    this.remote = remote
    this.#stranger = stranger
  }

  accepted(): void {
    this.#stranger.accepted()
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount
  }

  send(bytes: Uint8Array): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return
    masked = bytes.length < UNMASKED_BYTES
    this.#ws.send(bytes)
    masked = true
  }

  pause(paused: boolean): void {
    if (paused) this.#ws.pause()
    else this.#ws.resume()
  }

  close(reason: string, atOnce = false): void {
    if (this.#ws.readyState === WebSocket.CLOSED) return
    if (atOnce) return this.#ws.terminate()
    // A paused socket would not read the other side's consent to the end.
    this.#ws.resume()
    this.#ws.close(1000, reason.replaceAll(/[^ -~]/g, '?').slice(0, MAX_REASON_BYTES))
    const limit = setTimeout(() => this.#ws.terminate(), CLOSE_LIMIT_MS)
    this.#ws.once('close', () => clearTimeout(limit))
  }
}

/** Counts what comes by a socket until its other side is accepted; with too much of that, it is cut. */
class Stranger {
  readonly #ws: WebSocket
  #socket: Duplex | undefined
  #receivedBytes = 0
  #accepted = false
  wasCutOff = false

  constructor(ws: WebSocket) {
    this.#ws = ws
  }

  watch(socket: Duplex): void {
    this.#socket = socket
    socket.on('data', this.#count)
  }

  accepted(): void {
    this.#accepted = true
    this.#socket?.off('data', this.#count)
  }

  readonly #count = (chunk: Buffer): void => {
    // It may be accepted by this very piece, which holds more than its greeting then.
    if (this.#accepted) return
    this.#receivedBytes += chunk.length
    if (this.#receivedBytes <= MAX_GREETING_BYTES) return
    this.wasCutOff = true
    this.#ws.terminate()
  }
}

/** Of the errors of `ws` those that are the other side's doing. */
function cutOffOf(code: string | undefined): CutOff | undefined {
  if (!code?.startsWith('WS_ERR_')) return undefined
  const tooLarge = code.endsWith('_MESSAGE_LENGTH') || code.endsWith('_BUFFERED_PARTS')
  return tooLarge ? 'message_too_large' : 'malformed'
}

function refuse(socket: Duplex, status: string): void {
  // Without it a client that has gone already would end this process.
  socket.on('error', () => {})
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** Whether nobody listens there: of a name with several addresses, at any of them. */
function isRefusal(error: NodeJS.ErrnoException): boolean {
  const all = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [error]
  return all.every(({ code }) => code === 'ECONNREFUSED')
}
