// Those for whom much waits to be sent. What a peer may have waiting is limited for each; here for all together, and who
// takes most of that is cut off first. Only those with much are looked at, so that the others cost nothing.

import type { Peer } from './peer.ts'

/** A peer for which more waits is looked at. */
const MUCH_BYTES = 1024 * 1024

export class SlowReaders {
  readonly #mostBytes: number
  readonly #peers = new Set<Peer>()

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Something was sent to a peer. Returns who must be cut off, if all have too much waiting. */
  flushed(peer: Peer): Peer | undefined {
    if (peer.queuedBytes < MUCH_BYTES) {
      if (this.#peers.size > 0) this.#peers.delete(peer)
      return undefined
    }
    this.#peers.add(peer)
    let sum = 0
    let worst = peer
    let worstBytes = 0
    for (const each of this.#peers) {
      const bytes = each.queuedBytes
      sum += bytes
      if (bytes <= worstBytes) continue
      worst = each
      worstBytes = bytes
    }
    return sum > this.#mostBytes ? worst : undefined
  }

  forget(peer: Peer): void {
    this.#peers.delete(peer)
  }
}
