// Starts actors again when they fail: one at a time, later each time, and not without end.

import { assert } from '../base/assert.ts'
import { Actor } from './actor.ts'
import type { Timer } from './clock.ts'
import type { ExitReason } from './mailbox.ts'
import { type Pid, idOf } from './pid.ts'
import type { Served } from './protocol.ts'

/** How an actor is started, and started again. */
export interface Child {
  /** It has this id each time, so that addresses of it stay valid. */
  readonly id: string
  /** Makes a new one, with the state of a new one: what has failed is not trusted with anything it knew. */
  readonly start: () => Actor
}

export interface SupervisorOptions {
  readonly children?: readonly Child[]
  /** With one restart more than these within `windowMs`, over all children, the supervisor fails itself. Default 5. */
  readonly maxRestarts?: number
  /** Default: one minute. */
  readonly windowMs?: number
  /** Before a first restart; twice as long before each one that follows within the window. Default 100. */
  readonly backoffMs?: number
  /** The longest that becomes. Default 10 s. */
  readonly maxBackoffMs?: number
}

/**
 * A supervisor's children are started in order when it starts. One that fails (a handler of it threw) is started again
 * under its id; the others do not notice. One that ends in any other way has done its work and is forgotten. While a
 * failed child is not back, what is sent to its id meets nobody: an `ask` is rejected with `NO_SUCH_ACTOR`. Whoever is
 * linked to it hears of each end, and links again to the next one.
 *
 * When failures come too often, starting again does not mend them: the supervisor fails itself, and ends with all its
 * children. Its own supervisor then starts the whole group anew, or the process ends (`failureEnds`). A child whose
 * failure ends the process is not started again.
 *
 * For children that are known when it is made, `new Supervisor({ children: [{ id: 'counter', start: () => new Counter() }] })`
 * is all there is to do; a subclass can serve messages and add others with `supervise`.
 */
export class Supervisor extends Actor {
  override readonly idPrefix: string = 'supervisor'
  readonly serves: readonly Served[] = []

  readonly #options: Required<SupervisorOptions>
  readonly #children = new Map<Pid, Child>()
  /** Of those that will be started again. */
  readonly #waiting = new Map<Pid, Timer>()
  /** When, within the window. */
  #restartsMs: number[] = []

  constructor(options: SupervisorOptions = {}) {
    super()
    this.#options = {
      children: [],
      maxRestarts: 5,
      windowMs: 60_000,
      backoffMs: 100,
      maxBackoffMs: 10_000,
      ...options,
    }
    for (const [name, value] of Object.entries(this.#options)) {
      assert(typeof value !== 'number' || value >= 0, `${name} is not negative`)
    }
  }

  protected override initialize(): void | Promise<void> {
    for (const child of this.#options.children) this.supervise(child)
  }

  /** Starts one more child. Throws if its id is taken. */
  protected supervise(child: Child): Pid {
    const pid = this.spawn(child.start(), child.id)
    this.#children.set(pid, child)
    this.link(pid)
    return pid
  }

  /** Ends a child and forgets it. */
  protected dismiss(pid: Pid): void {
    if (!this.#children.delete(pid)) return
    this.unlink(pid)
    this.#waiting.get(pid)?.cancel()
    if (!this.#waiting.delete(pid)) this.terminate(pid)
  }

  /** A subclass that links to others calls this for its children, or for all. */
  protected override exited(pid: Pid, why: ExitReason): void | Promise<void> {
    const child = this.#children.get(pid)
    if (!child) return
    if (why === 'failed') this.#restart(pid, child)
    else this.#children.delete(pid)
  }

  #restart(pid: Pid, child: Child): void {
    const { maxRestarts, windowMs, backoffMs, maxBackoffMs } = this.#options
    const nowMs = this.clock.now()
    this.#restartsMs = this.#restartsMs.filter(ms => ms > nowMs - windowMs)
    const earlier = this.#restartsMs.length
    if (earlier >= maxRestarts) {
      this.#children.delete(pid)
      throw new Error(
        `${idOf(pid)} failed, after ${earlier} restarts within ${windowMs} ms: ${idOf(this.self)} gives up; why it failed is in the log, before this`,
      )
    }
    this.#restartsMs.push(nowMs)
    const delayMs = Math.min(backoffMs * 2 ** earlier, maxBackoffMs)
    this.log.warn({ child: pid, delayMs, restarts: earlier + 1 }, 'a failed actor is started again')
    const again = this.delay(delayMs, () => {
      this.#waiting.delete(pid)
      this.supervise(child)
    })
    this.#waiting.set(pid, again)
  }

  /** Ends the children, the last one first. */
  protected override finalize(): void {
    for (const pid of [...this.#children.keys()].toReversed()) {
      if (!this.#waiting.has(pid)) this.terminate(pid)
    }
  }
}
