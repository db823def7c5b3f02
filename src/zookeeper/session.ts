// A session with ZooKeeper, as far as it is needed here. library.ts makes real ones; tests make their own.
//
// A session outlives its connections: it is lost, and its ephemeral nodes with it, when ZooKeeper has heard nothing of its
// client for as long as its timeout. Once it has ended it never comes back; another one has to be opened.

import type { Address } from '../actors/pid.ts'
import type { Credentials } from './url.ts'

/** What ZooKeeper says in the place of an answer, or why there is none. */
export type ZooKeeperCode =
  | 'NO_NODE'
  | 'NODE_EXISTS'
  | 'NO_AUTH'
  | 'INVALID_ACL'
  /** The answer will not come: what was asked for may have been done. */
  | 'CONNECTION_LOSS'
  | 'SESSION_ENDED'
  /** Whatever else it may say. */
  | 'OTHER'

export class ZooKeeperError extends Error {
  override readonly name = 'ZooKeeperError'
  readonly code: ZooKeeperCode

  constructor(code: ZooKeeperCode, message: string) {
    super(message)
    this.code = code
  }

  /** Whether ZooKeeper itself has spoken: then it knows the session. */
  get isAnswer(): boolean {
    return this.code !== 'CONNECTION_LOSS' && this.code !== 'SESSION_ENDED'
  }
}

export type NodeKind = 'persistent' | 'ephemeral sequential'

export interface NodeContent {
  readonly data: Uint8Array
  /** The id of the session that it ends with; of a persistent node none that there is. */
  readonly owner: string
}

/** All that is asked rejects with a `ZooKeeperError`. Paths are absolute. */
export interface Session {
  /** Hexadecimal. Known once it was connected. */
  readonly id: string
  /** As ZooKeeper has granted it, which may differ from what was asked for. Known once it was connected. */
  readonly timeoutMs: number
  /** How many times anything was heard of ZooKeeper. */
  readonly heard: number
  /** `changed` is called, once, when that changes. */
  exists(path: string): Promise<boolean>
  /** Names. `changed` is called, once, when there are others, or the node goes. */
  children(path: string): Promise<readonly string[]>
  read(path: string): Promise<NodeContent>
  /** Whoever has given credentials owns the node, and others may read it; without, it is everybody's. Resolves to its path. */
  create(path: string, data: Uint8Array, kind: NodeKind): Promise<string>
  /** Breaks the connection, which seems dead; another one is made by itself. */
  reconnect(): void
  /** Says nothing more to ZooKeeper, which will find the session expired. */
  abandon(): void
  /** Ends the session, with its nodes, at once if ZooKeeper can be reached. */
  close(): void
}

export interface SessionEvents {
  /** Again after each lost connection. */
  readonly connected: () => void
  /** ZooKeeper has ended it. Not called after `abandon` or `close`. */
  readonly ended: (why: string) => void
  readonly changed: () => void
}

export interface SessionOptions {
  readonly servers: readonly Address[]
  readonly credentials?: Credentials | undefined
  readonly timeoutMs: number
}

/** Resolves or fails by the events; never throws. */
export type OpenSession = (options: SessionOptions, events: SessionEvents) => Session
