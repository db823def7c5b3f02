// What one actor may ask of its runtime. A class, so that a million actors share one set of functions.

import type { Logger } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type {
  Actor,
  Context,
  LinkOptions,
  StreamOptions,
  TerminateOptions,
  WaitOptions,
} from './actor.ts'
import type { Cell } from './cell.ts'
import type { Clock, Timer } from './clock.ts'
import type { Delivery } from './delivery.ts'
import type { HttpHandler } from './http.ts'
import { BodyStream } from './http-stream.ts'
import type { Links } from './links.ts'
import type { Metrics, MetricsScope } from './metrics.ts'
import type { Pid } from './pid.ts'
import type { Entries, Protocol, Ref, Refs } from './protocol.ts'

/** What the contexts of all actors have in common. */
export interface ContextHost {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly links: Links
  readonly delivery: Delivery
  spawn(actor: Actor, id?: string): Pid
  terminate(of: Pid, options: TerminateOptions | undefined): void
  /** `startTimer`: absent if it waits without limit. */
  wait(of: Pid, startTimer?: (run: () => void) => Timer): Promise<boolean>
}

/** What an actor's streaming response may keep for its reader, if the actor does not say. */
const STREAM_BUFFER_BYTES = 16 * 1024 * 1024

export class CellContext implements Context {
  readonly #cell: Cell
  readonly #host: ContextHost
  #scope: MetricsScope | undefined

  constructor(cell: Cell, host: ContextHost) {
    this.#cell = cell
    this.#host = host
  }

  get self(): Pid {
    return this.#cell.pid
  }

  get clock(): Clock {
    return this.#host.clock
  }

  get random(): Random {
    return this.#host.random
  }

  get log(): Logger {
    return this.#cell.log
  }

  get metrics(): MetricsScope {
    if (this.#scope) return this.#scope
    const scope = this.#host.metrics.scope()
    this.#scope = scope
    if (!this.#cell.ended) (this.#cell.cleanups ??= new Set()).add(() => scope.clear())
    return scope
  }

  ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    return this.#host.delivery.ref(definition, to, this.#cell)
  }

  refs<E extends Entries>(definition: Protocol<E>, to: readonly Pid[]): Refs<E> {
    return this.#host.delivery.refs(definition, to, this.#cell)
  }

  delay(ms: number, run: () => unknown): Timer {
    const cell = this.#cell
    // Once it has fired it is an event in the mailbox, and one before it may still cancel it.
    let cancelled = false
    const event = {
      type: 'dispatch',
      name: 'delay',
      run: () => (cancelled ? undefined : run()),
    } as const
    const timer = cell.addTimer(fired =>
      this.#host.clock.delay(ms, () => {
        fired()
        cell.enqueue(event)
      }),
    )
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
  }

  dispatch(run: () => unknown): void {
    this.#cell.enqueue({ type: 'dispatch', run })
  }

  resume<T>(promise: Promise<T>): Promise<T> {
    return this.#host.delivery.resume(this.#cell, promise)
  }

  link(to: Pid, options?: LinkOptions): void {
    this.#host.links.link(this.#cell, to, options)
  }

  unlink(to: Pid): void {
    this.#host.links.unlink(this.#cell, to)
  }

  route(path: string, help: string, handler: HttpHandler): void {
    this.#cell.addRoute({ path, help, handler })
  }

  /** Broken off with its actor; news of its reader's end is an event of the actor. */
  stream(options: StreamOptions): BodyStream {
    const cell = this.#cell
    const { maxBufferedBytes = STREAM_BUFFER_BYTES, onClosed } = options
    const made = new BodyStream({
      maxBufferedBytes,
      onDone: why => {
        cell.cleanups?.delete(breakOff)
        if (onClosed && (why === 'gone' || why === 'slow')) {
          cell.enqueue({ type: 'dispatch', name: 'stream closed', run: () => onClosed(why) })
        }
      },
    })
    const breakOff = (): void => made.fail('the actor has ended')
    ;(cell.cleanups ??= new Set()).add(breakOff)
    return made
  }

  waiting(type: 'message' | 'dispatch' | 'http'): number {
    return this.#cell.mailbox.count(type)
  }

  spawn(actor: Actor, id?: string): Pid {
    return this.#host.spawn(actor, id)
  }

  terminate(of: Pid, options?: TerminateOptions): void {
    const cell = this.#cell
    // Its id may be another's by now, and an actor that has ended does nothing.
    if (cell.ended) return
    if (of === cell.pid) cell.terminate(options)
    else this.#host.terminate(of, options)
  }

  waitFor(of: Pid, { timeoutMs }: WaitOptions): Promise<boolean> {
    const cell = this.#cell
    const { clock } = this.#host
    if (timeoutMs === undefined) return this.resume(this.#host.wait(of))
    const startTimer = (run: () => void): Timer =>
      cell.addTimer(fired =>
        clock.delay(timeoutMs, () => {
          fired()
          run()
        }),
      )
    return this.resume(this.#host.wait(of, startTimer))
  }

  defer<A extends unknown[]>(run: (...args: A) => unknown): (...args: A) => void {
    return (...args) =>
      this.#cell.enqueue({ type: 'dispatch', name: 'deferred', run: () => run(...args) })
  }
}
