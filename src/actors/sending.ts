// What is said in a turn goes out together at its end, one message for each peer, or earlier where it is much.

import type { Frame } from './frames.ts'
import type { Limits } from './limits.ts'
import type { Peer } from './peer.ts'
import { SlowReaders } from './slow-readers.ts'

export class Sending {
  readonly #limits: Limits
  readonly #slow: SlowReaders
  readonly #overflowed: (peer: Peer, reason: string) => void
  #dirty: Peer[] = []
  /** Bytes sent since the last `flush`, without waiting for the next. */
  sentEarlyBytes = 0

  /** `overflowed`: more waits for a peer than a limit allows, so it must be given up. */
  constructor(limits: Limits, overflowed: (peer: Peer, reason: string) => void) {
    this.#limits = limits
    this.#slow = new SlowReaders(limits.maxTotalQueuedBytes)
    this.#overflowed = overflowed
  }

  /** Adds a frame to the message that goes to `peer` at the next `flush`. Throws if it cannot be encoded; false if it is too large. */
  send(peer: Peer, frame: Frame): boolean {
    const gathered = peer.gather(frame, this.#limits)
    if (gathered) this.gathered(peer)
    return gathered
  }

  /** What `peer` gathered goes out at the next `flush`, or now if it is much. */
  gathered(peer: Peer): void {
    this.sentEarlyBytes += peer.flushEarly(this.#limits)
    this.mark(peer)
  }

  /** `peer` has something to be sent. */
  mark(peer: Peer): void {
    if (peer.dirty) return
    peer.dirty = true
    this.#dirty.push(peer)
  }

  /** Sends what was gathered for each peer, one message each. */
  flush(): void {
    this.sentEarlyBytes = 0
    const dirty = this.#dirty
    if (dirty.length === 0) return
    this.#dirty = []
    for (const peer of dirty) {
      peer.dirty = false
      this.flushOne(peer)
    }
  }

  flushOne(peer: Peer): void {
    const overflow = peer.flush(this.#limits)
    if (overflow !== undefined) return this.#overflowed(peer, overflow)
    const worst = this.#slow.flushed(peer)
    if (worst) this.#overflowed(worst, 'queue full, of all peers together')
  }

  /** The peer is gone. */
  forget(peer: Peer): void {
    this.#slow.forget(peer)
  }
}
