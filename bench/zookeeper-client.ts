// As much of ZooKeeper's protocol as a load needs: a session, and `setData` of one node with many requests under way.
//
// The frame of a request is made once and sent again and again with another number, and of an answer only the number and the
// error are looked at. So the client costs next to nothing, which no library's does.

import { connect, type Socket } from 'node:net'
import { once } from 'node:events'

const CREATE = 1
const SET_DATA = 5
const SESSION_MS = 30_000
const ALL_PERMISSIONS = 31
const NODE_EXISTS = -110
/** Where a reply's number and error are, behind its length. */
const XID_AT = 4
const ERROR_AT = 16

export class ZooKeeperClient {
  readonly #socket: Socket
  readonly #waiting: ((error: number) => void)[] = []
  #received: Buffer = Buffer.alloc(0)
  #connected = false
  #xid = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', bytes => this.#take(bytes))
  }

  static async connect(port: number): Promise<ZooKeeperClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const client = new ZooKeeperClient(socket)
    const greeted = new Promise<number>(resolve => client.#waiting.push(resolve))
    // Version, last zxid seen, time-out, session, password; and no read-only session.
    const greeting = Buffer.alloc(4 + 8 + 4 + 8 + 4 + 16 + 1)
    greeting.writeInt32BE(SESSION_MS, 12)
    greeting.writeInt32BE(16, 24)
    socket.write(framed(greeting))
    await greeted
    return client
  }

  /** A node for this client's load, if it is not there yet. */
  async create(path: string): Promise<void> {
    const error = await this.#request(
      Buffer.concat([
        header(CREATE),
        text(path),
        int(0),
        int(1),
        int(ALL_PERMISSIONS),
        text('world'),
        text('anyone'),
        int(0),
      ]),
    )
    if (error !== 0 && error !== NODE_EXISTS) throw new Error(`ZooKeeper: create: ${error}`)
  }

  /** Sets the node's data again and again, so many requests under way; resolves to how many were answered. */
  async setData(
    path: string,
    payloadBytes: number,
    outstanding: number,
    more: () => boolean,
  ): Promise<number> {
    const data = Buffer.alloc(payloadBytes, 0x61)
    const body = Buffer.concat([header(SET_DATA), text(path), int(data.length), data, int(-1)])
    let answered = 0
    const chain = async (): Promise<void> => {
      while (more()) {
        const error = await this.#request(body)
        if (error !== 0) throw new Error(`ZooKeeper: setData: ${error}`)
        answered++
      }
    }
    await Promise.all(Array.from({ length: outstanding }, chain))
    return answered
  }

  close(): void {
    this.#socket.destroy()
  }

  /** `body` begins with room for the number. Requests of one turn leave together. */
  #request(body: Buffer): Promise<number> {
    const frame = framed(body)
    frame.writeInt32BE(++this.#xid, XID_AT)
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork()
      process.nextTick(() => this.#socket.uncork())
    }
    this.#socket.write(frame)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #take(bytes: Buffer): void {
    const all = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
    let at = 0
    while (all.length - at >= 4) {
      const length = all.readInt32BE(at)
      if (all.length - at < 4 + length) break
      // A session is answered without number and error; answers come in the order of the requests.
      const error = this.#connected ? all.readInt32BE(at + ERROR_AT) : 0
      this.#connected = true
      this.#waiting.shift()?.(error)
      at += 4 + length
    }
    this.#received = all.subarray(at)
  }
}

function header(type: number): Buffer {
  return Buffer.concat([int(0), int(type)])
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([int(bytes.length), bytes])
}

function framed(body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(4 + body.length)
  frame.writeInt32BE(body.length)
  body.copy(frame, 4)
  return frame
}
