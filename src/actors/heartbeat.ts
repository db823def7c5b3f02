// Finds out that a connection is dead although nobody has closed it. Silence is counted in rounds, not read off the clock:
// when this process itself stood still, for a collection or a debugger, that is one round, and nobody is given up for it.

import type { Clock, Timer } from './clock.ts'
import { FRAME, type Frame } from './frames.ts'
import type { Limits } from './limits.ts'
import type { Peer } from './peer.ts'

export interface HeartbeatHost {
  readonly all: ReadonlySet<Peer>
  send(peer: Peer, frame: Frame): void
  flush(): void
  silent(peer: Peer): void
}

export class Heartbeat {
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #host: HeartbeatHost
  #timer: Timer | undefined

  constructor(clock: Clock, limits: Limits, host: HeartbeatHost) {
    this.#clock = clock
    this.#limits = limits
    this.#host = host
  }

  /** Goes on by itself while there are peers. */
  start(): void {
    this.#timer ??= this.#clock.delay(this.#limits.pingIntervalMs, () => this.#round())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #round(): void {
    const { pingIntervalMs, silenceLimitMs } = this.#limits
    this.#timer = undefined
    const mostRounds = Math.ceil(silenceLimitMs / pingIntervalMs)
    for (const peer of [...this.#host.all]) {
      peer.malformed = 0
      // Who is not read from cannot be heard.
      if (peer.state !== 'open' || peer.paused) continue
      peer.silentRounds = peer.heard ? 0 : peer.silentRounds + 1
      peer.heard = false
      if (peer.silentRounds >= mostRounds) this.#host.silent(peer)
      else if (peer.silentRounds > 0) this.#host.send(peer, [FRAME.ping])
    }
    this.#host.flush()
    if (this.#host.all.size > 0) this.start()
  }
}
