// Real sessions, by node-zookeeper-client. One of the few files that may touch the world.
//
// The library speaks the protocol, and changes servers. What it does not do is done here, between its socket and its parser,
// which it calls `connectionManager`:
// - Frames are cut here, whole and of bounded size: it would keep half a frame for the next connection, and any size.
// - A frame that it cannot read ends the connection, not the process.
// - A silent connection is ended by whoever notices (`reconnect`); it would wait for ever.
// - What waits for an answer when the session ends, or when its answer cannot be read, is rejected; it would be forgotten.

import zookeeper, { type Client, type Exception } from 'node-zookeeper-client'
import type { Socket } from 'node:net'
import { assert } from '../base/assert.ts'
import { messageOf } from '../base/errors.ts'
import {
  type NodeContent,
  type NodeKind,
  type OpenSession,
  type Session,
  type SessionEvents,
  type SessionOptions,
  type ZooKeeperCode,
  ZooKeeperError,
} from './session.ts'

/** A node holds 1 MiB at most, unless its server was told otherwise; a list of children may be longer. */
const MOST_FRAME_BYTES = 8 * 1024 * 1024
/** How long, at most, it waits after it has tried all servers in vain. */
const SPIN_MS = 1_000

/** The part of the library that has no types; package.json pins the version. */
interface Manager {
  socket?: Socket
  connectTimeoutHandler: NodeJS.Timeout | null
  onSocketData(frame: Buffer): void
  onSocketConnected(): void
  connect(): void
}

const ACLS = zookeeper.ACL as unknown as Readonly<
  Record<'OPEN_ACL_UNSAFE' | 'READ_ACL_UNSAFE' | 'CREATOR_ALL_ACL', zookeeper.ACL[]>
>

export const openSession: OpenSession = (options, events) => new LibrarySession(options, events)

class LibrarySession implements Session {
  readonly #client: Client
  readonly #manager: Manager
  readonly #events: SessionEvents
  readonly #acl: zookeeper.ACL[]
  /** What has not been answered. */
  readonly #asked = new Set<(error: ZooKeeperError) => void>()
  #state: 'open' | 'closing' | 'ended' = 'open'
  heard = 0

