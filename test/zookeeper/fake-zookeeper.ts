// A ZooKeeper for tests without one: nodes in memory, sessions that expire by the virtual clock, and faults to order.

import type { Clock, Timer } from '../../src/actors/clock.ts'
import {
  type NodeContent,
  type NodeKind,
  type OpenSession,
  type Session,
  type SessionEvents,
  ZooKeeperError,
} from '../../src/zookeeper/session.ts'

const ROUND_TRIP_MS = 2

interface Node {
  readonly data: Uint8Array
  readonly owner: string
}

export class FakeZooKeeper {
  readonly clock: Clock
  readonly nodes = new Map<string, Node>()
  readonly sessions = new Set<FakeSession>()
  /** Answers do not come while it stands still; sessions expire only if `expires`. */
  isUp = true
  /** The next answer to a `create` gets lost on its way. */
  losesCreated = false
  /** Who may change nothing. */
  refuses: 'NO_AUTH' | undefined
  #sequence = 0
  #ids = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  readonly open: OpenSession = (options, events) => {
    const session = new FakeSession(this, String(++this.#ids), options.timeoutMs, events)
    this.sessions.add(session)
    return session
  }

  nextSequence(): string {
    return String(this.#sequence++).padStart(10, '0')
  }

  childrenOf(path: string): string[] {
    return [...this.nodes.keys()]
      .filter(other => other.startsWith(`${path}/`) && !other.slice(path.length + 1).includes('/'))
      .map(other => other.slice(path.length + 1))
  }

  remove(path: string): void {
    this.nodes.delete(path)
    this.notify()
  }

  put(path: string, text: string, owner = '0'): void {
    this.nodes.set(path, { data: new TextEncoder().encode(text), owner })
    this.notify()
  }

  notify(): void {
    for (const session of this.sessions) session.noticed()
  }

  /** As its own clock says, whatever the client believes. */
  expire(session: FakeSession): void {
    if (!this.sessions.delete(session)) return
    for (const [path, { owner }] of this.nodes) if (owner === session.id) this.nodes.delete(path)
    session.expired()
    this.notify()
  }
}

class FakeSession implements Session {
  readonly #server: FakeZooKeeper
  readonly #events: SessionEvents
  readonly id: string
  readonly timeoutMs: number
  heard = 0
  asked = 0
  /** Its connection is cut: nothing arrives in either direction. */
  isCut = false
  #ended = false
  #watches = false
  #expiry: Timer | undefined
  readonly #open = new Set<(error: ZooKeeperError) => void>()

  constructor(server: FakeZooKeeper, id: string, timeoutMs: number, events: SessionEvents) {
    this.#server = server
    this.#events = events
    this.id = id
    this.timeoutMs = timeoutMs
    server.clock.delay(ROUND_TRIP_MS, () => {
      if (this.#ended || !server.isUp) return
      this.#touch()
      events.connected()
    })
  }

  #touch(): void {
    this.#expiry?.cancel()
    this.#expiry = this.#server.clock.delay(this.timeoutMs, () => this.#server.expire(this))
  }

  #ask<T>(answer: () => T, isLost: () => boolean = () => false): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new ZooKeeperError('SESSION_ENDED', 'ended'))
        return
      }
      this.#open.add(reject)
      this.asked++
      const { clock } = this.#server
      clock.delay(ROUND_TRIP_MS / 2, () => {
        if (this.#ended || this.isCut || !this.#server.isUp) return
        this.#touch()
        let settle: () => void
        try {
          const value = answer()
          settle = isLost()
            ? () => reject(new ZooKeeperError('CONNECTION_LOSS', 'lost'))
            : () => resolve(value)
        } catch (error) {
          settle = () => reject(error)
        }
        clock.delay(ROUND_TRIP_MS / 2, () => {
          if (this.#ended || this.isCut) return
          this.heard++
          this.#open.delete(reject)
          settle()
        })
      })
    })
  }

  exists(path: string): Promise<boolean> {
    return this.#ask(() => {
      this.#watches = true
      return this.#server.nodes.has(path)
    })
  }

  children(path: string): Promise<readonly string[]> {
    return this.#ask(() => {
      if (!this.#server.nodes.has(path)) throw new ZooKeeperError('NO_NODE', path)
      this.#watches = true
      return this.#server.childrenOf(path)
    })
  }

  read(path: string): Promise<NodeContent> {
    return this.#ask(() => {
      const node = this.#server.nodes.get(path)
      if (!node) throw new ZooKeeperError('NO_NODE', path)
      return node
    })
  }

  create(path: string, data: Uint8Array, kind: NodeKind): Promise<string> {
    return this.#ask(
      () => {
        const server = this.#server
        if (server.refuses) throw new ZooKeeperError(server.refuses, path)
        const full = kind === 'persistent' ? path : path + server.nextSequence()
        if (server.nodes.has(full)) throw new ZooKeeperError('NODE_EXISTS', path)
        server.nodes.set(full, { data, owner: kind === 'persistent' ? '0' : this.id })
        server.notify()
        return full
      },
      () => {
        const isLost = this.#server.losesCreated && kind !== 'persistent'
        if (isLost) this.#server.losesCreated = false
        return isLost
      },
    )
  }

  noticed(): void {
    if (!this.#watches || this.#ended || this.isCut) return
    this.#watches = false
    this.#server.clock.delay(ROUND_TRIP_MS / 2, () => {
      if (!this.#ended && !this.isCut) this.#events.changed()
    })
  }

  reconnect(): void {
    for (const reject of this.#open) reject(new ZooKeeperError('CONNECTION_LOSS', 'broken'))
    this.#open.clear()
    this.#server.clock.delay(ROUND_TRIP_MS, () => {
      if (!this.#ended && !this.isCut && this.#server.isUp) this.#events.connected()
    })
  }

  expired(): void {
    const { isCut } = this
    // Who cannot be reached hears nothing of it.
    if (this.#ended || isCut) return
    this.#finish()
    this.#events.ended('expired')
  }

  abandon(): void {
    this.#finish()
  }

  close(): void {
    if (this.#ended) return
    this.#finish()
    if (!this.isCut) this.#server.expire(this)
  }

  #finish(): void {
    this.#ended = true
    for (const reject of this.#open) reject(new ZooKeeperError('SESSION_ENDED', 'ended'))
    this.#open.clear()
  }
}
