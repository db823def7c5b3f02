// What a connection brings: messages are decoded, checked, handed over frame by frame, and charged to who sent them.

import { type Backlog, Charge } from './backlog.ts'
import type { Clock } from './clock.ts'
import { decodeFrames, MalformedError } from './codec.ts'
import type { Complaints } from './complaints.ts'
import type { CutOff } from './peer-metrics.ts'
import { type ActorFrame, checkMessage, FRAME, type Frame, isActorFrame } from './frames.ts'
import type { Step } from './handshake.ts'
import type { Limits } from './limits.ts'
import type { Peer } from './peer.ts'

/** What an event takes in memory while it waits, beside its body: on the wire it may be three bytes. */
const EVENT_BYTES = 300

export interface InboxOptions {
  readonly clock: Clock
  readonly limits: Limits
  readonly complaints: Complaints
  readonly backlog: Backlog
  received(peer: Peer, frame: ActorFrame): void
  /** All frames of a message have been handed over. */
  delivered(): void
  /** The handshake went on; false if the peer is gone thereby. */
  step(peer: Peer, step: Step): boolean
  pinged(peer: Peer): void
  /** Cuts it off, with a warning or without. */
  giveUp(peer: Peer, reason: string, why: CutOff): void
  end(peer: Peer, reason: string, why: CutOff): void
}

export class Inbox {
  readonly #o: InboxOptions
  /** Messages and frames that were dropped because they were malformed, over all peers. */
  malformed = 0

  constructor(options: InboxOptions) {
    this.#o = options
  }

  take(peer: Peer, bytes: Uint8Array): void {
    if (peer.state === 'ended' || peer.state === 'awaited') return
    const { backlog, limits } = this.#o
    peer.hear()
    if (peer.state !== 'open' && bytes.length > limits.maxGreetingBytes) {
      return this.#o.giveUp(peer, 'its greeting is too large', 'greeting')
    }
    let frames: readonly Frame[]
    try {
      const { valid, malformed, first } = checkMessage(decodeFrames(bytes))
      frames = valid
      if (malformed > 0) this.#malformedFrom(peer, first!, malformed)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#malformedFrom(peer, error.message, 1)
      // Nobody knows what was in it. An answer, or the end of a link, would be waited for in vain.
      return this.#o.end(peer, 'malformed message', 'malformed')
    }
    const { load } = peer
    peer.charge = new Charge(backlog, load, bytes.length + frames.length * EVENT_BYTES)
    let pinged = false
    for (const frame of frames) {
      if (peer.state === 'open') {
        if (isActorFrame(frame)) this.#o.received(peer, frame)
        else pinged ||= frame[0] === FRAME.ping
      } else {
        const step = peer.state === 'greeting' && !peer.hello && peer.handshake!.receive(frame)
        if (!step) return this.#o.giveUp(peer, 'it did not greet first', 'greeting')
        if (!this.#o.step(peer, step)) return
      }
    }
    this.#o.delivered()
    if (load.events > 0) backlog.came(load)
    if (peer.bucket) this.#throttle(peer, frames.length)
    // One wrong frame may be of a later version. Many are somebody who means no good, or has lost the thread.
    if (peer.malformed > limits.maxMalformed) {
      return this.#o.giveUp(peer, 'too many malformed messages', 'malformed')
    }
    if (pinged) this.#o.pinged(peer)
  }

  /** Reads from a peer that says too much only when that has been made up for. */
  #throttle(peer: Peer, count: number): void {
    const { clock } = this.#o
    const waitMs = peer.bucket!.take(count, clock.now())
    if (waitMs === 0 || peer.throttle || peer.state === 'ended') return
    peer.throttle = clock.delay(waitMs, () => {
      peer.throttle = undefined
      peer.applyPause()
    })
    peer.applyPause()
  }

  #malformedFrom(peer: Peer, error: string, count: number): void {
    this.malformed += count
    peer.malformed += count
    this.#o.complaints.warn(peer.culprit, { error }, 'malformed message dropped')
  }
}