  constructor({ servers, credentials, timeoutMs }: SessionOptions, events: SessionEvents) {
    this.#events = events
    this.#client = zookeeper.createClient(servers.join(), {
      sessionTimeout: timeoutMs,
      spinDelay: SPIN_MS,
      retries: 0,
    })
    this.#manager = (this.#client as unknown as { connectionManager: Manager }).connectionManager
    this.#guard()
    const { OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, CREATOR_ALL_ACL } = ACLS
    this.#acl = credentials ? [...READ_ACL_UNSAFE, ...CREATOR_ALL_ACL] : OPEN_ACL_UNSAFE
    if (credentials) {
      const { user, password } = credentials
      this.#client.addAuthInfo('digest', Buffer.from(`${user}:${password}`))
    }
    this.#client.on('connected', () => this.#state === 'open' && events.connected())
    this.#client.on('expired', () => this.#end('ZooKeeper has expired the session'))
    this.#client.on('authenticationFailed', () => this.#end('ZooKeeper refuses the credentials'))
    this.#client.connect()
  }

  get id(): string {
    return this.#client.getSessionId().toString('hex')
  }

  get timeoutMs(): number {
    return this.#client.getSessionTimeout()
  }

  exists(path: string): Promise<boolean> {
    return this.#ask(done =>
      this.#client.exists(path, this.#changed, (error, stat) => done(error, Boolean(stat))),
    )
  }

  children(path: string): Promise<readonly string[]> {
    return this.#ask(done =>
      this.#client.getChildren(path, this.#changed, (error, names?: readonly string[]) =>
        // An empty vector may come as none at all.
        done(error, names ?? []),
      ),
    )
  }

  read(path: string): Promise<NodeContent> {
    return this.#ask(done =>
      this.#client.getData(path, (error, data: Buffer | undefined, stat) =>
        done(error, {
          data: data ?? new Uint8Array(),
          owner: error ? '' : stat.ephemeralOwner.toString('hex'),
        }),
      ),
    )
  }

  create(path: string, data: Uint8Array, kind: NodeKind): Promise<string> {
    const mode =
      kind === 'persistent'
        ? zookeeper.CreateMode.PERSISTENT
        : zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL
    return this.#ask(done =>
      this.#client.create(path, Buffer.from(data), this.#acl, mode, (error, created) =>
        done(error, created),
      ),
    )
  }

  reconnect(): void {
    this.#manager.socket?.destroy()
  }

  abandon(): void {
    this.#end()
    // It must not come back by itself: that would give the session, and its nodes, another life.
    this.#hangUp()
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#client.close()
    this.#reject('SESSION_ENDED', 'the session is closed')
    // Without a connection nobody can be told.
    if (this.#manager.socket?.connecting === false) this.#manager.connect = () => {}
    else this.#hangUp()
  }

  #hangUp(): void {
    const manager = this.#manager
    manager.connect = () => {}
    manager.socket?.destroy()
    if (manager.connectTimeoutHandler) clearTimeout(manager.connectTimeoutHandler)
  }

  readonly #changed = (): void => {
    if (this.#state === 'open') this.#events.changed()
  }

  /** `why`: it has ended by itself. */
  #end(why?: string): void {
    if (this.#state === 'ended') return
    const wasOpen = this.#state === 'open'
    this.#state = 'ended'
    this.#reject('SESSION_ENDED', why ?? 'the session was given up')
    if (why !== undefined && wasOpen) this.#events.ended(why)
  }

  /** All that is under way. */
  #reject(code: ZooKeeperCode, why: string): void {
    for (const reject of this.#asked) reject(new ZooKeeperError(code, why))
    this.#asked.clear()
  }

  #ask<T>(
    call: (done: (error: Error | Exception | null | undefined, value: T) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'open') {
        reject(new ZooKeeperError('SESSION_ENDED', 'the session has ended'))
        return
      }
      this.#asked.add(reject)
      call((error, value) => {
        this.#asked.delete(reject)
        if (error) reject(zooKeeperError(error))
        else resolve(value)
      })
    })
  }

  /** Puts itself between the library's socket and its parser. */
  #guard(): void {
    const manager = this.#manager
    for (const name of ['onSocketData', 'onSocketConnected', 'connect'] as const)
      assert(typeof manager?.[name] === 'function', `the library's ${name} is where it was`)
    const onFrame = manager.onSocketData.bind(manager)
    const onConnected = manager.onSocketConnected.bind(manager)
    let frames = new Frames()
    manager.onSocketConnected = () => {
      frames = new Frames()
      if (this.#state === 'open') onConnected()
      else this.#hangUp()
    }
    manager.onSocketData = chunk => {
      const { socket } = manager
      try {
        for (const frame of frames.push(chunk)) {
          this.heard++
          onFrame(frame)
          // One frame may end the connection, and what follows it belongs to nobody then.
          if (socket?.destroyed) return
        }
      } catch (error) {
        socket?.destroy()
        this.#reject('CONNECTION_LOSS', `not understood: ${messageOf(error)}`)
      }
    }
  }
}

/** Cuts a stream of bytes into frames: a length of four bytes, and as many bytes. */
export class Frames {
  #waiting: Buffer[] = []
  #bytes = 0

  /** The frames that are whole by now, each with its length. Throws if one is longer than there is reason to. */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = []
    this.#waiting.push(chunk)
    this.#bytes += chunk.length
    while (this.#bytes >= 4) {
      const size = this.#whole(4).readInt32BE(0)
      if (size < 0 || size > MOST_FRAME_BYTES) throw new Error(`a frame of ${size} bytes`)
      if (this.#bytes < size + 4) break
      const all = this.#whole(size + 4)
      this.#waiting = all.length > size + 4 ? [all.subarray(size + 4)] : []
      this.#bytes -= size + 4
      frames.push(all.subarray(0, size + 4))
    }
    return frames
  }

  /** The first chunk, which has so many bytes at least. */
  #whole(bytes: number): Buffer {
    if (this.#waiting[0]!.length < bytes) this.#waiting = [Buffer.concat(this.#waiting)]
    return this.#waiting[0]!
  }
}

const CODES: ReadonlyMap<number, ZooKeeperCode> = new Map([
  [zookeeper.Exception.NO_NODE, 'NO_NODE'],
  [zookeeper.Exception.NODE_EXISTS, 'NODE_EXISTS'],
  [zookeeper.Exception.NO_AUTH, 'NO_AUTH'],
  [zookeeper.Exception.INVALID_ACL, 'INVALID_ACL'],
  [zookeeper.Exception.CONNECTION_LOSS, 'CONNECTION_LOSS'],
  [zookeeper.Exception.SESSION_EXPIRED, 'SESSION_ENDED'],
  [zookeeper.Exception.AUTH_FAILED, 'SESSION_ENDED'],
])

function zooKeeperError(error: Error | Exception): ZooKeeperError {
  const code = error instanceof zookeeper.Exception ? CODES.get(error.code) : undefined
  return new ZooKeeperError(code ?? 'OTHER', messageOf(error))
}
