// An actor's context with a tape between: the actor notices nothing, and the tape hears of everything.

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
import type { Clock, Timer } from './clock.ts'
import type { HttpHandler } from './http.ts'
import type { BodyStream } from './http-stream.ts'
import type { MetricsScope } from './metrics.ts'
import type { Pid } from './pid.ts'
import type { Entries, Protocol, Ref, Refs } from './protocol.ts'
import { keep, type Tape } from './tape.ts'

export class TapedContext implements Context {
  readonly clock: Clock
  readonly random: Random
  readonly #tape: Tape
  readonly #inner: Context
  #ops = 0

  constructor(tape: Tape, inner: Context) {
    this.#tape = tape
    this.#inner = inner
    this.clock = {
      now: () => tape.read('now', () => inner.clock.now()),
      // Beside the mailbox, as without a tape: what runs then is on no record.
      delay: (ms, run) => inner.clock.delay(ms, run),
      soon: run => inner.clock.soon(run),
    }
    this.random = new TapedRandom(tape, inner)
  }

  get self(): Pid {
    return this.#inner.self
  }

  get log(): Logger {
    return this.#inner.log
  }

  get metrics(): MetricsScope {
    return this.#inner.metrics
  }

  ref<E extends Entries>(definition: Protocol<E>, to: Pid): Ref<E> {
    const tape = this.#tape
    const real = this.#inner.ref(definition, to)
    const { wire } = definition
    return {
      pid: to,
      tell: (name, message) => {
        tape.did({ did: 'tell', to, name: wire[name], body: keep(message) })
        real.tell(name, message)
      },
      ask: (name, request, options) => {
        const op = this.#ops++
        const { timeoutMs } = options ?? {}
        const body = keep(request)
        const limit = timeoutMs !== undefined && { timeoutMs }
        tape.did({ did: 'ask', op, to, name: wire[name], body, ...limit })
        return tape.awaited(op, () => real.ask(name, request, options))
      },
      forward: (envelope, name, body) => {
        const of = tape.handOver(envelope)
        const asked = of !== undefined && { of }
        tape.did({ did: 'forward', to, name: wire[name], body: keep(body), ...asked })
        return real.forward(envelope, name, body)
      },
    }
  }

  refs<E extends Entries>(definition: Protocol<E>, to: readonly Pid[]): Refs<E> {
    const real = this.#inner.refs(definition, to)
    const { wire } = definition
    return {
      pids: real.pids,
      tell: (name, message) => {
        const body = keep(message)
        for (const one of real.pids)
          this.#tape.did({ did: 'tell', to: one, name: wire[name], body })
        real.tell(name, message)
      },
    }
  }

  delay(ms: number, run: () => unknown): Timer {
    const op = this.#ops++
    this.#tape.did({ did: 'delay', op, ms })
    const timer = this.#inner.delay(ms, this.#tape.callback('timer', op, run))
    return {
      cancel: () => {
        this.#tape.did({ did: 'cancel', op })
        timer.cancel()
      },
    }
  }

  dispatch(run: () => unknown): void {
    const op = this.#ops++
    this.#tape.did({ did: 'dispatch', op })
    this.#inner.dispatch(this.#tape.callback('call', op, run))
  }

  defer<A extends unknown[]>(run: (...args: A) => unknown): (...args: A) => void {
    const op = this.#ops++
    this.#tape.did({ did: 'defer', op })
    return this.#inner.defer(this.#tape.callback('deferred', op, run))
  }

  resume<T>(promise: Promise<T>): Promise<T> {
    const op = this.#ops++
    this.#tape.did({ did: 'resume', op })
    // In a replay what comes of it is on the tape, and nobody else looks at it.
    promise.catch(() => {})
    return this.#tape.awaited(op, () => this.#inner.resume(promise))
  }

  waitFor(of: Pid, options: WaitOptions): Promise<boolean> {
    const op = this.#ops++
    this.#tape.did({ did: 'wait', op, pid: of, ...options })
    return this.#tape.awaited(op, () => this.#inner.waitFor(of, options))
  }

  link(to: Pid, options?: LinkOptions): void {
    this.#tape.did({ did: 'link', pid: to })
    this.#inner.link(to, options)
  }

  unlink(to: Pid): void {
    this.#tape.did({ did: 'unlink', pid: to })
    this.#inner.unlink(to)
  }

  route(path: string, help: string, handler: HttpHandler): void {
    this.#tape.did({ did: 'route', path })
    this.#inner.route(path, help, this.#tape.http(path, handler))
  }

  stream(options: StreamOptions): BodyStream {
    const op = this.#ops++
    this.#tape.did({ did: 'stream', op })
    const { onClosed } = options
    return this.#inner.stream({
      ...options,
      ...(onClosed && { onClosed: this.#tape.callback('closed', op, onClosed) }),
    })
  }

  waiting(type: 'message' | 'dispatch' | 'http'): number {
    return this.#tape.read('waiting', () => this.#inner.waiting(type))
  }

  spawn(actor: Actor, id?: string): Pid {
    const pid = this.#tape.read('spawn', () => this.#inner.spawn(actor, id))
    this.#tape.did({ did: 'spawn', pid })
    return pid
  }

  terminate(of: Pid, options?: TerminateOptions): void {
    this.#tape.did({ did: 'terminate', pid: of })
    this.#inner.terminate(of, options)
  }
}

/** Each draw is read from the tape; an order is drawn as one of positions, whatever stands at them. */
class TapedRandom implements Random {
  readonly #tape: Tape
  readonly #inner: Context

  constructor(tape: Tape, inner: Context) {
    this.#tape = tape
    this.#inner = inner
  }

  next(): number {
    return this.#tape.read('draw', () => this.#inner.random.next())
  }

  integer(below: number): number {
    return this.#tape.read('draw', () => this.#inner.random.integer(below))
  }

  bytes(count: number): Uint8Array {
    return this.#tape.read('draw', () => this.#inner.random.bytes(count))
  }

  uuid(): string {
    return this.#tape.read('draw', () => this.#inner.random.uuid())
  }

  shuffle<T>(members: readonly T[]): T[] {
    const positions = this.#tape.read('draw', () => this.#inner.random.shuffle([...members.keys()]))
    return positions.map(at => members[at]!)
  }
}
